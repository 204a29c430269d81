"""The standard streams of one command: never mistaken for another file, waited for, and flushed."""

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from ring2_orchestrator.report import printing

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

# Reading or writing through it fails as through a closed descriptor, and it can do nothing else.
_CLOSED = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_CLOEXEC", 0)
# What we draw and write, where the terminal's encoding has no such character.
_PLAINLY = {
    "─": "-", "│": "|", "├": "|", "└": "`", "…": "...", "→": "->", "µ": "u",
}  # fmt: skip
_ENCODABLE = "redoxa-plainly"


def hold_closed_streams() -> None:
    """Put something in the place of a closed stream 0, 1 or 2.

    Otherwise the next file that is opened would take the place, and what is printed would be
    written into it: into a pack of the store, say.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            held = os.open(os.devnull, _CLOSED)
            assert held == number, "the lowest free number is the one that was closed"
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it is as stdin is
    if sys.stdout is None:
        sys.stdout = _writer(1)
    if sys.stderr is None:
        sys.stderr = _writer(2)


def print_in_any_encoding() -> None:
    """What standard output and error cannot encode is spelled otherwise, not an error."""
    codecs.register_error(_ENCODABLE, _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ENCODABLE)


def wait_for_slow_streams() -> None:
    """Put readers and writers that wait in the place of streams that would not.

    Whoever started the command may have made its pipes such that they do not block. Python then
    takes one that is empty for the moment for one that has ended, and what a full one did not take
    for written; the latter it does without buffers, too, where a disk is full.
    """
    if not _blocks(0):
        sys.stdin = io.TextIOWrapper(io.BufferedReader(_Patient(0)), encoding="utf-8")
    if _loses(sys.stdout, 1):
        sys.stdout = _patient(sys.stdout, 1)
    if _loses(sys.stderr, 2):
        sys.stderr = _patient(sys.stderr, 2)


class _Patient(io.RawIOBase):
    """A descriptor that is read and written as if it blocked; it stays open."""

    def __init__(self, number: int) -> None:
        self._number = number

    @property
    def name(self) -> int:
        return self._number

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        while True:
            try:
                return os.readv(self._number, [buffer])
            except BlockingIOError:
                self._wait(writing=False)

    def write(self, data: "ReadableBuffer", /) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest:
            try:
                rest = rest[os.write(self._number, rest) :]
            except BlockingIOError:
                self._wait(writing=True)
        return size

    def _wait(self, *, writing: bool) -> None:
        import select  # noqa: PLC0415 - start-up

        poll = select.poll()
        poll.register(self._number, select.POLLOUT if writing else select.POLLIN)
        poll.poll()


def flush_output() -> None:
    """Let everything that was printed arrive. Raises OutputError, or BrokenPipeError."""
    with printing():
        sys.stdout.flush()


def abandon_output() -> None:
    """Drop what could not be printed, so that the interpreter does not try once more at its end."""
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            with suppress(OSError):
                stream.flush()


def _plainly(error: UnicodeError) -> tuple[str | bytes, int]:
    if isinstance(error, UnicodeEncodeError):
        plain = _PLAINLY.get(error.object[error.start])
        if plain is not None:
            return plain, error.start + 1
    return codecs.backslashreplace_errors(error)


def _writer(number: int) -> TextIO:
    return open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


def _blocks(number: int) -> bool:
    try:
        return os.get_blocking(number)
    except OSError:
        return True  # it is closed, which is said when it is used


def _loses(stream: TextIO, number: int) -> bool:
    """Whether the stream is the descriptor's, and may not write all that it is given."""
    try:
        if stream.fileno() != number:
            return False
    except (OSError, ValueError):
        return False  # it has been taken away, or never was a file
    if isinstance(_raw(stream), _Patient):
        return False
    return not _blocks(number) or _raw(stream) is stream.buffer


def _raw(stream: TextIO) -> object:
    return getattr(stream.buffer, "raw", stream.buffer)


def _patient(stream: TextIO, number: int) -> TextIO:
    stream.flush()
    # Who asked Python to do without buffers gets none.
    is_bare = _raw(stream) is stream.buffer
    return io.TextIOWrapper(
        _Patient(number) if is_bare else io.BufferedWriter(_Patient(number)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=number == 2 or os.isatty(number),
        write_through=is_bare,
    )
