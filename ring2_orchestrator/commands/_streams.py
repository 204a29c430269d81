"""The standard streams of one command: never mistaken for another file, and flushed with care."""

import codecs
import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import TextIO

from ring2_orchestrator.report import printing

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
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=_ENCODABLE)


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
