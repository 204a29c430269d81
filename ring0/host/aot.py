"""Compiled kernels kept on disk, so that a process need not compile what an earlier one did.

What is loaded is native code, and the engine accepts most damage to it without a word. So a file
counts only when this user alone can have written it, on this machine, and every byte is what was
written: it carries a keyed BLAKE3 hash over its identity and its content, checked in the very bytes
that are handed to the engine. Whatever fails is as good as absent. Nothing here raises.
"""

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

from blake3 import blake3

from ring0.host.library import VERSION

# Counted up when the meaning of what is kept changes.
_FORMAT = 1
LIMIT_BYTES = 64 * 1024 * 1024
_MAC_BYTES = 32
_KEY = "key"
_KEY_BYTES = 32
_SUFFIX = ".code"
_CPU = Path("/proc/cpuinfo")
_CPU_BYTES = 8192  # the first processor's lines; all of them are of one kind
_CPU_LINES = (b"flags", b"Features", b"vendor_id", b"model name", b"CPU implementer", b"CPU part")


class CodeCache:
    """Native code by what it was made of and for. Any number of processes may share a folder."""

    def __init__(self, folder: Path, key: bytes, machine: bytes) -> None:
        self._folder = folder
        self._key = key
        self._machine = machine

    @classmethod
    def open(cls, folder: Path) -> Self | None:
        """The cache in that folder, made if missing; None where there can be none to trust."""
        try:
            machine = _machine()
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or not _private(found):
                return None
            return cls(folder, _local_key(folder / _KEY), machine)
        except OSError:
            return None

    def find(self, kernel: bytes, configuration: str) -> bytes | None:
        """What was kept for the kernel of that digest under that configuration, or None."""
        identity = self._identity(kernel, configuration)
        try:
            data = _read_private(self._path(identity), LIMIT_BYTES)
        except OSError:
            return None
        if data is None or self._mac(identity, data[_MAC_BYTES:]) != data[:_MAC_BYTES]:
            return None
        return data[_MAC_BYTES:]

    def keep(self, kernel: bytes, configuration: str, content: bytes) -> None:
        """Keep it, where there is room; what was kept before is replaced whole."""
        if _MAC_BYTES + len(content) > LIMIT_BYTES // 4:
            return
        identity = self._identity(kernel, configuration)
        with suppress(OSError):
            _put(self._path(identity), self._mac(identity, content) + content)
            self._make_room()

    def _identity(self, kernel: bytes, configuration: str) -> bytes:
        about = repr((_FORMAT, VERSION, configuration, self._machine, kernel))
        return blake3(about.encode()).digest()

    def _mac(self, identity: bytes, content: bytes) -> bytes:
        hasher = blake3(identity, key=self._key)
        hasher.update(content)
        return hasher.digest(_MAC_BYTES)

    def _path(self, identity: bytes) -> Path:
        return self._folder / (identity[:20].hex() + _SUFFIX)

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
            if total <= LIMIT_BYTES:
                break
            Path(path).unlink()
            total -= status.st_size


def _machine() -> bytes:
    """What native code depends on besides the engine. Raises OSError where it cannot be told."""
    with _CPU.open("rb", buffering=0) as file:
        lines = file.read(_CPU_BYTES).partition(b"\n\n")[0].splitlines()
    told = [line for line in lines if line.startswith(_CPU_LINES)]
    if not any(line.startswith((b"flags", b"Features")) for line in told):
        raise OSError("the processor's features are not known")
    return b"\n".join([sys.platform.encode(), os.uname().machine.encode(), *told])


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
