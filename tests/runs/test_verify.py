"""--verify as a person types it: the same results are confirmed, drifted ones given up for good."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.verify import is_chosen
from tests.runs.conftest import RUN, Done, Person, sentence

pytestmark = pytest.mark.slow
ALL = ("--verify", "1")


def answer(done: Done) -> dict[str, object]:
    found: dict[str, object] = json.loads(done.stderr.decode().splitlines()[-1])
    return found


def test_the_same_results_are_confirmed_and_nothing_is_published(
    person: Person, typed: Callable[..., Done]
) -> None:
    person.write("work.sh", "echo out > out; echo said\n")
    typed(RUN, *ALL, "work.sh")
    again = typed(RUN, "--json", *ALL, "work.sh")
    found = answer(again)
    assert again.stdout == b"said\n"
    assert (found["verdict"], found["verified"], found["trace"]) == ("ran", "same", None)
    said = sentence(typed(RUN, *ALL, "work.sh"))
    assert said.startswith("ran again: run again to verify it, with the same results (")
    assert answer(typed(RUN, "--json", "--verify", "0", "work.sh"))["verdict"] == "reused"


@pytest.mark.parametrize("line", ["date +%N", "date +%N > out"])
def test_what_drifted_is_told_and_never_reused_again(
    person: Person, typed: Callable[..., Done], line: str
) -> None:
    person.write("work.sh", line + "\n")
    options = ("--json", "--cache-failures")
    recorded = answer(typed(RUN, *options, "work.sh"))["trace"]
    assert answer(typed(RUN, *options, "work.sh"))["trace"] == recorded
    found = answer(typed(RUN, *options, *ALL, "work.sh"))
    assert (found["verdict"], found["verified"]) == ("drifted", "drifted")
    assert str(found["reason"]).endswith("; that recording is never reused again")
    after = answer(typed(RUN, *options, "work.sh"))
    assert after["verdict"] != "reused"
    assert after["trace"] != recorded


def test_an_equal_trace_is_not_taken_again(person: Person, typed: Callable[..., Done]) -> None:
    # The time of a file does not count, and this looks at nothing else.
    person.write("in", "")
    person.write("work.sh", 'test -z "$(find in -newermt @1000)" && echo old || echo new\n')
    first = answer(typed(RUN, "--json", "work.sh"))
    (person.project / "in").touch()
    os.utime(person.project / "in", (10, 10))
    assert answer(typed(RUN, "--json", *ALL, "work.sh"))["verified"] == "drifted"
    (person.project / "in").touch()
    again = answer(typed(RUN, "--json", "work.sh"))
    assert (again["verdict"], again["trace"]) == ("ran", None)
    assert first["trace"] is not None
    assert "has contradicted these results before" in str(again["message"])


def test_what_cannot_be_compared_is_kept(person: Person, typed: Callable[..., Done]) -> None:
    person.write("work.sh", "sleep 0.3; echo done\n")
    typed(RUN, "work.sh")
    found = answer(typed(RUN, "--json", *ALL, "--timeout", "0.1", "work.sh"))
    assert (found["exit_code"], found["verified"]) == (124, "not compared")
    assert answer(typed(RUN, "--json", "work.sh"))["verdict"] == "reused"


def test_each_command_has_its_share_and_the_choice_is_no_lot(tmp_path: Path) -> None:
    with Home(tmp_path) as home:
        assert is_chosen(1, home, "any")
        assert not is_chosen(0, home, "any")
        names = [f"{number:040x}" for number in range(400)]
        chosen = [is_chosen(0.25, home, name) for name in names]
        assert chosen == [is_chosen(0.25, home, name) for name in names]
        assert 60 < sum(chosen) < 140
        subject = names[0]
        draws: list[bool] = []
        for _ in range(20):
            home.ledger.append([{}], kind="run", subject=subject)
            draws.append(is_chosen(0.5, home, subject))
        assert set(draws) == {True, False}


@pytest.mark.parametrize("word", ["-0.1", "1.1", "nan", "all"])
def test_what_is_no_fraction_is_refused(typed: Callable[..., Done], word: str) -> None:
    assert typed("run", "--verify", word, "--", "true").returncode == 2
