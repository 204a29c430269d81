"""`redoxa ledger`: what it prints, its JSON, its exit codes, and one sentence for each trouble."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.commands import main
from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger.tiles import frame, split_bundle

START_NS = 1_700_000_000_000_000_000
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with Home(tmp_path / "home", clock=ManualClock(wall_ns=START_NS)) as opened:
        inner = opened.store.put(b"a trace")
        for number in range(6):
            entry = {"number": number, "trace": inner, "raw": b"\x00\xff", "list": [1, {"a": None}]}
            opened.ledger.append([entry], kind="run" if number else "jit", subject=f"s{number}")
    return tmp_path / "home"


def redoxa(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["--home", str(home), "ledger", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def answer(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> Any:
    code, out, err = redoxa(capsys, home, *words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def alter(home: Path, seq: int) -> None:
    path = home / "ledger" / "tile" / "entries" / "000"
    entries = split_bundle(path.read_bytes()).entries
    entries[seq] = entries[seq].replace(b"subject", b"SUBJECT")
    path.write_bytes(b"".join(map(frame, entries)))


def test_log_lists_the_newest_first(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    code, out, err = redoxa(capsys, home, "log", "-n", "2")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["entry", "time", "(UTC)", "kind", "subject", "batch"]
    assert [line.split()[0] for line in lines[1:]] == ["5", "4"]
    assert "2023-11-14 22:13:20" in lines[1]


def test_log_as_json(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    found = answer(capsys, home, "log", "--kind", "run", "--subject", "s3")
    assert found["size"] == 6
    [entry] = found["entries"]
    assert (entry["seq"], entry["kind"], entry["subject"]) == (3, "run", "s3")
    assert entry["time_ns"] == START_NS
    assert entry["batch"].startswith("b")


def test_an_empty_log_is_no_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = redoxa(capsys, tmp_path / "new", "log")
    assert (code, out, err) == (0, "", "redoxa: no such entry in the ledger\n")
    assert answer(capsys, tmp_path / "new", "log") == {"entries": [], "size": 0}


def test_show_prints_a_batch(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    code, out, _ = redoxa(capsys, home, "show", "2")
    assert code == 0
    assert "kind     run" in out
    assert "  number: 2" in out
    assert "  raw: 2 bytes 00ff" in out
    found = answer(capsys, home, "show", "2")
    [entry] = found["entries"]
    assert entry["number"] == 2
    assert entry["trace"]["/"].startswith("b")
    assert entry["raw"] == {"/": {"bytes": "AP8="}}
    assert entry["list"] == [1, {"a": None}]


def test_bytes_that_are_text_are_shown_as_text(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with Home(tmp_path) as opened:
        words = [b"make", "\x1b[1mnaïve\n".encode(), b""]
        opened.ledger.append([{"command": words}], kind="run", subject="s")
    _, out, _ = redoxa(capsys, tmp_path, "show", "0")
    assert "    - make\n    - \\x1b[1mnaïve\\n\n    - 0 bytes\n" in out


@pytest.fixture
def aged(tmp_path: Path) -> Path:
    """Five entries a day apart, the third by a clock that was far behind."""
    clock = ManualClock(wall_ns=START_NS)
    with Home(tmp_path / "aged", clock=clock) as opened:
        for number, days in enumerate([0, 1, -900, 3, 4]):
            clock.wall_ns = START_NS + days * 86_400 * 10**9
            verdict = {"verdict": "ran" if number < 3 else "failed"}
            opened.ledger.append([verdict], kind="run", subject=f"s{number % 2}")
    return tmp_path / "aged"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--since", "2023-11-15"], [4, 3, 1]),
        (["--since", "2023-11-15 22:13:20"], [4, 3, 1]),
        (["--since", "2023-11-15T22:13:21"], [4, 3]),
        (["--since", "2023-11-15T23:13:20+01:00"], [4, 3, 1]),
        (["--until", "2023-11-15T22:13:20Z"], [2, 0]),
        (["--since", "2023-11-14", "--until", "2023-11-18", "--subject", "s1"], [3, 1]),
        (["--since", "2023-11-14", "-n", "1"], [4]),
        (["--until", "1999-01-01"], []),
    ],
)
def test_log_between_two_times(
    capsys: pytest.CaptureFixture[str], aged: Path, words: list[str], found: list[int]
) -> None:
    assert [entry["seq"] for entry in answer(capsys, aged, "log", *words)["entries"]] == found


@pytest.mark.parametrize(
    ("at", "size", "states"),
    [
        ("0", 1, [(0, "ran")]),
        ("2", 3, [(2, "ran"), (1, "ran")]),
        ("4", 5, [(4, "failed"), (3, "failed")]),
        ("1999-01-01", 0, []),
        ("2023-11-14 22:13:20", 1, [(0, "ran")]),
        ("2023-11-16", 3, [(2, "ran"), (1, "ran")]),
        ("2030-01-01", 5, [(4, "failed"), (3, "failed")]),
    ],
)
def test_show_the_past_as_it_was(
    capsys: pytest.CaptureFixture[str],
    aged: Path,
    at: str,
    size: int,
    states: list[tuple[int, str]],
) -> None:
    found = answer(capsys, aged, "show", "--at", at)
    assert [(state["seq"], state["verdict"]) for state in found["states"]] == states
    assert found["checkpoint"]["size"] == size
    with Home(aged) as opened:
        assert found["checkpoint"]["text"] == opened.ledger.head_at(size).text
        opened.ledger.verify(found["checkpoint"]["text"])
    code, out, _ = redoxa(capsys, aged, "show", "--at", at)
    assert code == 0
    assert f"with {size} entr" in out
    assert found["checkpoint"]["root_hash"] in out


@pytest.mark.parametrize(
    ("at", "set_back"),
    [("2", 0), ("1999-01-01", 0), ("2022-01-01", 1), ("2023-11-15", 1), ("2023-11-16", 0)],
)
def test_entries_of_a_clock_that_was_set_back_are_told(
    capsys: pytest.CaptureFixture[str], aged: Path, at: str, set_back: int
) -> None:
    found = answer(capsys, aged, "show", "--at", at)
    assert found["set_back"] == set_back
    err = redoxa(capsys, aged, "show", "--at", at)[2]
    size = found["checkpoint"]["size"]
    assert bool(set_back) == (f"1 entry after these {size} are dated before that time" in err)
    assert err.count("\n") == set_back


def test_the_checkpoint_of_the_past_is_the_one_that_was_printed_then(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    then = redoxa(capsys, home, "checkpoint")[1]
    with Home(home) as opened:
        opened.ledger.append([], kind="run", subject="later")
    assert answer(capsys, home, "show", "--at", "5")["checkpoint"]["text"] == then


def test_verify_says_what_a_crash_left(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    tile = home / "ledger" / "tile" / "0" / "000"
    tile.write_bytes(tile.read_bytes()[:-40])
    code, out, err = redoxa(capsys, home, "verify")
    assert (code, out.startswith("6 entries verified")) == (0, True)
    assert "\nunfinished: the hashes of the newest entries" in out
    assert err == ""
    assert len(answer(capsys, home, "verify")["unfinished"]) == 1


def test_show_beyond_the_end_says_what_there_is(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    code, out, err = redoxa(capsys, home, "show", "6")
    assert (code, out) == (3, "")
    assert err == "redoxa: the ledger has no entry 6; it holds 6 entries, 0 to 5\n"


def test_a_checkpoint_is_verified_later(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path
) -> None:
    code, text, _ = redoxa(capsys, home, "checkpoint")
    assert code == 0
    assert answer(capsys, home, "checkpoint")["checkpoint"] == text
    kept = tmp_path / "kept"
    kept.write_text(text)
    with Home(home) as opened:
        opened.ledger.append([], kind="run", subject="later")
    code, out, _ = redoxa(capsys, home, "verify", "--checkpoint", str(kept))
    assert code == 0
    assert out.startswith("7 entries verified, and they extend that checkpoint\nroot hash ")
    found = answer(capsys, home, "verify", "--checkpoint", str(kept))
    assert (found["size"], found["checkpoint_extended"]) == (7, True)
    assert found["origin"] == text.splitlines()[0]


def test_an_edited_entry_is_one_sentence_and_exit_code_4(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    alter(home, 3)
    before = sorted((p, p.read_bytes()) for p in (home / "ledger").rglob("*") if p.is_file())
    code, out, err = redoxa(capsys, home, "verify")
    assert (code, out) == (4, "")
    assert err == (
        f"redoxa: ledger {home / 'ledger'}: entry 3 was altered; nothing was changed by this "
        "check: restore the folder from a copy\n"
    )
    after = sorted((p, p.read_bytes()) for p in (home / "ledger").rglob("*") if p.is_file())
    assert after == before
    for words in (["log"], ["show", "0"], ["checkpoint"], ["verify", "--json"]):
        code, out, err = redoxa(capsys, home, *words)
        assert (code, out) == (4, "")
        assert "entry 3 was altered" in err


def test_a_damaged_hash_file_is_made_again(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    (home / "ledger" / "tile" / "0" / "000").unlink()
    assert redoxa(capsys, home, "rebuild")[1] == "1 hash file made again; every entry is intact\n"
    assert answer(capsys, home, "rebuild") == {"rebuilt": 0}


@pytest.mark.parametrize("content", [None, b"nonsense", b"\xff" * 70_000])
def test_a_checkpoint_file_that_is_none_is_said(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path, content: bytes | None
) -> None:
    kept = tmp_path / "kept"
    if content is not None:
        kept.write_bytes(content)
    code, out, err = redoxa(capsys, home, "verify", "--checkpoint", str(kept))
    assert (code, out) == (3, "")
    assert "checkpoint" in err
    assert err.count("\n") == 1
    code, _, err = redoxa(capsys, home, "verify", "--checkpoint", str(tmp_path))
    assert (code, "cannot be read (Is a directory)" in err) == (3, True)


@pytest.mark.parametrize(
    "words", [[], ["explode"], ["show"], ["show", "x"], ["log", "-n", "-1"], ["log", "extra"]]
)
def test_a_wrong_command_line_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], home: Path, words: list[str]
) -> None:
    assert main(["--home", str(home), "ledger", *words]) == 2
    assert "--help` says what can be typed" in capsys.readouterr().err


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error(home: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "redoxa", "--home", str(home), "ledger", "show", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert child.stdout is not None
    child.stdout.close()
    assert child.stderr is not None
    assert child.stderr.read() == b""
    child.stderr.close()
    assert child.wait() in (0, 141)
