"""A script runs as its file says; what cannot run is said in one sentence, with its exit code."""

import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ring2_orchestrator.runs.errors import NoSuchCommandError, NotExecutableError
from ring2_orchestrator.runs.program import find_program, program_candidates
from ring2_orchestrator.runs.script import script_command, this_python


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(name: str, text: str | bytes = "", mode: int = 0o644) -> str:
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    Path(name).chmod(mode)
    return name


@pytest.mark.parametrize(
    ("name", "text", "before"),
    [
        ("a.py", "", (this_python(),)),
        ("a.py", "#!/bin/sh\n", (this_python(),)),
        ("a.sh", "echo 1\n", ("sh",)),
        ("a.bash", "", ("bash",)),
        ("a.js", "", ("node",)),
        ("a.mjs", "", ("node",)),
        ("a.pl", "", ("perl",)),
        ("a.rb", "", ("ruby",)),
        ("a", "#!/bin/sh\n", ("/bin/sh",)),
        ("a", "#! /bin/sh -eu \n", ("/bin/sh", "-eu")),
        ("a", "#!/usr/bin/env -S python3 -I\n", ("/usr/bin/env", "-S python3 -I")),
        ("a.sh", "#!/bin/bash\n", ("/bin/bash",)),
        ("a", "#!/bin/sh", ("/bin/sh",)),
        ("a", b"#!/bin/\xff\n", ("/bin/\udcff",)),
    ],
)
def test_what_runs_a_script(name: str, text: str | bytes, before: tuple[str, ...]) -> None:
    made(name, text)
    assert script_command(name, ["x", "--y"]) == [*before, name, "x", "--y"]


def test_an_executable_file_runs_itself_and_is_not_searched_for() -> None:
    made("tool", "#!/bin/sh\n", 0o755)
    assert script_command("tool", ["x"]) == ["./tool", "x"]
    assert script_command("./tool") == ["./tool"]
    absolute = str(Path("tool").absolute())
    assert script_command(absolute) == [absolute]


def test_a_python_script_runs_under_this_python_even_when_executable() -> None:
    made("tool.py", "#!/usr/bin/env python2\n", 0o755)
    assert script_command("tool.py") == [this_python(), "tool.py"]


def environment(place: Path) -> Path:
    """The folder of programs of a virtual environment, with the three names of its Python."""
    binaries = place / "environment" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python3").symlink_to(os.path.realpath(sys.executable))
    for name in ("python", f"python3.{sys.version_info.minor}"):
        (binaries / name).symlink_to("python3")
    return binaries


def test_this_python_has_one_spelling_whatever_name_started_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries = environment(place)
    (place / "way").symlink_to("environment")
    spellings: set[str] = set()
    for folder in (binaries, place / "way" / "bin", place / "way" / ".." / "environment" / "bin"):
        for name in ("python", "python3", f"python3.{sys.version_info.minor}"):
            monkeypatch.setattr(sys, "executable", str(folder / name))
            spellings.add(this_python())
    assert spellings == {str(binaries / "python")}


