"""Where the commands that turn one file into another read from and write to."""

import argparse
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cid_store.errors import InputError, UsageError
from ring2_orchestrator.report import printing

if TYPE_CHECKING:
    from ring2_orchestrator.container import FileSource

STREAM = Path("-")

_SPOOL_BYTES = 8 * 1024 * 1024


def add_output(parser: argparse.ArgumentParser, metavar: str, default: str) -> None:
    """The options of a command that writes one file."""
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar=metavar,
        help=f"where to write; '-' is standard output (default: {default})",
    )
    parser.add_argument(
        "-f",
        "--force",
        action="store_true",
        help="replace the output if it exists; without this it is left alone",
    )


def output_path(
    given: Path | None, source: Path, default: Callable[[Path], Path | None], *, json: bool
) -> Path:
    """The output that was named, or the default for the input. Raises UsageError or InputError."""
    if source != STREAM:
        with open_input(source):
            pass  # an input that cannot be used is said before an output that is missing
    output = given if given is not None else default(source)
    if output is None or (given is None and source == STREAM):
        raise UsageError(f"where should the output of {source} go? name it with -o")
    if output == STREAM:
        check_stream(json=json)
    return output


def check_stream(*, json: bool) -> None:
    """Raise UsageError where bytes cannot go to standard output."""
    if json:
        raise UsageError("--json and -o - both want standard output; name a file with -o")
    if sys.stdout.isatty():
        raise UsageError("the output is not text; name a file with -o, or pipe it on")


@contextmanager
def open_input(path: Path) -> Generator["FileSource"]:
    """The file, or standard input kept in a temporary file."""
    from ring2_orchestrator.container import open_source, spooled  # noqa: PLC0415 - start-up

    if path != STREAM:
        with open_source(path) as source:
            yield source
        return
    if sys.stdin.isatty():
        raise UsageError("standard input is a terminal; name a file, or pipe something in")
    with spooled(sys.stdin.buffer, "standard input") as source:
        yield source


@contextmanager
def open_output(path: Path, source: Path, *, force: bool) -> Generator[IO[bytes]]:
    """The new file, or standard output; either gets its bytes only if the block ends well."""
    from ring2_orchestrator.container import new_file  # noqa: PLC0415 - start-up

    if path != STREAM:
        if source != STREAM and _are_one(path, source):
            raise InputError(f"{path} is both input and output; name another output")
        with new_file(path, force=force) as out:
            yield out
        return
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as held:
        yield held
        held.seek(0)
        with printing():
            while chunk := held.read(1 << 20):
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()


@contextmanager
def ended_tidily() -> Generator[None]:
    """Let a request to end (SIGTERM) end the block as Ctrl-C does, so that nothing half-made stays.

    A program that wishes otherwise, or calls from another thread, is left its own way.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _are_one(path: Path, source: Path) -> bool:
    try:
        return path.samefile(source)
    except OSError:
        return False  # what keeps it from being looked at is said when it is made
