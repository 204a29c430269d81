"""Programs nobody here wrote: plain, recorded and reused, compared and timed.

    python bench/real_programs.py [--rounds N] [--only NAME] [--write]

Fetches Lua and GNU hello as Debian ships them and two Python packages from the package index, and
checks their hashes. For each it runs what a user would type: in a fresh copy plainly, in a fresh
copy recorded, and again, in turns. Exit code, output and all files left behind are compared. Then
the outputs are removed, and an input is changed and put back; the second table says what `redoxa`
did each time, as it happened. Needs make, a C compiler and the package index. The exit code is 1
when anything differed, or ran where a reuse was due. `--write` keeps the page in bench/results.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from program_set import fetch, pip

RESULTS = Path(__file__).parent / "results" / "real_programs.md"
PYTEST = "pytest==9.2.0"
REDOXA = [sys.executable, "-m", "redoxa"]
HITS = 5
MOST_NAMED = 3  # in a list of paths


class Program(NamedTuple):
    """Something to run: where it comes from, what is typed, and which of its inputs to change."""

    name: str
    source: str  # below DEBIAN, or a package of the index with its version
    sha256: str
    command: str
    edited: str
    added: bytes  # to that input
    alone: bool = False  # no temporary files of its earlier runs are left


LUA = "164c7849653b80ae67bec4b7473b884bf5cc8d2dca05653475ec2ed27b9ebf61"
HELLO = "31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b"
TOOLZ = "9667a038e9d6ecba37995e26cb2f59ec6420b6ad8dd9677de59db9b956b08490"
SQLPARSE = "ca722573f848ff2d30e40ea30f53a104b7dea7635ea9285891263eb2c58fb6e7"
LUA_AT, HELLO_AT = "l/lua5.4/lua5.4_5.4.4.orig.tar.gz", "h/hello/hello_2.10.orig.tar.gz"
SUITE = "python -m pytest"
PROGRAMS = [
    Program("lua", LUA_AT, LUA, "make", "src/lmathlib.c", b"int changed;\n"),
    Program("hello", HELLO_AT, HELLO, "./configure", "Makefile.in", b"# changed\n"),
    Program("toolz", "toolz==1.2.0", TOOLZ, SUITE, "toolz/utils.py", b"# changed\n"),
    Program("sqlparse", "sqlparse==0.6.1", SQLPARSE, SUITE, "sqlparse/sql.py", b"# changed\n"),
    Program("sqlparse*", "sqlparse==0.6.1", SQLPARSE, SUITE, "sqlparse/sql.py", b"#\n", alone=True),
]
# pytest's last line: its seconds, filled up to the width of the terminal.
VARYING = re.compile(rb" in [\d.]+s|=")


# ---- running ----


class Done(NamedTuple):
    """One run: what it printed and left, its time, and what redoxa said."""

    code: int
    out: bytes
    err: bytes
    tree: Mapping[str, str]
    seconds: float
    said: str = ""

    @property
    def reused(self) -> bool:
        """Whether the program did not run."""
        return self.said.startswith("reused: ")

    @property
    def verdict(self) -> str:
        """What redoxa said, without its seconds."""
        return self.said.split(",")[0] if self.reused else self.said


class Why(NamedTuple):
    """The answer of `redoxa why`."""

    reusable: bool
    reason: str
    paths: Sequence[str]  # what changed, and what kept the last run from being kept
    seq: int  # the last run in the ledger


class Workshop(NamedTuple):
    """One program and the one place in which each of its copies stands when it runs."""

    program: Program
    archive: Path
    place: Path
    env: Mapping[str, str]

    def start_over(self) -> None:
        """The source again, with the times that its archive gives, and nothing recorded."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.rmtree(self.env["REDOXA_HOME"], ignore_errors=True)
        if self.program.alone:
            shutil.rmtree(self.env["TMPDIR"])
            Path(self.env["TMPDIR"]).mkdir()
        with tarfile.open(self.archive) as archive:
            top = archive.getnames()[0].split("/")[0]
            archive.extractall(self.place.parent, filter="tar")
        (self.place.parent / top).rename(self.place)

    def plain(self) -> Done:
        """The command as it is."""
        return self._run(self.program.command.split())

    def recorded(self) -> Done:
        """The same under `redoxa run`, without the line added at the end."""
        done = self._run([*REDOXA, "run", "--", *self.program.command.split()])
        *lines, last = done.err.splitlines(keepends=True) or [b""]
        if not last.startswith(b"redoxa: "):
            raise SystemExit(f"redoxa did not end with its line: {done.err.decode()}")
        said = self._general(last.decode().removeprefix("redoxa: ").strip())
        return Done(done.code, done.out, b"".join(lines), done.tree, done.seconds, said)

    def why(self) -> Why:
        """What would be done now."""
        found = self._ask("why", "--json", "--", *self.program.command.split())
        paths = [change["path"] for change in found["changed"]]
        paths += [self._general(doubt["detail"]) for doubt in found["prevented_by"]]
        return Why(found["reusable"], found["reason"], paths, found["last_run"]["seq"])

    def counts(self) -> tuple[int, int]:
        """Inputs and outputs of the last run, from its entry in the ledger."""
        entry = self._ask("ledger", "show", "--json", str(self.why().seq))["entries"][0]
        return entry["inputs"], entry["outputs"]

    def _general(self, text: str) -> str:
        return text.replace(self.env["TMPDIR"], "$TMPDIR")

    def _ask(self, *words: str) -> "dict[str, Any]":
        return json.loads(self._start([*REDOXA, *words]).stdout)

    def _run(self, command: Sequence[str]) -> Done:
        started = time.monotonic()
        done = self._start(command)
        seconds = time.monotonic() - started
        return Done(done.returncode, done.stdout, done.stderr, tree_of(self.place), seconds)

    def _start(self, command: Sequence[str]) -> "subprocess.CompletedProcess[bytes]":
        nothing = subprocess.DEVNULL
        return subprocess.run(
            command, cwd=self.place, env=self.env, stdin=nothing, capture_output=True, check=False
        )


