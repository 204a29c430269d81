"""What prevents a reuse is told from the recording that is nearest, and lost ones are told, too."""

from pathlib import Path

from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.why import Explanation, explain
from tests.runs.conftest import Person

BOTH = "cat i k > out.txt"


def why(person: Person, line: str) -> Explanation:
    with Home(person.home_path) as home:
        return explain(["sh", "-c", line], home=home, cwd=person.project, env=person.env)


def test_what_changed_is_told_from_the_nearest_recording(person: Person) -> None:
    person.write("k", "1")
    for value in ("1", "2"):
        person.write("i", value)
        person.run(BOTH)
    person.write("i", "1")
    person.write("k", "2")
    found = why(person, BOTH)
    assert [change.path for change in found.changed] == ["k"]
    assert found.decision.reason == "k changed"
    assert found.decision.nearest is not None
    assert found.trace == found.decision.nearest.trace
    assert person.run(BOTH).message.startswith("ran again: k changed (")


def test_of_equally_near_recordings_the_newest_tells(person: Person) -> None:
    for value in ("one", "two"):
        person.write("i", value)
        person.write("k", "")
        person.run(BOTH)
    newest = why(person, BOTH).decision.trace
    person.write("i", "three")
    found = why(person, BOTH)
    assert [change.path for change in found.changed] == ["i"]
    assert found.decision.nearest is not None
    assert found.decision.nearest.cid == newest


def test_a_file_that_appeared_in_a_listed_folder_is_named(person: Person) -> None:
    person.write("a/one", "")
    person.run("ls a")
    person.write("a/two", "")
    assert person.run("ls a").message.startswith("ran again: a lists other names (new: two) (")


def lose_packs(home: Path) -> None:
    for pack in (home / "store" / "packs").iterdir():
        pack.unlink()


def test_recordings_that_are_lost_are_told(person: Person) -> None:
    line = "cat in.txt > out.txt"
    person.write("in.txt", "1")
    person.run(line)
    lose_packs(person.home_path)
    found = why(person, line)
    assert (found.reusable, found.trace, found.changed) == (False, None, ())
    lost = "an earlier recording of it cannot be read (`redoxa store verify` says why)"
    assert found.decision.reason == lost
    assert person.run(line).message.startswith(f"ran again: {lost} (")
    assert person.run(line).reused
    person.write("in.txt", "2")
    assert why(person, line).decision.reason == f"in.txt changed, and {lost}"
