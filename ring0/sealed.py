"""A folder of files that only this user can have written, in this very folder.

Each file carries a keyed BLAKE3 hash over its identity and its content, checked in the very bytes
that are given out. The key lies in the folder and is bound to where it lies, so a copied folder is
a folder of strangers. Whatever fails is as good as absent. Nothing here raises.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Self

from blake3 import blake3

_MAC_BYTES = 32
_KEY = "key"
_KEY_BYTES = 32


class SealedFolder:
    """Contents by their identities, at most `limit_bytes` of them; the oldest go first.

    Any number of processes may share a folder.
    """

    def __init__(self, folder: Path, key: bytes, suffix: str, limit_bytes: int) -> None:
        self._folder = folder
        self._key = key
        self._suffix = suffix
        self._limit_bytes = limit_bytes

    @classmethod
    def open(cls, folder: Path, *, suffix: str, limit_bytes: int) -> Self | None:
        """The folder, made if missing; None where there can be none to trust."""
        try:
            # The mode is that of the last folder made; what lies above may be a home made here.
            folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.mkdir(exist_ok=True, mode=0o700)
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or not _private(found):
                return None
            return cls(folder, _local_key(folder / _KEY), suffix, limit_bytes)
        except OSError:
            return None

    def find(self, identity: bytes) -> memoryview | None:
        """What was kept under that identity, or None."""
        try:
            data = _read_private(self._path(identity), self._limit_bytes)
        except OSError:
            return None
        if data is None:
            return None
        # Views: of code that is loaded in 60 us, each copy would take five.
        mac, content = data[:_MAC_BYTES], memoryview(data)[_MAC_BYTES:]
        return content if self._mac(identity, content) == mac else None

    def keep(self, identity: bytes, content: bytes) -> None:
        """Keep it, where there is room; what was kept before is replaced whole."""
        if _MAC_BYTES + len(content) > self._limit_bytes // 4:
            return
        with suppress(OSError):
            _put(self._path(identity), self._mac(identity, content) + content)
            self._make_room()

    def _mac(self, identity: bytes, content: bytes | memoryview) -> bytes:
        hasher = blake3(identity, key=self._key)
        hasher.update(content)
        return hasher.digest(_MAC_BYTES)

    def _path(self, identity: bytes) -> Path:
        return self._folder / (identity[:20].hex() + self._suffix)

    def _make_room(self) -> None:
        """Remove the oldest files, half-written ones of dead processes among them."""
        with os.scandir(self._folder) as entries:
            found = [
                (entry.stat(follow_symlinks=False), entry.path)
                for entry in entries
                if entry.name != _KEY
            ]
        total = sum(status.st_size for status, _ in found)
        for status, path in sorted(found, key=lambda one: one[0].st_mtime_ns):
            if total <= self._limit_bytes:
                break
            Path(path).unlink()
            total -= status.st_size


def _local_key(path: Path) -> bytes:
    """The folder's secret, bound to where it lies: a copied folder is a folder of strangers."""
    try:
        key, place = _read_key(path)
    except (FileNotFoundError, ValueError):
        path.unlink(missing_ok=True)
        with suppress(FileExistsError):  # another process was first, and its key is the folder's
            _put(path, os.urandom(_KEY_BYTES), replace=False)
        try:
            key, place = _read_key(path)
        except ValueError as error:
            raise OSError(str(error)) from error
    return blake3(key + place).digest()


def _read_key(path: Path) -> tuple[bytes, bytes]:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(fd)
        key = os.read(fd, _KEY_BYTES + 1)
    finally:
        os.close(fd)
    if not stat.S_ISREG(status.st_mode) or not _private(status) or len(key) != _KEY_BYTES:
        raise ValueError(f"{path} is not this user's own key")
    return key, repr((status.st_dev, status.st_ino, status.st_uid)).encode()


def _read_private(path: Path, limit: int) -> bytes | None:
    """The whole of a file that is the user's alone; None for any other."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or not _private(status) or status.st_size > limit:
            return None
        return os.read(fd, status.st_size)
    finally:
        os.close(fd)


def _private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _put(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write a file that appears whole, for its owner alone."""
    # Not synced: after a power cut a file may be torn, and then it fails its check.
    temporary = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        if replace:
            temporary.replace(path)
        else:
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