def test_another_python_of_the_same_folder_is_not_taken_for_this_one(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries = environment(place)
    (binaries / "python").unlink()
    made("environment/bin/python", "another", 0o755)
    monkeypatch.setattr(sys, "executable", str(binaries / "python3"))
    assert this_python() == str(binaries / "python3")
    monkeypatch.setattr(sys, "executable", str(binaries / "odd"))
    assert this_python() == str(binaries / "odd")


def test_a_link_is_run_under_its_own_name() -> None:
    made("real.sh", "")
    Path("link").symlink_to("real.sh")
    Path("link.sh").symlink_to("real.sh")
    with pytest.raises(NotExecutableError, match="nothing says how to run link: make it"):
        script_command("link")
    assert script_command("link.sh") == ["sh", "link.sh"]


@pytest.mark.parametrize("name", ["missing.py", "no/such/folder.py", "file/below", "dangling"])
def test_a_missing_script(name: str) -> None:
    made("file")
    Path("dangling").symlink_to("nowhere")
    with pytest.raises(NoSuchCommandError, match=f"there is no file {name}; check its spelling"):
        script_command(name)


def a_folder() -> None:
    Path("thing").mkdir()


def a_pipe() -> None:
    os.mkfifo("thing")


def a_socket() -> None:
    with socket.socket(socket.AF_UNIX) as made_here:
        made_here.bind("thing")


def plain_text() -> None:
    made("thing", "just text\n")


def an_empty_file() -> None:
    made("thing")


def an_empty_first_line() -> None:
    made("thing", "#!\necho 1\n")


def a_loop_of_links() -> None:
    Path("thing").symlink_to("thing")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (a_folder, "thing is a directory; name the script inside it"),
        (a_pipe, "thing is not a regular file"),
        (a_socket, "thing is not a regular file"),
        (plain_text, "nothing says how to run thing: make it executable"),
        (an_empty_file, "nothing says how to run thing: make it executable"),
        (an_empty_first_line, "nothing says how to run thing: make it executable"),
        (a_loop_of_links, "thing cannot be looked at"),
    ],
)
def test_what_is_no_script(make: Callable[[], None], sentence: str) -> None:
    make()
    with pytest.raises(NotExecutableError, match=sentence) as caught:
        script_command("thing")
    assert caught.value.exit_code == 126


@pytest.mark.parametrize("name", ["thing.py", "thing.sh", "thing"])
@pytest.mark.usefixtures("powerless")
def test_an_unreadable_script(name: str) -> None:
    made(name, "#!/bin/sh\n", 0o000)
    with pytest.raises(NotExecutableError, match=f"{name} may not be read"):
        script_command(name)


def test_a_name_no_file_can_have() -> None:
    for name in ("a\0b", "x" * 5000):
        with pytest.raises(NotExecutableError, match="cannot be looked at"):
            script_command(name)


# Programs.


def find(word: str, env: Mapping[str, str]) -> Path:
    return find_program([word], cwd=Path.cwd(), env=env)


def test_programs_are_searched_in_order_past_what_cannot_run(place: Path) -> None:
    for folder in ("one", "two", "three"):
        Path(folder).mkdir()
    made("one/tool", "#!/bin/sh\n", 0o644)
    made("two/tool", "#!/bin/sh\n", 0o755)
    made("three/tool", "#!/bin/sh\n", 0o755)
    env = {"PATH": f"{place}/none:{place}/one:{place}/two:{place}/three"}
    assert find("tool", env) == place / "two" / "tool"
    assert find("./one/../three/tool", env) == place / "one/../three/tool"


def test_empty_and_relative_folders_of_the_search_start_here(place: Path) -> None:
    Path("bin").mkdir()
    made("here", "#!/bin/sh\n", 0o755)
    made("bin/there", "#!/bin/sh\n", 0o755)
    assert find("here", {"PATH": ":/usr/bin"}) == place / "here"
    assert find("there", {"PATH": "bin"}) == place / "bin" / "there"


def test_programs_that_are_not_there_or_cannot_run(place: Path) -> None:
    Path("folder").mkdir()
    made("text", "x")
    env = {"PATH": str(place)}
    with pytest.raises(NoSuchCommandError, match=r"there is no program 'none' on PATH; check"):
        find("none", env)
    with pytest.raises(NoSuchCommandError, match=r"there is no program './none'; check"):
        find("./none", env)
    with pytest.raises(NotExecutableError, match="folder is a directory; name a program inside"):
        find("folder", env)
    with pytest.raises(NotExecutableError, match=r"text is not executable; chmod \+x it"):
        find("text", env)


def test_without_a_search_path_the_systems_own_is_used(place: Path) -> None:
    assert program_candidates("sh", cwd=place, env={})[0].is_absolute()
    assert find("sh", {}).name == "sh"