def tree_of(top: Path) -> dict[str, str]:
    """Every path below `top` with its kind, permissions and content."""
    tree: dict[str, str] = {}
    for path in sorted(top.rglob("*")):
        name, mode = path.relative_to(top).as_posix(), path.lstat().st_mode
        if path.is_symlink():
            tree[name] = f"link to {path.readlink()}"
        elif path.is_dir():
            tree[name] = f"folder {mode:o}"
        else:
            data = path.read_bytes()
            if path.suffix == ".pyc":
                data = data[:8] + data[12:]  # the time of its source, which is no result
            tree[name] = f"file {mode:o} {hashlib.sha256(data).hexdigest()}"
    return tree


# ---- one program ----


@dataclass
class Row:
    """Everything seen of one program."""

    name: str
    command: str
    plain: list[Done] = field(default_factory=list[Done])
    recorded: list[Done] = field(default_factory=list[Done])
    restored: list[Done] = field(default_factory=list[Done])
    hits: list[Done] = field(default_factory=list[Done])
    inputs: int = 0
    outputs: int = 0
    deeds: dict[str, str] = field(default_factory=dict[str, str])  # what redoxa said, and when
    named: bool = False
    varying: set[str] = field(default_factory=set[str])
    hindrances: list[str] = field(default_factory=list[str])
    differences: list[str] = field(default_factory=list[str])

    @property
    def sound(self) -> bool:
        """Whether all was the same, and reused exactly where it should be."""
        reused = [when for when, said in self.deeds.items() if said.startswith("reused: ")]
        return self.named and not self.differences and reused == [SECOND, REMOVED, BACK]


SECOND, REMOVED, CHANGED, BACK = "second run", "outputs removed", "input changed", "put back"


