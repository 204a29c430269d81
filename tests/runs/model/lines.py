"""The lines that a world runs: each depends on its files in another way."""

from typing import NamedTuple


class Line(NamedTuple):
    """A shell line, and which changes of the world a reuse need not notice.

    What `docs/runs.md` does not count is a line's own earlier work, and times. So a reuse may also
    give what the line gives after one of the snippets in `as_good`, which change nothing else.
    """

    text: str
    as_good: tuple[str, ...] = ()


FILES = (
    Line("cat a.txt b.txt > out.txt 2>/dev/null; ls d > list.txt; test -e c.txt && echo it; true"),
    Line("mkdir -p made/deep; cp a.txt made/deep/copy; rm -f b.txt; echo done"),
    Line("echo more >> log.txt"),
    Line('for f in d/*; do echo "$f"; wc -c < "$f"; done > sizes.txt; echo warned >&2'),
    Line("cat c.txt > c.out"),
    Line("sort -o a.txt a.txt d/x.txt"),
    Line("mv c.txt b.txt; echo moved"),
    Line("sh sub.sh"),
    Line("test -x sub.sh && ./sub.sh; test -s a.txt && test -r b.txt && echo both > out.txt"),
    Line("cmp -s a.txt b.txt && echo same > out.txt || echo other > out.txt; stat -c %a a.txt"),
    Line("tr a-z A-Z < a.txt > made.tmp && mv made.tmp upper.txt; cat upper.txt"),
    Line("cat a.txt > cut.txt; truncate -s 3 cut.txt; cat b.txt >> cut.txt; truncate -s 1 a.txt"),
    Line("dd if=a.txt of=patched.bin bs=1 seek=2 conv=notrunc 2>/dev/null; wc -c < patched.bin"),
    Line("tee one.out two.out < a.txt > /dev/null; ln -f two.out three.out; chmod 600 one.out"),
    Line("git hash-object a.txt d/x.txt 2>/dev/null > hashes.txt; echo $?"),
    # Not read by one end of a pipe while the other empties it: under an edit both may be one file.
    Line("t=$(cat a.txt d/*.txt); cat <<END | sort > sorted.txt\n$t\nlast\nEND\ncat sorted.txt"),
    Line('cat b.txt > "$TMPDIR/part" && sort "$TMPDIR/part" > sorted.txt; rm -f "$TMPDIR/part"'),
)
FOLDERS = (
    Line("find d e -type f -print | sort > found.txt; wc -l < found.txt"),
    Line("find . -name '*.txt' | sort; find . -type l | sort"),
    Line("cd d && cat x.txt ../a.txt > ../joined.txt; ls .."),
    Line("mkdir -p stage/in; cp d/*.txt stage/in/; rm -rf shipped; mv stage shipped; ls shipped"),
    Line('rm -rf copy; cp -r d copy; ls copy; o=$(grep -r o d e); echo "$o" | sort > grep.txt'),
    Line("rm -rf copy; cp -r d copy"),
    Line("mkdir -p kept; rm -rf kept/*; cp -r d/* kept 2>/dev/null; wc -c < a.txt > kept/size"),
    Line("ls d > d/list; wc -l < d/list"),
    Line("cat e/x.txt d/y.txt; test -d d -a ! -L d && echo folder"),
    Line("mkdir fresh && echo made; cp a.txt fresh/a", ("rm -rf fresh",)),
    Line("mv d moved && cat moved/x.txt; mv moved d"),
)
LINKS = (
    Line("ln -sf a.txt link; cat link > behind.txt; chmod 640 behind.txt"),
    Line("cat chain; readlink chain; readlink -f chain | sed 's,.*/,,' > leads.txt"),
    # Through its own earlier copy of a link to a folder it would copy into that folder.
    Line("cat chain > behind.txt; test -L hop && cp -P hop hop.copy; true", ("rm -f hop.copy",)),
    Line("cat c.txt; cat way/x.txt > through.txt; ls way/"),
    Line("cat a.txt > chain; echo $?"),
)
SEARCHES = (
    Line(
        'for f in ./.toolrc "$HOME/.toolrc" etc/toolrc; do [ -r "$f" ] && cat "$f" && break; done'
    ),
    Line("rev < a.txt > rev.txt; command -v rev | sed 's,.*/bin,bin,'"),
    Line(
        "python3 -c 'import conf, json; print(json.dumps([conf.x, len(open(\"a.txt\").read())]))'"
        " > p.out"
    ),
    # Of a function only that it is one: where it lies differs from run to run.
    Line("python3 -B -c 'import conf, os; print(str(conf.x)[:9], sorted(os.listdir(\"d\")))'"),
    Line(
        'python3 -c \'import mmap; f = open("map.bin", "w+b"); f.truncate(9); '
        'm = mmap.mmap(f.fileno(), 9); t = open("a.txt", "rb").read()[:9]; m[:len(t)] = t\''
    ),
)
ORDERED = (
    Line(
        # One of the two alone may say that its file is missing, or either may say it first.
        "rm -rf one.part two.part; cat a.txt > one.part & cat b.txt > two.part 2>/dev/null & wait; "
        "cat one.part two.part; "
        "cat a.txt >&2",
    ),
    Line(
        "test a.txt -nt b.txt && echo newer > newer.txt || echo older > newer.txt",
        (
            "touch -cd @1 a.txt; touch -cd @2 b.txt",
            "touch -cd @2 a.txt; touch -cd @1 b.txt",
        ),
    ),
    Line(
        "make",
        (
            # An edit of the Makefile may have written socend for second.
            "rm -f first second socend",
            "rm -f first",
            "rm -f second socend",
            "touch -c first && touch -c second socend",
            "touch -cd @1 second socend",
        ),
    ),
    Line("cp -p a.txt kept.txt; tar cf both.tar a.txt d/x.txt; tar tf both.tar"),
    Line("cat a.txt; sleep 0.02; cat b.txt d/x.txt > late.txt; sleep 0.02; cat a.txt; ls d"),
)
LINES = (*FILES, *FOLDERS, *LINKS, *SEARCHES, *ORDERED)
OUTPUTS = (
    "out.txt", "list.txt", "sizes.txt", "behind.txt", "link", "c.out", "log.txt", "made",
    "upper.txt", "cut.txt", "patched.bin", "one.out", "two.out", "three.out", "hashes.txt",
    "sorted.txt", "found.txt", "joined.txt", "shipped", "copy", "grep.txt", "d/list", "fresh",
    "leads.txt", "hop.copy", "through.txt", "rev.txt", "p.out", "map.bin", "one.part", "two.part",
    "newer.txt", "first", "second", "kept.txt", "both.tar", "late.txt", "moved", "__pycache__",
)  # fmt: skip
