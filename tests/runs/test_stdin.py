"""Standard input is looked at without losing a byte, and counts by what could be read of it."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring2_orchestrator.recorder.event import StdinKind, StdinRecord
from ring2_orchestrator.runs.stdin import (
    EMPTY,
    StandardInput,
    file_fact,
    kind_of,
    pipe_fact,
    recorded_fact,
    rest_of_file,
)
from ring2_orchestrator.runs.surroundings import Stdin
from tests.runs.conftest import Person

blobs = st.binary(max_size=30)


@contextmanager
def pipe(data: bytes, *, ended: bool = True) -> Generator[int]:
    """A pipe that holds these bytes, with its other end closed or not."""
    reader, writer = os.pipe()
    os.write(writer, data)
    if ended:
        os.close(writer)
    try:
        yield reader
    finally:
        os.close(reader)
        if not ended:
            os.close(writer)


def test_every_kind_is_known(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    master, slave = os.openpty()
    with pipe(b"") as reader, (tmp_path / "file").open() as file, Path(os.devnull).open() as null:
        found = [kind_of(fd) for fd in (reader, file.fileno(), null.fileno(), slave, 999)]
    for descriptor in (master, slave):
        os.close(descriptor)
    assert found == [
        StdinKind.PIPE,
        StdinKind.FILE,
        StdinKind.EMPTY,
        StdinKind.TERMINAL,
        StdinKind.EMPTY,
    ]


def test_a_device_that_gives_something_is_like_no_other_input(person: Person) -> None:
    line = "head -c 4 | wc -c > count"
    for device, verdict in ((os.devnull, "ran"), ("/dev/zero", "ran"), (os.devnull, "reused")):
        with Path(device).open("rb") as stdin:
            result = person.run(line, stdin=stdin.fileno())
        assert result.verdict == verdict, device
        assert person.read("count") == ("4\n" if device == "/dev/zero" else "0\n")


def test_an_input_that_cannot_be_read_is_like_another_such(person: Person) -> None:
    """As `nohup` leaves it: reading fails, where an empty input would end."""
    line = "cat > copy || echo none > copy"
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        assert person.run(line, stdin=null).verdict == "ran"
        assert person.read("copy") == "none\n"
        assert person.run(line, stdin=null).verdict == "reused"
    finally:
        os.close(null)
    with Path(os.devnull).open("rb") as empty:
        assert person.run(line, stdin=empty.fileno()).verdict == "ran"
    assert person.read("copy") == ""
    with (person.project / "log").open("wb") as file:
        result = person.run(line, stdin=file.fileno())
    assert [doubt.kind for doubt in result.doubts] == ["outside-pipe"]


def test_the_rest_of_a_file_is_read_from_its_place_and_the_place_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    with (tmp_path / "file").open("rb", buffering=0) as file:
        for place in (0, 4, 10, 20):
            file.seek(place)
            assert rest_of_file(file.fileno()) == b"0123456789"[place:]
            assert file.tell() == place


@given(recorded=blobs, eof=st.booleans(), now=blobs, ended=st.booleans())
def test_a_pipe_is_like_the_recorded_one_when_the_run_would_see_the_same(
    recorded: bytes, eof: bool, now: bytes, ended: bool
) -> None:
    """What was read must come again; an end that was read must come again at the same place."""
    fact = pipe_fact(recorded, eof=eof)
    # An end that never comes would be waited for: only what can be answered at once is asked.
    if fact == EMPTY or ended or len(now) >= len(recorded) + eof:
        with pipe(now, ended=ended) as reader:
            stdin = StandardInput(reader)
            same = stdin.like(fact) == fact
            rest = b""
            if ended:
                while block := os.read(reader, 100):
                    rest += block
                assert stdin.held + rest == now, "not a byte is lost"
        if eof:
            assert same == (now == recorded and ended)
        elif recorded:
            assert same == now.startswith(recorded)
        else:
            assert same == (now == b"")


def test_no_bytes_with_an_end_are_no_input_however_they_come(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pipe(b"") as reader, (tmp_path / "empty").open() as file, Path(os.devnull).open() as null:
        for descriptor in (reader, file.fileno(), null.fileno()):
            assert StandardInput(descriptor).like(EMPTY) == EMPTY
    assert file_fact(b"") == pipe_fact(b"", eof=True) == EMPTY


def test_a_file_and_a_pipe_of_the_same_bytes_differ() -> None:
    # A program can seek in one and not in the other.
    assert file_fact(b"x") != pipe_fact(b"x", eof=True)


def test_what_a_finished_run_could_read() -> None:
    assert recorded_fact(StdinRecord(StdinKind.EMPTY), None) == EMPTY
    assert recorded_fact(StdinRecord(StdinKind.PIPE, b"ab", eof=False), None) == pipe_fact(
        b"ab", eof=False
    )
    assert recorded_fact(StdinRecord(StdinKind.FILE), b"ab") == file_fact(b"ab")
    assert recorded_fact(StdinRecord(StdinKind.TERMINAL), None) == Stdin("terminal")
    folder = recorded_fact(StdinRecord(StdinKind.FILE), None)
    assert folder not in (EMPTY, file_fact(b"ab"))


# Through whole runs.


def test_a_file_counts_from_its_place(person: Person) -> None:
    source = person.write("source", "skip this\nkeep this\n")

    def run(place: int) -> bool:
        with source.open("rb", buffering=0) as file:
            file.seek(place)
            return person.run("cat > copy.txt", stdin=file.fileno()).reused

    assert [run(10), run(10), run(0), run(10)] == [False, True, False, True]
    assert person.read("copy.txt") == "keep this\n"
    source.write_text("SKIP THIS\nkeep this\n")
    assert run(10), "what stands before the place could not be read"


def test_what_a_run_did_not_read_of_a_pipe_does_not_matter(person: Person) -> None:
    def run(data: bytes) -> bool:
        with pipe(data) as reader:
            return person.run("head -c 3 > head.txt; exec < /dev/null", stdin=reader).reused

    assert not run(b"one")
    assert run(b"one")
    assert not run(b"two")


@pytest.mark.parametrize("ended", [True, False])
def test_a_run_that_reads_nothing_is_the_same_whoever_might_speak(
    person: Person, ended: bool
) -> None:
    with pipe(b"", ended=ended) as reader:
        assert person.run("echo 1 > out.txt", stdin=reader).published
    with pipe(b"", ended=ended) as reader:
        assert person.run("echo 1 > out.txt", stdin=reader).reused


def test_a_closed_input_is_like_no_other(person: Person) -> None:
    with Path(os.devnull).open() as null:
        assert person.run("cat > copy.txt", stdin=null.fileno()).published
    held = os.open(os.devnull, os.O_PATH)  # what the command line puts in its place
    for descriptor in (999, held):
        again = person.run("cat > copy.txt", stdin=descriptor)
        assert not again.reused
        assert again.exit_code == 1
        assert not again.published
    os.close(held)
