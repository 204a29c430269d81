"""Every known way to reuse wrongly: after the edit, the run must not be taken for unchanged.

Each row is a small world: how it begins, what is run, what happens then, and what must be named.
"""

import os
import socket
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.execute import execute
from tests.runs.conftest import Person


@dataclass(frozen=True)
class Trap:
    name: str
    world: str  # shell lines that make the world
    line: str  # what is run
    edit: str  # shell lines that change it
    named: str  # part of the path that must be named
    undo: str = ""  # shell lines that bring the old world back: then it is reused again


TRAPS = [
    Trap("content", "echo 1 > a", "cat a", "echo 2 > a", "a", "echo 1 > a"),
    Trap(
        "same-size-same-mtime",
        "echo 1 > a; touch -d 2020-01-01 a",
        "cat a",
        "echo 2 > a; touch -d 2020-01-01 a",
        "a",
        "echo 1 > a",
    ),
    Trap("read-then-written", "echo 1 > n", "read v < n; echo $((v+1)) > n", ":", "n"),
    Trap("read-missing-then-written", ":", "cat n; echo 1 >> n", ":", "n", "rm n"),
    Trap("append", "echo 1 > log", "echo 2 >> log", ":", "log", "echo 1 > log"),
    Trap("append-to-new", ":", "echo 2 >> log", ":", "log", "rm log"),
    Trap("written-in-place", "echo abc > f", "printf X | dd of=f conv=notrunc", ":", "f"),
    Trap("truncated-by-size", "echo abcdef > f", "truncate -s 3 f", ":", "f"),
    Trap("rename-over-an-input", "echo 1 > a; echo 2 > b", "cat a; mv b a", ":", "a"),
    Trap("missing-then-there", ":", "cat a 2>/dev/null; true", "echo 1 > a", "a", "rm a"),
    Trap("stat-missing", ":", "test -e a; true", "echo 1 > a", "a", "rm a"),
    Trap("stat-content", "echo 1 > a", "test -s a; true", "echo 22 > a", "a", "echo 1 > a"),
    Trap("gone", "echo 1 > a", "cat a; true", "rm a", "a", "echo 1 > a"),
    Trap("file-becomes-folder", "echo 1 > a", "cat a; true", "rm a; mkdir a", "a"),
    Trap("listing", "mkdir d; touch d/x", "ls d", "touch d/y", "d", "rm d/y"),
    Trap("listing-shrinks", "mkdir d; touch d/x d/y", "ls d", "rm d/y", "d", "touch d/y"),
    Trap("glob", "touch one.txt", "echo *.txt", "touch two.txt", "two.txt", "rm two.txt"),
    Trap("listed-type", "mkdir d; touch d/x", "ls d", "rm d/x; mkdir d/x", "d"),
    Trap("shadow-on-path", "mkdir bin", "true; cat /dev/null", "printf '#!/bin/sh\\n' > bin/cat; "
         "chmod +x bin/cat", "bin/cat", "rm bin/cat"),
    Trap("mode", "echo 1 > a", "cat a", "chmod 600 a", "a", "chmod 644 a"),
    Trap("executable-bit", "printf '#!/bin/sh\\necho 1\\n' > t; chmod +x t", "./t; true",
         "chmod -x t", "t", "chmod +x t"),
    Trap("program", "printf '#!/bin/sh\\necho 1\\n' > t; chmod +x t", "./t",
         "printf '#!/bin/sh\\necho 2\\n' > t", "t", "printf '#!/bin/sh\\necho 1\\n' > t"),
    Trap("interpreter", "cp /bin/cat c; printf '#!./c\\nx\\n' > t; chmod +x t", "./t",
         "cp /bin/tac c", "c", "cp /bin/cat c"),
    Trap("link-target", "echo 1 > a; echo 1 > b; ln -s a l", "cat l", "ln -sfn b l", "l",
         "ln -sfn a l"),
    Trap("content-behind-a-link", "echo 1 > a; ln -s a l", "cat l", "echo 2 > a", "a",
         "echo 1 > a"),
    Trap("folder-link-swapped", "mkdir d e; echo 1 > d/f; echo 2 > e/f; ln -s d l", "cat l/f",
         "ln -sfn e l", "l", "ln -sfn d l"),
    Trap("folder-replaced-by-link", "mkdir d e; echo 1 > d/f; echo 2 > e/f", "cat d/f",
         "mv d old; ln -s e d", "d/f", "rm d; mv old d"),
    Trap("listed-folder-replaced-by-link", "mkdir d e; touch d/f e/f", "find d -type f",
         "mv d old; ln -s e d", "d", "rm d; mv old d"),
    Trap("mode-of-a-listed-folder", "mkdir d; chmod 755 d; touch d/f", "cp -r d made",
         "chmod 700 d", "d", "chmod 755 d"),
    Trap("dangling-link", "ln -s a l", "cat l; true", "echo 1 > a", "a", "rm a"),
    Trap("other-name-of-an-inode", "echo 1 > a; ln a b", "cat a", "echo 2 > b", "a",
         "echo 1 > b"),
    Trap("readlink", "ln -s one l", "readlink l", "ln -sfn two l", "l", "ln -sfn one l"),
    Trap("moved-away-input", "echo 1 > a", "mv a b", ":", "a", "mv b a"),
    Trap("deleted-input", "echo 1 > a", "cat a; rm a", ":", "a", "echo 1 > a"),
    Trap("foreign-file-in-a-made-folder", ":", "mkdir -p d; touch d/own; ls d", "touch d/other",
         "d", "rm d/other"),
    Trap("empty-becomes-full", ": > a", "cat a", "echo 1 > a", "a", ": > a"),
    Trap("chmod-of-an-input", "echo 1 > a", "cat a; chmod 600 a", ":", "a", "chmod 644 a"),
    Trap("exclusive-lock", "touch lock", "set -C; : > lock; true", "rm lock", "lock"),
    Trap("tar-takes-times", "touch -d 2020-01-01 a", "tar cf o.tar a", "touch -d 2021-01-01 a",
         "a", "touch -d 2020-01-01 a"),
]  # fmt: skip


