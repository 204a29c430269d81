"""Digests of files already hashed, remembered by identity, so that unchanged files cost one stat.

An entry is trusted only when it was made well after the file last changed: a file that changes
twice within one tick of the file system's clock keeps its times (the racy problem git describes).
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, cast

from blake3 import blake3

from ring2_orchestrator.cachefile import CacheFile
from ring2_orchestrator.clock import Clock

# File systems stamp changes with the kernel's tick, 1 to 10 ms; ten times that is safe.
RACY_NS = 100_000_000
# Some file systems keep whole seconds only (two on FAT).
COARSE_RACY_NS = 2_100_000_000

# Twice the longest tick of a kernel's coarse clock.
TICK_NS = 20_000_000

_COLUMNS = (
    "key BLOB PRIMARY KEY",
    "dev INTEGER",
    "ino INTEGER",
    "size INTEGER",
    "mtime_ns INTEGER",
    "ctime_ns INTEGER",
    "digest BLOB",
)
_READ_BYTES = 1 << 20
_UNTOLD_BYTES = 1 << 16


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

    def __init__(self, path: Path | None, *, clock: Clock, keeps: bool = True) -> None:
        """With `keeps` False nothing is ever written."""
        self._file = CacheFile(path, "seen", _COLUMNS) if path is not None else None
        self._keeps = keeps
        self._clock = clock
        self._known: dict[bytes, tuple[Stamp, bytes]] = {}
        self._fresh: dict[bytes, tuple[Stamp, bytes]] = {}

    def load(self, keys: Iterable[bytes]) -> None:
        """Read what is kept of these keys (an aspect's letter, then the path) in few queries."""
        wanted = [key for key in keys if key not in self._known]
        rows = self._file.find(wanted) if self._file is not None else ()
        for row in cast("Iterable[tuple[bytes, int, int, int, int, int, bytes]]", rows):
            key, dev, ino, size, mtime_ns, ctime_ns, digest = row
            self._known[key] = (Stamp(dev, ino, size, mtime_ns, ctime_ns), digest)

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
        if self._file is None or not self._fresh or not self._keeps:
            return
        rows = [(key, *stamp, digest) for key, (stamp, digest) in self._fresh.items()]
        self._fresh.clear()
        self._file.keep(rows)

    def content(self, path: bytes, status: os.stat_result | None = None) -> bytes:
        """The BLAKE3-256 digest of a regular file's bytes as they are now.

        Raises OSError where it cannot be read, UnstableFileError where it keeps changing.
        """
        status = status if status is not None else os.lstat(path)
        return self._content(path, stamp_of(status))[1]

    def content_of(self, path: bytes, stamp: Stamp) -> bytes | None:
        """The digest of the bytes that the file has under that stamp; None if it has another now.

        Whoever has just seen the stamp need not look again. Raises what `content` raises.
        """
        seen, digest = self._content(path, stamp)
        return digest if seen == stamp else None

    def _content(self, path: bytes, stamp: Stamp) -> tuple[Stamp, bytes]:
        found = self.find(Aspect.CONTENT, path, stamp)
        if found is not None:
            return stamp, found
        seen, digest = hash_file(path)
        self.remember(Aspect.CONTENT, path, seen, digest)
        return seen, digest


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
            digest = _hash_descriptor(descriptor, before.st_size)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if stamp_of(before) == stamp_of(after):
            return stamp_of(after), digest
    raise UnstableFileError(path)


def _hash_descriptor(descriptor: int, size_bytes: int) -> bytes:
    """The digest of what follows, which is so long unless the file is just being changed."""
    hasher = blake3()
    left = size_bytes
    # Room for a megabyte costs more than a small file does. Where all has been read, more would
    # change the stamp; some files of the system say that they hold nothing, and do.
    while block := os.read(descriptor, min(left, _READ_BYTES) if left > 0 else _UNTOLD_BYTES):
        hasher.update(block)
        left -= len(block)
        if left == 0:
            break
    return hasher.digest()
