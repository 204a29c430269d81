"""What a store does to its disk, gathered in one place so that a test can make each act fail."""

import errno
import fcntl
import functools
import os
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from cid_store.errors import DamageError, StoreLockedError

FILE_MODE = 0o600  # a store may hold secrets that a program read
FOLDER_MODE = 0o700

CLOCK_TICK_NS = 20_000_000  # two writes of one file within a tick may bear the same time
WRITE_NS = 60 * 1_000_000_000  # a file bears the time at which a write of it began, not ended

_HAS_FDATASYNC = hasattr(os, "fdatasync")
_IOV_MAX = 1024
_READ_BYTES = 1 << 30  # Linux moves at most 2 GiB in one call
_COPY_BYTES = 4 << 20
_RANGE_WRITE = 2  # SYNC_FILE_RANGE_WRITE: begin, wait for nothing


def open_file(path: Path, flags: int) -> int:
    """A descriptor of a regular file; never follows a link, never waits for a pipe."""
    try:
        fd = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, FILE_MODE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _link(path, "file") from error
        # Before anything is opened: a folder to be written to, a pipe that nobody reads.
        if error.errno in (errno.EISDIR, errno.ENXIO):
            raise _irregular(path) from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise _irregular(path)
    return fd


def _irregular(path: Path) -> DamageError:
    return DamageError(f"{path} is not a regular file; a store keeps nothing else there")


def _link(path: Path, kind: str) -> DamageError:
    return DamageError(
        f"{path} is a symbolic link, and a store follows none; put the {kind} itself there"
    )


def is_folder(path: Path) -> bool:
    """Whether there is a folder of the store's own. Raises DamageError for a link to one."""
    if path.is_symlink():
        raise _link(path, "folder")
    return path.is_dir()


def make_folder(path: Path) -> None:
    """Make a private folder and what leads to it, so that it survives a power cut."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(mode=FOLDER_MODE, exist_ok=True)
    sync_folder(path.parent)


def sync_data(fd: int) -> None:
    """Return when the file's bytes are on the disk. After an OSError nothing is known."""
    if _HAS_FDATASYNC:
        os.fdatasync(fd)
    else:  # macOS, where fsync alone stops at the drive's own cache
        fcntl.fcntl(fd, getattr(fcntl, "F_FULLFSYNC", 51))


def sync_file(fd: int) -> None:
    """Return when the file's bytes and its times are on the disk."""
    os.fsync(fd)


def remove(path: Path) -> None:
    """Take a file's name away, if it is there; durable with the folder's next sync."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        if path.is_dir() and not path.is_symlink():  # systems differ in what they call that
            raise _irregular(path) from error
        raise


def sync_folder(path: Path) -> None:
    """Return when the names in a folder are on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


# Nothing is asked of a pack by `fstat` between its writes. Since Linux 6.13 a file whose times were
# looked at notes the time of its next write exactly, which changes its inode, and the sync that
# follows waits for that as well: 0.155 ms, not 0.108.


def length(fd: int) -> int:
    """How many bytes the file has now."""
    return os.lseek(fd, 0, os.SEEK_END)


def has_name(fd: int) -> bool:
    """Whether the open file can still be found in a folder."""
    try:
        name = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - asked for at every put
    except OSError:  # no /proc here
        return os.fstat(fd).st_nlink > 0
    return not name.endswith(" (deleted)")


