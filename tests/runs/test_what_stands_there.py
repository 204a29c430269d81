"""What stands where a command leaves its results counts where the command would have changed it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.runs.conftest import Person

PYTHON = "import shutil; shutil.rmtree('out', True); shutil.copytree('in', 'out')"
ANEW = [
    "rm -rf out; cp -r in out",
    "rm -rf out; cp -r in out; ls -R out",
    "rm -rf out; mkdir out; cp -r in out/in",
    "rm -rf out; mkdir half; cp -r in half/in; mv half out",
    "mkdir -p out; rm -rf out/*; cp -r in/* out",
    "test -d out && rm -r out; cp -r in out",
    "find out -type f -delete 2>/dev/null; mkdir -p out; cp -r in/* out",
    f'python3 -c "{PYTHON}"',
]


def lay_out(folder: Path, *, more: bool) -> None:
    """The inputs: with `more`, two files besides the ones that are always there."""
    shutil.rmtree(folder / "in", ignore_errors=True)
    for name in ("x", "sub/x", *(("y", "sub/y") if more else ())):
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n")


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("line", ANEW)
@pytest.mark.parametrize("there", [False, True])
def test_going_back_leaves_what_a_plain_run_leaves(
    person: Person, tmp_path: Path, line: str, there: bool
) -> None:
    plain = tmp_path / "plain"
    folders = (person.project, plain)
    for folder in folders:
        (folder / "out").mkdir(parents=True)
        (folder / "out" / "x").write_text("old\n")
        if not there:
            shutil.rmtree(folder / "out")
    for more in (False, True, False, True, False, False):
        for folder in folders:
            lay_out(folder, more=more)
        person.run(line)
        subprocess.run(["sh", "-c", line], cwd=plain, env=person.env, check=False)
        assert names(person.project) == names(plain)
    assert person.run(line).verdict == "reused"


def test_what_a_person_put_there_makes_it_run(person: Person) -> None:
    lay_out(person.project, more=False)
    line = "rm -rf out; cp -r in out"
    person.run(line)
    assert person.run(line).verdict == "reused"
    person.write("out/sub/notes", "mine\n")
    assert person.run(line).verdict == "ran"
    assert names(person.project / "out") == names(person.project / "in")


def test_a_folder_that_is_only_made_may_be_shared(person: Person) -> None:
    lay_out(person.project, more=False)
    first, second = "mkdir -p out; cp in/x out/first", "mkdir -p out; cp in/x out/second"
    for line in (first, second):
        person.run(line)
    assert [person.run(line).verdict for line in (first, second)] == ["reused", "reused"]
    shutil.rmtree(person.project / "out")
    assert [person.run(line).verdict for line in (first, second)] == ["reused", "reused"]
    assert names(person.project / "out") == ["first", "second"]


def test_a_folder_that_was_made_again_is_made_again(person: Person) -> None:
    lay_out(person.project, more=False)
    person.write("out/old", "old\n")
    line = "rm -rf out; mkdir out; test -e none || true"
    person.run(line)
    shutil.rmtree(person.project / "out")
    assert person.run(line).exit_code == 0
    assert names(person.project / "out") == []


def test_an_output_that_became_another_name_of_an_input_is_written_by_the_program(
    person: Person,
) -> None:
    person.write("in", "one\n")
    line = "cat in in > out"
    person.write("in", "")
    person.run(line)
    assert person.run(line).verdict == "reused"
    (person.project / "out").unlink()
    (person.project / "out").hardlink_to(person.project / "in")
    assert person.run(line).verdict != "reused", "the program would have emptied its input"
