"""The rows of a history as CSV: added one by one, each whole or not there.

The columns are specified in docs/formats/history.md.
"""

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cid_store.errors import InputError
from ring2_orchestrator.report import one_line

COLUMNS = (
    "repo", "step", "commit", "date", "kind", "script", "first", "changed_strict0",
    "changed_strict", "changed_lax", "n_changed", "hit_any_strict", "hit_any_lax", "ran",
    "n_inputs", "n_missing", "n_listed", "script_changed", "commit_files", "commit_lines",
    "exit_code", "wall_s", "user_s", "sys_s", "maxrss_kb", "load1", "n_passed", "n_failed",
    "n_error", "out_hash", "changed_files", "edit_kind", "changed_inputs",
)  # fmt: skip


class Table:
    """A file of rows. What a crash left half written at its end is cut off when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.write_text(_line(COLUMNS), encoding="utf-8")
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if not whole.startswith(_line(COLUMNS).encode()):
            raise InputError(f"{path} is no history of this version; name another file with -o")
        if len(whole) < len(data):
            os.truncate(path, len(whole))
        self._file = path.open("a", encoding="utf-8", newline="")

    def rows(self) -> Iterator[dict[str, str]]:
        """The rows that are there, oldest first."""
        with self.path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)

    def add(self, row: Mapping[str, object]) -> None:
        """One more row; on the disk when this returns."""
        self._file.write(_line([one_line(str(row[name])) for name in COLUMNS]))
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def has_rows(path: Path) -> bool:
    """Whether anything was recorded in the file."""
    with path.open(encoding="utf-8", newline="") as file:
        return any(True for _ in csv.DictReader(file))


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
