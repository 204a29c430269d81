"""docs/runs.md is true: its lists are the code's, and what it says does not count does not."""

import os
import re
from pathlib import Path

import pytest

from ring2_orchestrator.recorder.relay import Limits
from ring2_orchestrator.runs.observe import TIME_READERS
from ring2_orchestrator.runs.surroundings import NEVER_MATTER
from tests.runs.conftest import Person

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "runs.md").read_text("utf-8")


def test_the_variables_listed_are_those_that_do_not_count() -> None:
    section = PAGE.split("### Variables that do not count")[1].split("## ")[0]
    listed = re.findall(r"^ {4}(.+)$", section, re.MULTILINE)
    assert " ".join(listed).split() == sorted(name.decode() for name in NEVER_MATTER)


def test_the_programs_listed_are_those_for_which_times_count() -> None:
    listed = PAGE.split("for them the time counts:")[1].split(".\n")[0]
    assert re.findall(r"`(\w+)`", listed) == sorted(name.decode() for name in TIME_READERS)


def test_the_most_that_is_kept_of_what_is_printed_is_stated() -> None:
    assert f"up to {Limits().output_bytes >> 20} MiB" in PAGE


@pytest.mark.parametrize(
    "line",
    [
        "n=1; while [ -e log.$n ]; do n=$((n + 1)); done; echo made > log.$n",
        "if [ -e lock ]; then echo again; else : > lock; echo first; fi",
        "cat in.txt; ulimit -n",
        "date +%s%N",
        "echo $RANDOM",
        "cat /proc/uptime",
    ],
)
def test_what_does_not_count_is_answered_as_before(person: Person, line: str) -> None:
    person.write("in.txt", "1")
    assert person.run(line).verdict == "ran"
    assert person.run(line).reused


def test_why_nothing_is_there_counts_as_programs_are_told_so(person: Person) -> None:
    line = "cat e/x.txt; true"
    assert person.run(line).verdict == "ran"
    assert person.run(line).reused
    person.write("e", "a file where a folder would be")
    assert person.run(line).message.startswith("ran again: e/x.txt changed")
    assert person.run(line).reused
    (person.project / "e").unlink()
    assert person.run(line).reused, "its first run is known"
    (person.project / "e").mkdir()
    assert person.run(line).reused


def test_permissions_that_somebody_gave_an_output_are_put_aside_with_it(person: Person) -> None:
    line = "cat in.txt > out; test -e in.txt"
    person.write("in.txt", "made")
    assert person.run(line).verdict == "ran"
    left = person.tree()
    (person.project / "out").chmod(0o600)
    again = person.run(line)
    assert (again.reused, again.restored) == (True, 1)
    assert person.tree() == left


def test_times_alone_do_not_count_but_for_those_who_carry_them(person: Person) -> None:
    old = person.write("in.txt", "1")
    lines = ["cp -u in.txt out.txt", "[ in.txt -nt none ]; cat in.txt", "tar cf a.tar in.txt"]
    assert all(person.run(line).verdict == "ran" for line in lines)
    os.utime(old, ns=(0, 10**18))
    assert [person.run(line).reused for line in lines] == [True, True, False]


def test_a_variable_of_the_session_does_not_count_and_any_other_does(person: Person) -> None:
    line = "cat in.txt"
    person.write("in.txt", "1")
    person.run(line)
    person.env["SSH_TTY"] = "/dev/pts/9"
    assert person.run(line).reused
    person.env["LANG"] = "C"
    assert person.run(line).message.startswith("ran again: $LANG differs")


def test_a_checkout_that_appears_above_gives_all_paths_another_meaning(person: Person) -> None:
    line = "cat in.txt 2>/dev/null || echo none"
    assert person.run(line).verdict == "ran"
    (person.project.parent / ".git").mkdir()
    person.write("in.txt", "some")
    assert not person.run(line).reused
