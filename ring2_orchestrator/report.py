"""How commands speak: data on stdout, messages and progress on stderr, JSON when asked."""

import errno
import os
import re
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, Protocol, TextIO

from cid_store.errors import RedoxaError, UnavailableError

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_LINES = {"\n": "\\n", "\t": "\\t"}
# Python's stand-ins for the bytes of a name that is not UTF-8.
_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF

# What a part of a line may look like on a terminal, as its codes are numbered (ECMA-48).
STYLES: Mapping[str, str] = {
    "bad": "31", "dim": "2", "doubtful": "33", "good": "32", "head": "1",
}  # fmt: skip


class OutputError(UnavailableError):
    """What was to be printed could not be."""


def printable(text: str) -> str:
    r"""The text with control characters spelled `\\xNN`: a hostile name must not move a cursor."""
    return _CONTROL.sub(_spelled, text)


def one_line(text: str) -> str:
    """The same on one line: a newline in a name must not look like the end of a sentence."""
    for letter, spelling in _LINES.items():
        text = text.replace(letter, spelling)
    return printable(text)


def error_text(error: RedoxaError) -> str:
    """What to say of an error: one line, or more where it shows a place."""
    return printable(str(error)) if error.has_lines else one_line(str(error))


def _spelled(match: re.Match[str]) -> str:
    code = ord(match.group())
    if _FIRST_BYTE <= code <= _LAST_BYTE:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


@contextmanager
def printing(stream: str = "standard output") -> Generator[None]:
    """Turn what goes wrong with an output into a sentence; a reader that left is none."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = "it is closed" if error.errno == errno.EBADF else error.strerror
        raise OutputError(
            f"{stream} cannot be written ({reason}); send it to a file or a pipe that takes it"
        ) from error


def size_text(size_bytes: int) -> str:
    """Bytes for people: exact below 10 kB, then three digits and a decimal unit."""
    if size_bytes < 10_000:
        return f"{size_bytes:,} B"
    value = float(size_bytes)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or unit == "TB":
            return f"{value:.3g} {unit}"
    raise AssertionError("the last unit always fits")


def seconds_text(seconds: float) -> str:
    """Seconds for people: 8 ms, 1.24 s, 3 min 10 s."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


class Advance(Protocol):
    """Report `amount` more units of work done, and optionally what is being done."""

    def __call__(self, amount: float = 1, note: str | None = None) -> None:
        """Move the bar by `amount` and show `note` beside it."""
        ...


