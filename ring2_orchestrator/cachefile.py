"""Rows that may be lost at any time, in an SQLite file of their own: losing them costs only time.

What cannot be read is not there, a damaged file is removed, and nothing that fails is ever said.
"""

import os
import sqlite3
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ring2_orchestrator.plainfile import OWNERS

_AT_ONCE = 500  # parameters of one query; SQLite promises 999


class CacheFile:
    """One table, whose first column is its key."""

    def __init__(self, path: Path, table: str, columns: Sequence[str]) -> None:
        """`columns` are as SQL declares them."""
        self._path = path
        self._table = table
        self._columns = columns

    def find(self, keys: Sequence[bytes]) -> list[tuple[object, ...]]:
        """The rows of these keys, as many as there are and can be read."""
        return self.look(keys) or []

    def look(self, keys: Sequence[bytes]) -> list[tuple[object, ...]] | None:
        """The rows of these keys, as many as there are; None where nobody can say."""
        found: list[tuple[object, ...]] = []
        if not keys or not self._is_plain():
            return found
        try:
            with _Connection(self._path) as connection:
                for first in range(0, len(keys), _AT_ONCE):
                    part = keys[first : first + _AT_ONCE]
                    marks = ",".join("?" * len(part))
                    found += connection.execute(
                        f"SELECT * FROM {self._table} WHERE key IN ({marks})",  # noqa: S608 - marks
                        part,
                    )
        except sqlite3.Error:
            self._discard()
            return None
        return found

    def keep(self, rows: Iterable[Sequence[object]]) -> None:
        """Keep rows, in the place of others with their keys."""
        if not self._make():
            return
        marks = ",".join("?" * len(self._columns))
        try:
            with _Connection(self._path) as connection:
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {self._table} ({', '.join(self._columns)}) "
                    "WITHOUT ROWID"
                )
                connection.executemany(
                    f"INSERT OR REPLACE INTO {self._table} VALUES ({marks})",  # noqa: S608 - marks
                    rows,
                )
        except sqlite3.Error:
            self._discard()

    def _make(self) -> bool:
        """Make the file if there is none, for its owner alone; whether it may be written."""
        with suppress(OSError):
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNERS))
        if not self._is_plain():
            return False
        with suppress(OSError):
            self._path.chmod(OWNERS)
        return True

    def _is_plain(self) -> bool:
        """Whether there is a plain file: SQLite follows a link and writes wherever that leads."""
        # Not opened to see: closing it would let go of the locks of others in this process.
        try:
            return stat.S_ISREG(self._path.lstat().st_mode)
        except OSError:
            return False

    def _discard(self) -> None:
        # A busy file is merely slow; a damaged one would stay so.
        try:
            with _Connection(self._path) as connection:
                connection.execute("PRAGMA quick_check(1)")
                connection.execute(f"SELECT key FROM {self._table} LIMIT 1")  # noqa: S608 - ours
        except sqlite3.OperationalError:
            return
        except sqlite3.DatabaseError:
            self._path.unlink(missing_ok=True)


class _Connection:
    """One short visit to the cache's file."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=2.0)

    def __enter__(self) -> sqlite3.Connection:
        # Losing the newest rows in a power cut costs time alone, so nothing waits for the disk.
        self._connection.execute("PRAGMA synchronous=OFF")
        return self._connection

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            self._connection.commit()
        self._connection.close()
