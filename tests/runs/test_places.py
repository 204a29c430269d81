"""Modes of folders, further names of files, and folders that others move or fill meanwhile."""

import os
import shutil
import stat
import threading
import time

import pytest

from ring2_orchestrator.runs import pseudo
from tests.runs.conftest import Person


def mode(person: Person, name: str) -> int:
    return stat.S_IMODE((person.project / name).stat().st_mode)


@pytest.mark.parametrize(
    "line", ["mkdir -p keys; chmod 700 keys; echo s > keys/k", "mkdir -p keys; chmod 1777 keys"]
)
def test_the_mode_of_a_folder_is_put_back(person: Person, line: str) -> None:
    person.run(line)
    left = mode(person, "keys")
    (person.project / "keys").chmod(0o755)
    person.run(line)
    assert mode(person, "keys") == left
    shutil.rmtree(person.project / "keys")
    assert person.run(line).reused
    assert mode(person, "keys") == left


def test_the_mode_of_a_folder_is_an_input(person: Person) -> None:
    (person.project / "d").mkdir(mode=0o755)
    person.run("stat -c %a d; test -w d")
    (person.project / "d").chmod(0o700)
    assert [change.path for change in person.run("stat -c %a d; test -w d").changed] == ["d"]


@pytest.mark.parametrize("path", [b"/dev/shm", b"/dev/shm/project/file"])
def test_files_in_memory_are_files(path: bytes) -> None:
    assert not pseudo.is_pseudo(path)
    assert pseudo.classify(path) is pseudo.Class.FILE
    assert pseudo.is_pseudo(b"/dev/shmem")


def test_permissions_that_an_output_had_before_are_no_work_of_the_run(person: Person) -> None:
    person.write("in", "1")
    person.run("cat in > out")
    (person.project / "out").chmod(0o600)
    person.write("in", "2")
    assert person.run("cat in > out").published
    assert mode(person, "out") == 0o600
    assert person.run("cat in > out").reused
    (person.project / "out").unlink()
    assert not person.run("cat in > out").reused
    assert mode(person, "out") == 0o644


def test_a_file_with_a_further_name_is_written_to_both(person: Person) -> None:
    person.write("in", "new\n")
    person.run("cat in > out")
    (person.project / "out").unlink()
    current = person.write("current", "old\n")
    os.link(current, person.project / "out")
    assert [change.path for change in person.run("cat in > out").changed] == ["out"]
    assert current.read_text() == "new\n"


def test_what_only_sets_the_mode_again_is_reused(person: Person) -> None:
    if shutil.which("install") is None:
        pytest.skip("there is no install here")
    person.write("f", "1\n")
    line = "install -m 600 f g; cp -p f h"
    assert person.run(line).doubts == ()
    assert person.run(line).reused
    assert mode(person, "g") == 0o600


def test_the_project_put_elsewhere_meanwhile_is_a_doubt(person: Person) -> None:
    person.write("in", "1\n")
    other = person.project.with_name("other")
    shutil.copytree(person.project, other)

    def exchange() -> None:
        time.sleep(0.4)
        person.project.rename(person.project.with_name("moved"))
        other.rename(person.project)

    thread = threading.Thread(target=exchange)
    thread.start()
    first = person.run("sleep 1; cat in > out")
    thread.join()
    assert not first.published
    assert "moved-folder" in {doubt.kind for doubt in first.doubts}


def test_a_made_folder_that_another_fills_is_a_doubt(person: Person) -> None:
    def fill() -> None:
        folder = person.project / "q"
        while not folder.is_dir():
            time.sleep(0.01)
        (folder / "x").write_text("of another")

    thread = threading.Thread(target=fill)
    thread.start()
    first = person.run("mkdir q; sleep 0.6; ls q > l")
    thread.join()
    assert not first.published
    assert "changed" in {doubt.kind for doubt in first.doubts}


def test_a_file_that_only_looks_like_an_unfinished_one_is_the_persons(person: Person) -> None:
    (person.project / "d").mkdir()
    assert person.run("rmdir d").published
    mine = person.write("d/.redoxa-restore-notes", "mine\n")
    assert not person.run("rmdir d").reused
    assert mine.read_text() == "mine\n"


@pytest.mark.usefixtures("powerless")
def test_a_write_protected_file_is_not_replaced(person: Person) -> None:
    person.write("in", "new\n")
    person.run("cat in > out")
    (person.project / "out").write_text("kept\n")
    (person.project / "out").chmod(0o444)
    assert person.run("cat in > out").verdict == "failed"
    assert person.read("out") == "kept\n"


@pytest.mark.usefixtures("powerless")
def test_a_folder_that_cannot_be_emptied_is_not_taken_away(person: Person) -> None:
    person.write("d/e/a", "1\n")
    person.run("rm -rf d")
    person.write("d/e/a", "1\n")
    (person.project / "d/e").chmod(0o555)
    assert person.run("rm -rf d").verdict == "failed"
    assert person.read("d/e/a") == "1\n"
    assert sorted(path.name for path in person.project.iterdir()) == ["d"]
