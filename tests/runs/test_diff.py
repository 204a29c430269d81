"""`redoxa diff` as a person types it: what is told of two runs, and by which exit code."""

import json
import os
import re
from pathlib import Path

import pytest

from cid_store.cid import Cid, Codec
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.differ import difference, text_difference
from ring2_orchestrator.runs.past import trace_of
from ring2_orchestrator.runs.state import State, What
from ring2_orchestrator.runs.trace import Input
from ring2_orchestrator.runs.which import find_run
from tests.manners.shell import ROOT, redoxa
from tests.runs.conftest import Person, named_keys
from tests.runs.test_log import Said, home

__all__ = ["home"]
PAGE = ROOT / "docs" / "formats" / "runs-json.md"


def told(capsys: Said, *words: str, code: int = 1) -> str:
    capsys.readouterr()
    assert redoxa("diff", *words) == code
    return capsys.readouterr().out


def answer(capsys: Said, *words: str, code: int = 1) -> dict[str, object]:
    return json.loads(told(capsys, "--json", *words, code=code))


def by_path(changes: object) -> dict[str, str]:
    assert isinstance(changes, list)
    return {each["path"]: each["change"] for each in changes}


def test_what_changed_between_two_runs_is_told(person: Person, home: Path, capsys: Said) -> None:
    person.write("in", "a\nb\n")
    person.write("old", "")
    person.run("cat in > out; cat in; cat old new more 2> /dev/null; exit $CODE")
    person.write("in", "a\nc\n")
    person.write("new", "")
    (person.project / "old").unlink()
    person.env |= {"CODE": "3", "VALUE": "the-value"}
    person.run("cat in > out; cat in; cat old new more 2> /dev/null; exit $CODE")
    text = told(capsys, "@~1", "@")
    assert "\n$CODE: not set -> set\n$VALUE: not set -> set\n" in text
    assert "the-value" not in text
    assert re.search(
        r"\ninputs: 3 changed of \d+\n  changed  in: file …\w{8} -> file …\w{8}\n", text
    )
    assert "  changed  new: missing -> file …" in text
    assert re.search(r"  changed  old: file …\w{8} -> missing\n", text)
    assert "\noutputs: 1 changed of 1\n  changed  out: file …" in text
    assert "\nexit code: 1 -> 3\n" in text
    assert re.search(r"\nprinted: 4 B …\w{8} -> 4 B …\w{8}\n", text)
    assert text.splitlines()[-1].startswith("took ")
    assert "    -b\n    +c\n" in told(capsys, "-u", "@~1", "@")
    found = answer(capsys, "-u", "@~1", "@")
    assert found["changed"] == ["exit_code", "inputs", "outputs", "printed", "surroundings"]
    assert by_path(found["outputs"]) == {"P/out": "changed"}
    assert "-b\n+c" in found["printed"]["diff"]  # pyright: ignore[reportIndexIssue]


def test_a_run_is_the_same_as_its_reuse(person: Person, home: Path, capsys: Said) -> None:
    person.write("in", "1")
    for _ in range(2):
        person.run("cat in > out")
    text = told(capsys, "@~1", "@", code=0)
    assert "\nthe same but for time and memory\n" in text
    found = answer(capsys, "@~1", "@", code=0)
    assert (found["same"], found["changed"]) == (True, [])
    assert found["was"] != found["now"]


def test_paths_that_only_one_run_has_are_told(person: Person, home: Path, capsys: Said) -> None:
    person.write("a", "")
    person.write("folder/x", "")
    person.run("cat a; ls folder; ln -s a link; mkdir made")
    for name in ("link", "made"):
        path = person.project / name
        path.unlink() if path.is_symlink() else path.rmdir()
    person.write("folder/y", "")
    person.run("ls folder; ln -s b link; chmod 600 a")
    found = answer(capsys, "@~1", "@")
    assert by_path(found["outputs"]) == {"P/a": "added", "P/link": "changed", "P/made": "gone"}
    text = told(capsys, "@~1", "@")
    assert "  changed  folder: new: y\n" in text
    assert "  changed  link: link to a -> link to b\n" in text
    assert "  gone     made: folder\n" in text
    assert "\ncommand: sh -c 'cat a; ls folder; ln -s a link; mkdir made' -> " in text


def test_a_listed_folder_s_permissions_are_told(person: Person, home: Path, capsys: Said) -> None:
    path = person.write("folder/x", "").parent
    for mode in (0o755, 0o700):
        path.chmod(mode)
        person.run("ls folder")
    assert "  changed  folder: mode 0755 -> 0700\n" in told(capsys, "@~1", "@")


def test_a_run_without_a_trace_is_compared_by_the_ledger(
    person: Person, home: Path, capsys: Said
) -> None:
    person.run("true")
    person.run("cat /dev/urandom | head -c 1 > x")
    text = told(capsys, "@~1", "@")
    assert "\ndoubts: none -> " in text
    assert "\ninputs, outputs: not compared" in text
    assert answer(capsys, "@~1", "@")["compared"] is False
    assert redoxa("diff", "@", "@") == 3
    assert "has no trace, so what it saw and left cannot be compared" in capsys.readouterr().err
    assert answer(capsys, "@", "@", code=3)["same"] is False