class Report:
    """One command's voice. Colours and progress appear only on a terminal and without NO_COLOR."""

    def __init__(
        self,
        *,
        json: bool = False,
        quiet: bool = False,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self.json = json
        self.quiet = quiet
        self._out: IO[str] = out if out is not None else sys.stdout
        self._err = err if err is not None else sys.stderr
        self._in_colour: bool | None = None  # as a pager shows it; None: as the stream does

    def data(self, value: Mapping[str, object]) -> None:
        """The answer as one JSON value with sorted keys; only with `--json`."""
        if self.json:
            import json as json_module  # noqa: PLC0415 - start-up is performance

            self._put(json_module.dumps(value, sort_keys=True, ensure_ascii=True) + "\n")

    def data_aside(self, value: Mapping[str, object]) -> None:
        """The same as the last line of stderr, for a command whose stdout is a program's own."""
        if self.json:
            import json as json_module  # noqa: PLC0415 - start-up is performance

            # The program may have left its own last line open.
            text = "\n" + json_module.dumps(value, sort_keys=True, ensure_ascii=True) + "\n"
            with printing("standard error"):
                self._err.write(text)
                self._err.flush()

    def line(self, text: str = "") -> None:
        """One line of the answer on stdout; silent with `--json`, which has its own answer."""
        self.text(one_line(text))

    def text(self, text: str) -> None:
        """The same for lines that are one text, such as a gene's."""
        if not self.json:
            self._put(printable(text) + "\n")

    def parts(self, *parts: tuple[str, str | None]) -> None:
        """One line of the answer of several parts, each in a style of `STYLES` or plain.

        Styles show only on a terminal.
        """
        if self.json:
            return
        fancy = self._fancy(self._out) if self._in_colour is None else self._in_colour
        spelled = (
            f"\x1b[{STYLES[style]}m{one_line(text)}\x1b[0m" if style and fancy else one_line(text)
            for text, style in parts
        )
        self._put("".join(spelled).rstrip() + "\n")

    @contextmanager
    def paged(self) -> Generator[None]:
        """The answer that is given meanwhile goes through the person's pager, on a terminal."""
        if self.json or not self._out.isatty():
            yield
            return
        from ring2_orchestrator.pager import paged  # noqa: PLC0415 - only on a terminal

        out, self._in_colour = self._out, self._fancy(self._out)
        with paged(out) as pages:
            self._out = pages
            try:
                yield
            finally:
                self._out, self._in_colour = out, None

    def say(self, text: str) -> None:
        """A message to the person, on stderr; silent with `--quiet`."""
        if not self.quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """A message that `--quiet` does not silence; one line."""
        self._message(one_line(text))

    def refuse(self, error: RedoxaError) -> None:
        """Say an error as the command line does when a command ends with it."""
        self._message(error_text(error))

    def _put(self, text: str) -> None:
        with printing():
            self._out.write(text)

    def _message(self, text: str) -> None:
        # A message that cannot be shown must not change what is done, nor how it ends.
        with suppress(OSError):
            self._err.write(f"redoxa: {text}\n")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Rows under headings, on stdout; numbers to the right. Plain text when piped."""
        if self.json:
            return
        cells = [[_cell(value) for value in row] for row in rows]
        if self._fancy(self._out):
            with printing():
                self._rich_table(columns, rows, cells)
            return
        widths = [
            max([len(name), *(len(row[at]) for row in cells)]) for at, name in enumerate(columns)
        ]
        for texts, values in [(list(columns), list(columns)), *zip(cells, rows, strict=True)]:
            padded = [
                text.rjust(width) if isinstance(value, int | float) else text.ljust(width)
                for text, value, width in zip(texts, values, widths, strict=True)
            ]
            self._put("  ".join(padded).rstrip() + "\n")

    @contextmanager
    def progress(
        self, label: str, total: float | None = None, *, after_s: float = 0.0
    ) -> Generator[Advance]:
        """A bar on stderr while the block runs, if it runs for longer than `after_s`.

        Nothing when stderr is not a terminal.
        """
        if self.quiet or self.json or not self._err.isatty():
            yield _stand_still
            return
        if not after_s:
            with self._bar(label, total) as advance:
                yield advance
            return
        import time  # noqa: PLC0415 - only a person at a terminal waits

        shows_at = time.monotonic() + after_s
        with ExitStack() as shown:
            show: Advance | None = None
            waiting = 0.0
            latest: str | None = None

            def later(amount: float = 1, note: str | None = None) -> None:
                nonlocal show, waiting, latest
                waiting += amount
                latest = latest if note is None else note
                if show is None and time.monotonic() >= shows_at:
                    show = shown.enter_context(self._bar(label, total))
                if show is not None:
                    show(waiting, latest)
                    waiting = 0.0

            yield later

    @contextmanager
    def _bar(self, label: str, total: float | None) -> Generator[Advance]:
        """The bar itself."""
        from rich.console import Console  # noqa: PLC0415 - 30 ms that plain output must not pay
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(file=self._err),
            transient=True,
        )
        with bar:
            task = bar.add_task(printable(label), total=total, note="")

            def advance(amount: float = 1, note: str | None = None) -> None:
                if note is None:
                    bar.update(task, advance=amount)
                else:
                    bar.update(task, advance=amount, note=printable(note))

            yield advance

    def _fancy(self, stream: IO[str]) -> bool:
        return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    def _rich_table(
        self, columns: Sequence[str], rows: Sequence[Sequence[object]], cells: list[list[str]]
    ) -> None:
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=None, pad_edge=False, header_style="bold")
        for at, name in enumerate(columns):
            numeric = bool(rows) and isinstance(rows[0][at], int | float)
            table.add_column(name, justify="right" if numeric else "left", overflow="fold")
        for row in cells:
            table.add_row(*(Text(text) for text in row))
        Console(file=self._out).print(table)


def _stand_still(amount: float = 1, note: str | None = None) -> None:
    """The bar that is not there."""
    del amount, note


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return one_line(str(value))