def shell(person: Person, lines: str) -> None:
    subprocess.run(["sh", "-c", f"umask 022; {lines}"], cwd=person.project, check=True)


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_a_trap_does_not_snap(person: Person, trap: Trap) -> None:
    person.env["PATH"] = f"{person.project}/bin:/usr/bin:/bin"
    shell(person, trap.world)
    first = person.run(trap.line)
    assert first.published, first.message
    shell(person, trap.edit)
    decision = person.decide(trap.line)
    assert not decision.reuse
    assert any(trap.named in change.path + change.now for change in decision.changed), decision
    if trap.undo:
        shell(person, trap.undo)
        assert person.decide(trap.line).reuse


@pytest.mark.parametrize("name", ["LANG", "EXTRA", "TZ"])
def test_the_environment_is_an_input(person: Person, name: str) -> None:
    person.run("true")
    person.env[name] = "something"
    decision = person.decide("true")
    assert not decision.reuse
    assert decision.changed[0][:2] == (f"${name}", "environment")


def test_where_a_session_came_from_is_none(person: Person) -> None:
    person.run("true")
    person.env |= {"SHLVL": "7", "SSH_TTY": "/dev/pts/9", "OLDPWD": "/"}
    assert person.decide("true").reuse


def test_values_of_the_environment_are_never_kept(person: Person) -> None:
    person.env["SOME_TOKEN"] = "hunter2-hunter2-hunter2"  # noqa: S105 - it must not be found
    person.run("true")
    kept = [path.read_bytes() for path in person.home_path.rglob("*") if path.is_file()]
    assert not any(b"hunter2" in data for data in kept)


def test_the_umask_is_an_input(person: Person) -> None:
    person.run("true")
    old = os.umask(0o027)
    try:
        assert person.decide("true").changed[0].path == "umask"
    finally:
        os.umask(old)


def test_another_folder_is_another_run(person: Person, tmp_path: Path) -> None:
    person.run("pwd > out.txt")
    clone = tmp_path / "clone"
    clone.mkdir()
    elsewhere = Person(clone, person.home_path, person.env)
    assert not elsewhere.decide("pwd > out.txt").reuse


def test_standard_input_is_an_input(person: Person) -> None:
    def run(data: bytes) -> bool:
        reader, writer = os.pipe()
        os.write(writer, data)
        os.close(writer)
        try:
            return person.run("cat > copy.txt", stdin=reader).reused
        finally:
            os.close(reader)

    assert [run(b"one"), run(b"one"), run(b"two"), run(b"one")] == [False, True, False, True]
    assert person.read("copy.txt") == "one"