def test_a_lost_trace_is_damage(person: Person, home: Path, capsys: Said) -> None:
    person.run("echo one")
    person.run("echo two")
    person.run("echo two")  # the batch of the reuse comes in a later pack or place
    for pack in (home / "store" / "packs").iterdir():
        data = pack.read_bytes()
        pack.write_bytes(data.replace(b"stdin_moved", b"stdin_mOved"))
    assert redoxa("diff", "@~1", "@~2") == 4
    err = capsys.readouterr().err
    assert err.startswith("redoxa: ")
    assert err.count("\n") == 1


def test_hostile_names_never_reach_a_terminal_raw(person: Person, home: Path, capsys: Said) -> None:
    name = "\x1b[31m\n" + os.fsdecode(b"\xff") + "\x9b"
    person.write(name, "\x1b[2J\n")
    line = "cat * > out; cat *; ln -s \"$(printf '\\033[31m')\" link"
    person.run(line)
    for path in ("out", "link"):
        (person.project / path).unlink()
    person.write(name, "\x1b[3J\n")
    person.run(line.replace("31m", "32m"))
    for words in (("@~1", "@"), ("--all", "-u", "@~1", "@")):
        text = told(capsys, *words)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text)
        assert r"  changed  \x1b[31m\n\xff\x9b: file …" in text
    found = answer(capsys, "@~1", "@")
    assert f"P/{name}" in by_path(found["inputs"])


def test_content_that_has_no_name_is_only_said_to_differ(
    person: Person, home: Path, capsys: Said
) -> None:
    for text in ("PASSWORD=one-of-them", "PASSWORD=the-other-one"):
        person.write(".env", text)
        person.run("wc -l .env; tar cf out.tar --mtime=@1 in; rm -f out.tar")
        person.write("in", text[9:12])
    text = told(capsys, "@~1", "@")
    assert "  changed  .env: secret file, other content\n" in text
    person.write("in", "xyz")
    person.run("tar cf out.tar --mtime=@1 in; rm -f out.tar")
    person.write("in", "zyx")
    person.run("tar cf out.tar --mtime=@1 in; rm -f out.tar")
    assert "  changed  in: file with its time, other content or another time\n" in told(
        capsys, "@~1", "@"
    )


def test_the_page_of_the_answer_is_true(person: Person, home: Path, capsys: Said) -> None:
    person.write("in", "1")
    person.run("cat in")
    person.write("in", "2")
    person.run("cat in")
    found = answer(capsys, "@~1", "@")
    names = named_keys(PAGE, "diff")
    assert set(found) == names[0]
    assert isinstance(found["inputs"], list)
    assert set(found["inputs"][0]) == names[1]


def test_a_hundred_thousand_inputs_are_compared(person: Person, home: Path) -> None:
    person.run("true")
    with Home(home) as opened:
        run = find_run(opened, "@")
        trace = trace_of(opened, run)
    state = State(What.FILE, 0o644, bytes(32))
    many = tuple(Input(b"P/%d" % at, state, product=False) for at in range(100_000))
    was, now = trace._replace(inputs=many[1:]), trace._replace(inputs=many[:-1])
    found = difference(run, run, (was, now))
    assert [change.word for change in found.inputs] == ["added", "gone"]
    assert found.totals[0] == 100_000


@pytest.mark.parametrize(
    ("was", "now", "lines"),
    [
        (b"a\n", b"b\n", ["--- was", "+++ now", "@@ -1 +1 @@", "-a", "+b"]),
        (b"", b"b", ["--- was", "+++ now", "@@ -0,0 +1 @@", "+b"]),
        (b"a\x0cb\n", b"a\x0cc\n", ["--- was", "+++ now", "@@ -1 +1 @@", "-a\x0cb", "+a\x0cc"]),
        (b"a\0", b"b", None),
        (b"\xff", b"b", None),
        (b"x" * 70_000, b"b", None),
        (b"\n" * 3000, b"b", None),
        (b"absent", b"b", None),
    ],
)
def test_only_small_texts_that_are_kept_are_compared_by_line(
    tmp_path: Path, was: bytes, now: bytes, lines: list[str] | None
) -> None:
    with Home(tmp_path / "home") as opened:
        for data in (was, now):
            if data != b"absent":
                opened.store.put(data)
        cids = [Cid.of(data, Codec.RAW) for data in (was, now)]
        assert text_difference(cids[0], cids[1], opened.store) == lines


@pytest.mark.parametrize("words", [["@"], ["@", "@", "@"], ["@~1", "x"], ["", "@"]])
def test_what_names_no_two_runs_is_refused(
    person: Person, home: Path, capsys: Said, words: list[str]
) -> None:
    person.run("true")
    capsys.readouterr()
    assert redoxa("diff", *words) in (2, 3)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