def measure(shop: Workshop, rounds: int) -> Row:
    """Plain, recorded, reused in turns; the last round goes on to the changes."""
    row = Row(shop.program.name, shop.program.command)
    for number in range(rounds):
        print(f"{row.name}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        shop.start_over()
        source = tree_of(shop.place)
        row.plain.append(shop.plain())
        shop.start_over()
        row.recorded.append(shop.recorded())
        row.inputs, row.outputs = shop.counts()
        if number == rounds - 1:
            look_ahead(shop, row, SECOND)
        compare_reused(row, SECOND, shop.recorded())
        remove_outputs(shop.place, source)
        row.restored.append(shop.recorded())
        compare_reused(row, REMOVED, row.restored[-1])
        row.hits += [shop.recorded() for _ in range(HITS)]
    compare_with_plain(row)
    change_and_put_back(shop, row)
    return row


def look_ahead(shop: Workshop, row: Row, when: str) -> None:
    """Ask what would be done; what stands in the way of a reuse is kept for the page."""
    why = shop.why()
    if not why.reusable:
        named = [*why.paths[:MOST_NAMED], *(["…"] if len(why.paths) > MOST_NAMED else [])]
        row.hindrances.append(f"{row.name}, {when}: {why.reason} ({'; '.join(named)})")


def remove_outputs(place: Path, source: Mapping[str, str]) -> None:
    """Delete what the source did not have."""
    for name in sorted(tree_of(place).keys() - source.keys(), reverse=True):
        path = place / name
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


def change_and_put_back(shop: Workshop, row: Row) -> None:
    """Change an input and undo it as an editor does: the old bytes with a new time."""
    path = shop.place / shop.program.edited
    old = path.read_bytes()
    path.write_bytes(old + shop.program.added)
    why = shop.why()
    row.named = not why.reusable and shop.program.edited in why.paths
    row.deeds[CHANGED] = shop.recorded().verdict
    path.write_bytes(old)
    look_ahead(shop, row, BACK)
    compare_reused(row, BACK, shop.recorded())


# ---- comparing ----


def compare_reused(row: Row, when: str, done: Done) -> None:
    """A reuse gives every byte of the recorded run; a run that ran has nothing to compare with."""
    row.deeds[when] = done.verdict
    if done.reused:
        note_differences(row, when, row.recorded[-1], done)


def compare_with_plain(row: Row) -> None:
    """Recording changes nothing but what differs between two plain runs, too."""
    first = row.plain[0]
    for other in row.plain[1:]:
        row.varying |= differing(first.tree, other.tree)
    for recorded in row.recorded:
        note_differences(row, "recorded", first, recorded, spared=row.varying)


def differing(a: Mapping[str, str], b: Mapping[str, str]) -> set[str]:
    """The paths at which two trees differ."""
    return {name for name in a.keys() | b.keys() if a.get(name) != b.get(name)}


def note_differences(
    row: Row, when: str, a: Done, b: Done, *, spared: "set[str] | None" = None
) -> None:
    """Compare two runs; with `spared`, apart from those files and from seconds printed."""
    parts = [("exit code", b"%d" % a.code, b"%d" % b.code)]
    parts += [("stdout", a.out, b.out), ("stderr", a.err, b.err)]
    if spared is not None:
        parts = [(name, VARYING.sub(b"", x), VARYING.sub(b"", y)) for name, x, y in parts]
    found = [name for name, x, y in parts if x != y]
    found += sorted(differing(a.tree, b.tree) - (spared or set()))
    if found:
        row.differences.append(f"{row.name}, {when}: {', '.join(found[:MOST_NAMED])}")


# ---- sources ----


def surroundings(folder: Path) -> dict[str, str]:
    """The environment of every run: pytest's Python first, and state and temporary files apart."""
    binaries = folder / "python" / "bin"
    subprocess.run([sys.executable, "-m", "venv", binaries.parent], check=True)
    pip("install", PYTEST, python=str(binaries / "python"))
    (folder / "temporary").mkdir()
    odd = ("PYTHON", "PYTEST_", "MAKE", "VIRTUAL_ENV")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(odd)}
    return {
        **kept,
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "TMPDIR": str(folder / "temporary"),
        "REDOXA_HOME": str(folder / "home"),
    }


# ---- the page ----


