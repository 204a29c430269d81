"""Digests of files already hashed, remembered by identity, so that unchanged files cost one stat.

An entry is trusted only when it was made well after the file last changed: a file that changes
twice within one tick of the file system's clock keeps its times (the racy problem git describes).
"""

import os
import sqlite3
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from ring2_orchestrator.clock import Clock

# File systems stamp changes with the kernel's tick, 1 to 10 ms; ten times that is safe.
RACY_NS = 100_000_000
# Some file systems keep whole seconds only (two on FAT).
COARSE_RACY_NS = 2_100_000_000

# Twice the longest tick of a kernel's coarse clock.
TICK_NS = 20_000_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (
    key BLOB PRIMARY KEY, dev INTEGER, ino INTEGER, size INTEGER,
    mtime_ns INTEGER, ctime_ns INTEGER, digest BLOB
) WITHOUT ROWID
"""
_CHUNK = 500  # parameters of one query; SQLite promises 999
_READ_BYTES = 1 << 20


class Stamp(NamedTuple):
    """What tells two contents of one path apart without reading them."""

    dev: int
    ino: int
    size: int
    mtime_ns: int
    ctime_ns: int


class Aspect:
    """What of a path a digest is about: one letter before the path in the cache's key."""

    CONTENT = b"c"
    NAMES = b"n"
    BYTECODE = b"p"


def stamp_of(status: os.stat_result) -> Stamp:
    """The stamp in a stat result."""
    return Stamp(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


def is_settled(stamp: Stamp, now_ns: int) -> bool:
    """Whether the file last changed long enough ago that any later change would show."""
    coarse = stamp.ctime_ns % 1_000_000_000 == 0 and stamp.mtime_ns % 1_000_000_000 == 0
    guard = COARSE_RACY_NS if coarse else RACY_NS
    return max(stamp.mtime_ns, stamp.ctime_ns) + guard < now_ns


def _fine_times() -> bool:
    """Whether a change after a look always shows in the times (Linux 6.13 and later)."""
    parts = os.uname().release.split(".")
    try:
        return (int(parts[0]), int(parts[1])) >= (6, 13)
    except (ValueError, IndexError):
        return False


FINE_TIMES = os.uname().sysname == "Linux" and _fine_times()


class UnstableFileError(Exception):
    """The file kept changing while it was read."""


class StatCache:
    """Digests by (aspect, path, stamp), kept in one SQLite file, or only in memory without one.

    Losing the file costs time, never correctness: whatever cannot be read is hashed again.
    """

    def __init__(self, path: Path | None, *, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._known: dict[bytes, tuple[Stamp, bytes]] = {}
        self._fresh: dict[bytes, tuple[Stamp, bytes]] = {}

    def load(self, keys: Iterable[bytes]) -> None:
        """Read what is kept of these keys (an aspect's letter, then the path) in few queries."""
        wanted = [key for key in keys if key not in self._known]
        if self._path is None or not wanted or not self._path.exists():
            return
        try:
            with _Connection(self._path) as connection:
                for first in range(0, len(wanted), _CHUNK):
                    part = wanted[first : first + _CHUNK]
                    marks = ",".join("?" * len(part))
                    rows = connection.execute(
                        f"SELECT * FROM seen WHERE key IN ({marks})",  # noqa: S608 - only marks
                        part,
                    )
                    for key, dev, ino, size, mtime_ns, ctime_ns, digest in rows:
                        stamp = Stamp(dev, ino, size, mtime_ns, ctime_ns)
                        self._known[key] = (stamp, digest)
        except sqlite3.Error:
            self._discard()

    def find(self, aspect: bytes, path: bytes, stamp: Stamp) -> bytes | None:
        """The digest remembered for exactly that stamp."""
        found = self._known.get(aspect + path)
        return found[1] if found is not None and found[0] == stamp else None

    def remember(self, aspect: bytes, path: bytes, stamp: Stamp, digest: bytes) -> None:
        """Keep a digest, unless the file changed so lately that its stamp proves nothing."""
        if is_settled(stamp, self._clock.now_ns()):
            self._known[aspect + path] = self._fresh[aspect + path] = (stamp, digest)

    def save(self) -> None:
        """Write what is new; a failure is harmless and silent."""
        if self._path is None or not self._fresh:
            return
        rows = [(key, *stamp, digest) for key, (stamp, digest) in self._fresh.items()]
        self._fresh.clear()
        self._make_private()
        try:
            with _Connection(self._path) as connection:
                connection.execute(_SCHEMA)
                connection.executemany("INSERT OR REPLACE INTO seen VALUES (?,?,?,?,?,?,?)", rows)
        except sqlite3.Error:
            self._discard()

    def content(self, path: bytes, status: os.stat_result | None = None) -> bytes:
        """The BLAKE3-256 digest of a regular file's bytes as they are now.

        Raises OSError where it cannot be read, UnstableFileError where it keeps changing.
        """
        status = status if status is not None else os.lstat(path)
        found = self.find(Aspect.CONTENT, path, stamp_of(status))
        if found is not None:
            return found
        stamp, digest = hash_file(path)
        self.remember(Aspect.CONTENT, path, stamp, digest)
        return digest

    def _make_private(self) -> None:
        """Let the owner alone see which files were read; SQLite itself would let everybody."""
        assert self._path is not None, "only a kept cache has a file"
        with suppress(OSError):
            self._path.touch(mode=0o600)
            self._path.chmod(0o600)

    def _discard(self) -> None:
        # A busy file is merely slow; a damaged one would stay so.
        assert self._path is not None, "only a kept cache can fail"
        try:
            with _Connection(self._path) as connection:
                connection.execute("PRAGMA quick_check(1)")
                connection.execute("SELECT digest FROM seen LIMIT 1")
        except sqlite3.OperationalError:
            return
        except sqlite3.DatabaseError:
            self._path.unlink(missing_ok=True)


class _Connection:
    """One short visit to the cache's file."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=2.0)

    def __enter__(self) -> sqlite3.Connection:
        # Losing the newest entries in a power cut costs a hash, so nothing waits for the disk.
        self._connection.execute("PRAGMA synchronous=OFF")
        return self._connection

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            self._connection.commit()
        self._connection.close()


def hash_file(path: bytes) -> tuple[Stamp, bytes]:
    """Stamp and digest of a regular file, read while its stamp stood still.

    Raises OSError or UnstableFileError.
    """
    for _ in range(3):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise UnstableFileError(path)
            digest = _hash_descriptor(descriptor)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if stamp_of(before) == stamp_of(after):
            return stamp_of(after), digest
    raise UnstableFileError(path)


def _hash_descriptor(descriptor: int) -> bytes:
    hasher = blake3()
    while block := os.read(descriptor, _READ_BYTES):
        hasher.update(block)
    return hasher.digest()
