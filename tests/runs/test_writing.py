"""Whoever reads what a run prints gets all of it, also where its stream refuses to wait."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ring2_orchestrator.recorder import compile as compiler
from ring2_orchestrator.writing import write_all
from tests.runs.conftest import RUN, Person, environment

MUCH = b"line\n" * 60_000  # more than a pipe holds


def read_from(act: Callable[[int], object]) -> bytes:
    """What came through a pipe whose writing end refuses to wait."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def write() -> None:
        try:
            act(writer)
        finally:
            os.close(writer)

    thread = threading.Thread(target=write)
    thread.start()
    with open(reader, "rb") as file:  # noqa: PTH123 - a descriptor
        data = file.read()
    thread.join()
    return data


def test_all_is_written_to_a_pipe_that_refuses_to_wait() -> None:
    assert read_from(lambda writer: write_all(writer, MUCH)) == MUCH


@pytest.mark.slow
@pytest.mark.skipif(not compiler.can_record(), reason="programs are recorded on Linux only")
@pytest.mark.parametrize(
    "words",
    [
        (RUN, "much.py"),
        (RUN, "-j2", "much.py", "other.py"),
        ("-m", "redoxa", "jit", "loop", "--json", "much.py"),
    ],
    ids=["run", "round", "loop"],
)
def test_a_run_and_its_reuse_print_all(person: Person, words: tuple[str, ...]) -> None:
    person.write("much.py", f"print('line\\n' * {len(MUCH) // 5}, end='')")
    person.write("other.py", "")

    def run(stdout: int, stderr: int) -> None:
        subprocess.run(
            [sys.executable, *words],
            cwd=person.project,
            env=environment(person),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            check=True,
        )

    aside = "loop" in words  # which keeps standard output for its own answer
    with Path(os.devnull).open("wb") as nothing:
        for _ in range(2):
            if aside:
                said = read_from(lambda writer: run(nothing.fileno(), writer))
            else:
                said = read_from(lambda writer: run(writer, nothing.fileno()))
            assert said.count(b"line\n") == MUCH.count(b"line\n")