PAGE = """\
# Real programs, plain, recorded and reused

Made by `python bench/real_programs.py --write`. Seconds are medians; the ratio is the median over
{rounds} rounds of recorded by plain, both from fresh copies and one right after the other.
Restored: run again after all outputs were removed. Hit: run again with the outputs in place, {hits}
times. Both are of the runs that were reused, and hold the start of Python.

| program | command | plain s | recorded s | ratio | restored s | hit s | inputs | outputs |
|---|---|--:|--:|--:|--:|--:|--:|--:|
{times}

What `redoxa` did; "sqlparse*" found nothing in $TMPDIR that an earlier pytest had left there. Same:
exit code, output and files as in the plain run, and after a reuse byte for byte as in the recorded
one (but for the time of its source that Python keeps in bytecode).

| program | same | second run | outputs removed | input changed | put back | `why` names it |
|---|---|---|---|---|---|---|
{deeds}

{notes}Machine: {machine}; load average {before:.1f} before and {after:.1f} after.
"""


def report(rows: Sequence[Row], rounds: int, load: tuple[float, float]) -> str:
    """The results as a page."""
    varying = [f"{row.name}: {', '.join(sorted(row.varying))}" for row in rows if row.varying]
    notes = [
        *_list("Differences", [text for row in rows for text in row.differences]),
        *_list("What prevented a reuse", [text for row in rows for text in row.hindrances]),
        *_list("Not compared with the plain run, as plain runs differ in them, too", varying),
    ]
    return PAGE.format(
        rounds=rounds,
        hits=rounds * HITS,
        times="\n".join(_times(row) for row in rows),
        deeds="\n".join(_deeds(row) for row in rows),
        notes="".join(line + "\n" for line in notes),
        machine=machine(),
        before=load[0],
        after=load[1],
    )


def _times(row: Row) -> str:
    ratios = [b.seconds / a.seconds for a, b in zip(row.plain, row.recorded, strict=True)]
    restored = [done for done in row.restored if done.reused]
    hits = [done for done in row.hits if done.reused]
    return (
        f"| {row.name} | `{row.command}` | {_median(row.plain)} "
        f"| {_median(row.recorded)} | {statistics.median(ratios):.2f} | {_median(restored)} "
        f"| {_median(hits)} | {row.inputs:,} | {row.outputs:,} |"
    )


def _median(runs: Sequence[Done]) -> str:
    return f"{statistics.median(done.seconds for done in runs):.2f}" if runs else "-"


def _deeds(row: Row) -> str:
    same = "no" if row.differences else "yes"
    deeds = [row.deeds[when] for when in (SECOND, REMOVED, CHANGED, BACK)]
    return f"| {row.name} | {same} | {' | '.join(deeds)} | {'yes' if row.named else 'no'} |"


def _list(title: str, items: Sequence[str]) -> list[str]:
    return [f"{title}:", "", *(f"- {item}" for item in items), ""] if items else []


def machine() -> str:
    """Processor, system and Python."""
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    processor = found.group(1) if found else platform.machine()
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{processor}, {os.cpu_count()} cores, {system}"


def main() -> int:
    """Measure every program, and keep the figures where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3, help="two or more")
    parser.add_argument("--only", choices=[program.name for program in PROGRAMS])
    parser.add_argument("--write", action="store_true", help=f"replace {RESULTS.name}")
    args = parser.parse_args()
    rounds, before = max(args.rounds, 2), os.getloadavg()[0]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="real-programs-") as name:
        env = surroundings(Path(name))
        for program in PROGRAMS:
            if args.only in (None, program.name):
                place = Path(name, program.name, "source")
                place.parent.mkdir()
                shop = Workshop(
                    program, fetch(program.source, program.sha256, place.parent), place, env
                )
                rows.append(measure(shop, rounds))
    text = report(rows, rounds, (before, os.getloadavg()[0]))
    print(text, end="")
    if args.write:
        RESULTS.write_text(text, encoding="utf-8")
    return int(not all(row.sound for row in rows))


if __name__ == "__main__":
    sys.exit(main())
