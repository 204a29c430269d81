"""Runs of one command that overlap are not published, whoever of them was killed."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

from ring2_orchestrator.runs.alone import Alone
from tests.runs.conftest import Person

ROOT = Path(__file__).resolve().parents[2]
SUBJECT = "a" * 40


def test_whoever_comes_meanwhile_is_told_and_tells(tmp_path: Path) -> None:
    with Alone(tmp_path, SUBJECT) as first:
        assert first.so_far
        with Alone(tmp_path, SUBJECT) as second:
            assert not second.so_far
        assert not first.so_far, "the visit is over, and still happened"
    with Alone(tmp_path, SUBJECT) as later:
        assert later.so_far


def test_a_visitor_that_stays_longer_than_the_first_still_counts(tmp_path: Path) -> None:
    first = Alone(tmp_path, SUBJECT)
    visitor = Alone(tmp_path, SUBJECT)
    with first:
        pass
    with Alone(tmp_path, SUBJECT) as third:
        assert not third.so_far
    with visitor:
        assert not visitor.so_far


def test_other_commands_are_no_company(tmp_path: Path) -> None:
    with Alone(tmp_path, SUBJECT) as one, Alone(tmp_path, "b" * 40) as other:
        assert one.so_far
        assert other.so_far


def test_a_program_whose_recorder_was_killed_is_company_until_it_ends(person: Person) -> None:
    """It may still write over the outputs of the next run, which then are not that run's."""
    os.mkfifo(person.project / "begun")
    os.mkfifo(person.project / "go")
    line = "read w < in.txt; echo > begun; read x < go; echo $w > out.txt"
    person.write("in.txt", "old\n")
    orphan = subprocess.Popen(
        [sys.executable, "-m", "redoxa", "--home", person.home_path, "run", "--", "sh", "-c", line],
        cwd=person.project,
        env={**person.env, "PYTHONPATH": str(ROOT)},
    )
    (person.project / "begun").read_text()
    orphan.send_signal(signal.SIGKILL)
    orphan.wait()
    with Alone(person.home_path, person.decide(line).subject) as meanwhile:
        assert not meanwhile.so_far
    # Both ends, so that nobody waits for anybody.
    go = os.open(person.project / "go", os.O_RDWR)
    presence = (person.home_path / "running" / person.decide(line).subject).open("r+b")
    with presence:
        os.write(go, b"\n")
        fcntl.flock(presence, fcntl.LOCK_EX)
    os.close(go)
    assert person.read("out.txt") == "old\n", "the program did not suffer"
    with Alone(person.home_path, person.decide(line).subject) as after:
        assert after.so_far