def preallocate(fd: int, start: int, stop: int) -> None:
    """Give the file room up to `stop`, where the system can; the new bytes read as zeros."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, start, stop - start)


def write_all(fd: int, parts: Sequence[bytes | memoryview], offset: int) -> None:
    """Write the parts one after another from `offset`, all of them or OSError."""
    for start in range(0, len(parts), _IOV_MAX):
        batch = parts[start : start + _IOV_MAX]
        done = os.pwritev(fd, batch, offset)
        size = sum(map(len, batch))
        if done < size:  # the system took less than it was given
            _write_rest(fd, batch, done, offset)
        offset += size


def _write_rest(fd: int, parts: Sequence[bytes | memoryview], written: int, offset: int) -> None:
    for part in parts:
        _write_part(fd, memoryview(part)[written:], offset + min(written, len(part)))
        written = max(0, written - len(part))
        offset += len(part)


def _write_part(fd: int, rest: memoryview, offset: int) -> None:
    while rest:
        done = os.pwrite(fd, rest, offset)
        rest, offset = rest[done:], offset + done


def read_at(fd: int, length: int, offset: int) -> bytes:
    """`length` bytes from `offset`; fewer where the file ends."""
    data = os.pread(fd, min(length, _READ_BYTES), offset)
    if len(data) == length or not data:
        return data
    parts = [data]
    while data and (missing := length - sum(map(len, parts))):
        data = os.pread(fd, min(missing, _READ_BYTES), offset + length - missing)
        parts.append(data)
    return b"".join(parts)


def read_into(fd: int, room: memoryview, offset: int) -> int:
    """Fill the room from `offset`; how much was there."""
    done = 0
    while done < len(room):
        count = os.preadv(fd, [room[done : done + _READ_BYTES]], offset + done)
        if not count:
            break
        done += count
    return done


def start_writing(fd: int, start: int, stop: int) -> None:
    """Let the disk begin with a stretch that was just written, where the system can.

    It promises nothing: only `sync_data` says what is on the disk, and it hears of every error.
    """
    begin = _sync_file_range()
    if begin is not None:
        begin(fd, start, stop - start, _RANGE_WRITE)


@functools.cache
def _sync_file_range() -> Callable[..., object] | None:
    """The function of Linux that Python does not offer."""
    with suppress(ImportError, OSError, AttributeError):
        import ctypes  # noqa: PLC0415 - start-up is performance

        function = ctypes.CDLL(None).sync_file_range
        function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
        return function
    return None


def rewrite(fd: int, start: int, stop: int) -> None:
    """Write a stretch's own bytes over it, so that the next sync covers it whatever came before.

    After a failed sync the system may hold pages it will never write yet calls clean; reading
    them back proves nothing about the disk.
    """
    for offset in range(start, stop, _COPY_BYTES):
        write_all(fd, [read_at(fd, min(_COPY_BYTES, stop - offset), offset)], offset)


def copy_out(fd: int, start: int, path: Path) -> None:
    """Copy everything from `start` to the end into a new file, durably."""
    out = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        at = start
        while data := read_at(fd, _COPY_BYTES, at):
            write_all(out, [data], at - start)
            at += len(data)
        sync_data(out)
    finally:
        os.close(out)
    sync_folder(path.parent)


def random_bytes(count: int) -> bytes:
    """Bytes nobody else draws: they tell one store's files from another's, and name nothing."""
    return os.urandom(count)


class WriterLock:
    """The one writer's lock of a store, among processes; the system drops it with its holder.

    Threads of one process must take turns by other means; the one whose turn it is may hold the
    lock more than once.
    """

    def __init__(self, path: Path, *, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._fd = open_file(path, os.O_RDWR | os.O_CREAT)
        self.depth = 0  # how often it is held

    def take(self) -> None:
        """Hold the lock. Raises StoreLockedError when another process keeps it for too long."""
        if self.depth == 0:
            self._wait()
        self.depth += 1

    def release(self, depth: int) -> None:
        """Hold it as often as before; that `take` ended is not asked, for it may be interrupted."""
        self.depth = depth
        if depth == 0 and self._fd >= 0:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _wait(self) -> None:
        deadline = time.monotonic() + self._timeout_s
        pause_s = 0.0002
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise StoreLockedError(
                        f"the store at {self._path.parent} is being written by another process "
                        f"(waited {self._timeout_s:g} s); try again when that one has ended"
                    ) from None
            else:
                return
            time.sleep(pause_s)
            # Short at first, because a write is short; longer later, to leave the machine alone.
            pause_s = min(pause_s * 1.5, 0.02)

    def close(self) -> None:
        """Let the lock's file go; closing twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
