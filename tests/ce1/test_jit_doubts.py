"""`redoxa jit` where something is wrong: an answer all the same, and a doubt that says what."""

from pathlib import Path
from typing import Any

import pytest

from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.home import Home
from tests.ce1.asked import answer, lines, remember


def damage(home: Path, how: str) -> None:
    ledger = home / "ledger"
    bundle = ledger / "tile" / "entries" / "000"
    match how:
        case "an entry was altered":
            bundle.write_bytes(bundle.read_bytes().replace(b"subject", b"SUBJECT"))
        case "the entries are gone":
            bundle.unlink()
        case "the checkpoint is text":
            (ledger / "checkpoint").write_text("no checkpoint at all\n")
        case "the checkpoint is another's":
            with Home(home.parent / "other") as other:
                other.ledger.append([{"any": 1}], kind="run", subject="s")
            data = (home.parent / "other" / "ledger" / "checkpoint").read_bytes()
            (ledger / "checkpoint").write_bytes(data)
        case _:
            raise AssertionError(how)


@pytest.mark.parametrize(
    "how",
    [
        "an entry was altered",
        "the entries are gone",
        "the checkpoint is text",
        "the checkpoint is another's",
    ],
)
def test_a_damaged_or_foreign_ledger_is_a_doubt(
    capsys: pytest.CaptureFixture[str], home: Path, place: Path, how: str
) -> None:
    remember(home, "ran ran")
    damage(home, how)
    for words in (["hint", "work.py"], ["plan", "work.py"], ["status"], ["status", "work.py"]):
        found = answer(capsys, home, *words)
        assert (found["runs"], found["confidence"], found["energy"]) == (0, 0.5, 1.0)
        [doubt] = found["doubts"]
        assert "no past run is known: ledger" in doubt
        assert "doubt       no past run is known: " in lines(capsys, home, *words)
    assert answer(capsys, home, "hint", "work.py")["decided"]["reuse"] is False


def test_another_ledger_in_the_home_is_learned_anew(
    capsys: pytest.CaptureFixture[str], home: Path, place: Path, tmp_path: Path
) -> None:
    remember(home, "ran " * 6)
    remember(tmp_path / "other", "failed " * 3)
    assert answer(capsys, home, "status")["counts"]["ran"] == 6
    for name in ("ledger", "store"):
        (home / name).rename(tmp_path / f"old {name}")
        (tmp_path / "other" / name).rename(home / name)
    found = answer(capsys, home, "status", "work.py")
    assert (found["runs"], found["counts"]["failed"], found["doubts"]) == (3, 3, [])


@pytest.mark.parametrize("data", [b"", b"no database\n" * 999, b"SQLite format 3\0" + bytes(4080)])
def test_a_damaged_state_costs_nothing_but_time(
    capsys: pytest.CaptureFixture[str], home: Path, place: Path, data: bytes
) -> None:
    remember(home, "ran failed reused ran")
    before = answer(capsys, home, "status", "work.py")
    (home / "ce1.db").write_bytes(data)
    assert answer(capsys, home, "status", "work.py") == before


def test_a_script_that_never_ran_is_said_to_be_so(
    capsys: pytest.CaptureFixture[str], home: Path, place: Path
) -> None:
    remember(home, "ran " * 12)
    (place / "new.py").write_text("print('new')\n")
    found = answer(capsys, home, "hint", "new.py")
    assert (found["runs"], found["confidence"], found["decided"]["reuse"]) == (0, 0.5, False)
    assert found["estimates"]["wall_s"]["value"] is None
    assert "nothing yet: it was never run" in lines(capsys, home, "hint", "new.py")


def test_a_clock_set_back_changes_no_figure(
    capsys: pytest.CaptureFixture[str], home: Path, place: Path, tmp_path: Path
) -> None:
    day_ns = 24 * 3600 * 10**9
    for where, later_ns in ((home, 20 * day_ns), (tmp_path / "back", 5 * day_ns)):
        remember(where, "ran ran failed", clock=ManualClock(10 * day_ns))
        remember(where, "ran reused", clock=ManualClock(later_ns))
    one, other = (answer(capsys, where, "status", "work.py") for where in (home, tmp_path / "back"))
    for found in (one, other):
        found.pop("ledger")
        found.pop("store")
    assert one == other


@pytest.mark.parametrize(
    "entry",
    [
        {"verdict": "ran", "exit_code": 0, "wall_s": 1e308},
        {"verdict": "ran", "exit_code": 0, "wall_s": -1.0},
        {"verdict": "flew", "exit_code": 0, "wall_s": 1.0},
        {"verdict": "ran", "exit_code": "0", "wall_s": 1.0},
        {},
        "a stranger's",
    ],
)
def test_entries_that_are_no_runs_are_passed_over(
    capsys: pytest.CaptureFixture[str], home: Path, place: Path, entry: Any
) -> None:
    remember(home, "ran")
    with Home(home) as opened:
        for _ in range(2):
            opened.ledger.append([entry], kind="run", subject="s")
    found = answer(capsys, home, "status")
    assert (found["runs"], found["passed_over"]) == (1, 2)
    assert found["doubts"] == ["2 run batches could not be read as runs"]


def test_confidence_begins_at_a_half_and_grows_with_successes(
    capsys: pytest.CaptureFixture[str], home: Path, place: Path
) -> None:
    seen = [answer(capsys, home, "status")["confidence"]]
    for _ in range(5):
        remember(home, "ran")
        seen.append(answer(capsys, home, "status", "work.py")["confidence"])
        assert answer(capsys, home, "status")["confidence"] == seen[-1]
    assert seen[0] == 0.5
    assert seen == sorted(set(seen))


@pytest.mark.parametrize(("habit", "flipped"), [("ran", "failed"), ("failed", "ran")])
def test_a_flipped_habit_is_learned_within_five_runs(
    capsys: pytest.CaptureFixture[str], home: Path, place: Path, habit: str, flipped: str
) -> None:
    remember(home, f"{habit} " * 30)
    before = answer(capsys, home, "status", "work.py")
    assert before["posterior"][habit] > 0.5
    remember(home, f"{flipped} " * 5)
    found = answer(capsys, home, "hint", "work.py")
    assert found["posterior"][flipped] > 0.5
    failure = found["estimates"]["failure"]["probability"]
    assert (failure > 0.5) == (flipped == "failed")
