"""How commands speak: data on stdout, messages and progress on stderr, JSON when asked."""

import json as json_module
import os
import re
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, TextIO

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    r"""The text with control characters spelled `\\xNN`: a hostile name must not move a cursor."""
    safe = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", safe)


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
        self._out = out if out is not None else sys.stdout
        self._err = err if err is not None else sys.stderr

    def data(self, value: Mapping[str, object]) -> None:
        """The answer as one JSON value with sorted keys; only with `--json`."""
        if self.json:
            self._out.write(json_module.dumps(value, sort_keys=True, ensure_ascii=True) + "\n")

    def line(self, text: str = "") -> None:
        """One line of the answer on stdout; silent with `--json`, which has its own answer."""
        if not self.json:
            self._out.write(printable(text) + "\n")

    def say(self, text: str) -> None:
        """A message to the person, on stderr; silent with `--quiet`."""
        if not self.quiet:
            self._err.write(f"redoxa: {printable(text)}\n")

    def warn(self, text: str) -> None:
        """A message that `--quiet` does not silence."""
        self._err.write(f"redoxa: {printable(text)}\n")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Rows under headings, on stdout; numbers to the right. Plain text when piped."""
        if self.json:
            return
        cells = [[_cell(value) for value in row] for row in rows]
        if self._fancy(self._out):
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
            self._out.write("  ".join(padded).rstrip() + "\n")

    @contextmanager
    def progress(self, label: str, total: float | None = None) -> Generator[Advance]:
        """A bar on stderr while the block runs; nothing when stderr is not a terminal."""
        if self.quiet or self.json or not self._err.isatty():
            yield _stand_still
            return
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

    def _fancy(self, stream: TextIO) -> bool:
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
    return printable(str(value))
