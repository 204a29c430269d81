"""Long answers on a terminal, page by page: `PAGER`, or `less` where it is installed."""

import os
import shlex
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

# Quit where all fits on one screen, let colours through, leave the text on the screen.
_LESS = "FRX"


def pager_of(environment: Mapping[str, str]) -> list[str] | None:
    """The words that start the person's pager; None where none is wanted, or none is there."""
    import shutil  # noqa: PLC0415 - only a person at a terminal waits

    if environment.get("TERM", "dumb") == "dumb":
        return None
    try:
        words = shlex.split(environment.get("PAGER", "less"))
    except ValueError:
        return None
    if not words or words == ["cat"] or shutil.which(words[0]) is None:
        return None
    return words


@contextmanager
def paged(out: IO[str]) -> Generator[IO[str]]:
    """Where to write so that the person sees it page by page; `out` itself where that is none.

    Whoever leaves the pager early has seen enough, which is no error.
    """
    words = pager_of(os.environ) if out.isatty() else None
    if words is None:
        yield out
        return
    import subprocess  # noqa: PLC0415 - as above

    out.flush()
    process = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=out,
        env={"LESS": _LESS, **os.environ},
        encoding="utf-8",
        errors="backslashreplace",
    )
    assert process.stdin is not None, "it was asked for"
    try:
        with suppress(BrokenPipeError):
            yield process.stdin
    finally:
        with suppress(BrokenPipeError):
            process.stdin.close()
        _wait(process)


def _wait(process: "subprocess.Popen[str]") -> None:
    """Until the person is done with it: the pager keeps Ctrl-C for itself."""
    while True:
        with suppress(KeyboardInterrupt):
            process.wait()
            return