def test_a_program_gets_the_input_that_was_read_to_decide(person: Person) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"first\n")
    os.close(writer)
    person.run("cat > copy.txt", stdin=reader)
    os.close(reader)
    reader, writer = os.pipe()

    def feed() -> None:
        with os.fdopen(writer, "wb") as file:
            file.write(b"second, and longer\n")
            file.flush()
            file.write(b"third\n")

    thread = threading.Thread(target=feed)
    thread.start()
    assert not person.run("cat > copy.txt", stdin=reader).reused
    thread.join()
    os.close(reader)
    assert person.read("copy.txt") == "second, and longer\nthird\n"


def test_the_input_file_is_an_input(person: Person) -> None:
    def run(text: str) -> bool:
        source = person.write("source", text)
        with source.open() as file:
            return person.run("cat > copy.txt", stdin=file.fileno()).reused

    assert [run("one"), run("one"), run("two"), run("one")] == [False, True, False, True]


@contextmanager
def server() -> Generator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_run_that_touches_the_network_is_not_reused_and_says_so(person: Person) -> None:
    with server() as port:
        line = f"exec 3<>/dev/tcp/127.0.0.1/{port}"
        first = person.command("bash", "-c", line)
        second = person.command("bash", "-c", line)
    assert not first.published
    assert not second.reused
    assert f"127.0.0.1:{port}" in second.message
    assert second.message.startswith("not reusable: ")


def test_a_child_that_outlives_the_run_makes_it_unpublishable(person: Person) -> None:
    result = person.run("(sleep 1; echo late > late.txt) > /dev/null 2>&1 &")
    assert not result.published
    assert result.exit_code == 0


def test_a_run_that_changes_a_name_of_a_foreign_inode_is_not_published(person: Person) -> None:
    shell(person, "echo 1 > a; ln a b")
    result = person.run("echo 2 >> a")
    assert not result.published
    assert "further names" in result.message


def test_an_input_changed_meanwhile_makes_the_run_unpublishable(person: Person) -> None:
    person.write("a", "1")
    os.mkfifo(person.project / "told")

    def meddle() -> None:
        with (person.project / "told").open():
            person.write("a", "2")

    thread = threading.Thread(target=meddle)
    thread.start()
    # The pipe is opened for writing only when the meddler reads it, so a was read before.
    result = person.run("cat a; : > told; sleep 0.2")
    thread.join()
    assert not result.published
    assert any("a changed while" in doubt.detail for doubt in result.doubts), result.doubts


def test_a_newcomer_in_a_listed_folder_makes_the_run_unpublishable(person: Person) -> None:
    os.mkfifo(person.project / "told")

    def meddle() -> None:
        with (person.project / "told").open():
            person.write("d/late", "2")

    (person.project / "d").mkdir()
    thread = threading.Thread(target=meddle)
    thread.start()
    result = person.run("ls d; : > told; sleep 0.2; touch d/own")
    thread.join()
    assert not result.published
    assert any("late" in doubt.detail for doubt in result.doubts), result.doubts


def test_two_runs_of_one_command_at_once_are_not_published(person: Person) -> None:
    line = "sleep 0.5; echo $$ > out.txt"
    results = []

    def run() -> None:
        with Home(person.home_path) as home:
            results.append(
                execute(["sh", "-c", line], home=home, cwd=person.project, env=person.env)
            )

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.published for result in results] == [False, False]
    assert not person.decide(line).reuse
    assert person.run(line).published


def test_a_run_that_touches_our_own_state_is_not_published(person: Person) -> None:
    person.run("true")
    result = person.run(f"ls {person.home_path}/store")
    assert not result.published
    assert "Redoxa's own state" in result.message


def test_a_run_that_writes_outside_its_folders_is_not_published(
    person: Person, tmp_path: Path
) -> None:
    result = person.run(f"echo 1 > {tmp_path}/elsewhere")
    assert not result.published
    assert "elsewhere" in result.message


def test_looking_at_other_processes_makes_the_run_unpublishable(person: Person) -> None:
    assert not person.run("ls /proc > /dev/null").published
    assert not person.run(f"cat /proc/{os.getpid()}/environ > /dev/null").published
    assert person.run("cat /proc/self/cmdline /proc/meminfo > /dev/null").published
