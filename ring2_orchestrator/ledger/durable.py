"""Small files that survive a power cut: written where told, waited for, named last."""

import errno
import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ring2_orchestrator.ledger.errors import LedgerBusyError, LedgerUnreadableError
from ring2_orchestrator.plainfile import open_plain, read_plain

_WRITE = os.O_WRONLY | os.O_CREAT


def read(path: Path, *, limit: int) -> bytes:
    """The file's first `limit` bytes; empty if there is no file. Raises LedgerUnreadableError."""
    try:
        return read_plain(path, limit=limit)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        raise _unreadable(path, error) from error


def size(path: Path) -> int:
    """The file's length; 0 if there is no file. Raises LedgerUnreadableError."""
    try:
        return path.lstat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> LedgerUnreadableError:
    if error.errno == errno.ELOOP and path.is_symlink():
        return LedgerUnreadableError(
            f"{path} is a symbolic link, and none is followed there; put the file itself there"
        )
    return LedgerUnreadableError(
        f"{path} cannot be read ({error.strerror}); give it back to its owner as a plain file, "
        "then try again"
    )


def make_folder(path: Path) -> None:
    """Make a ledger's private folder, or see that there is one.

    Raises LedgerUnreadableError where something else has its name, and OSError.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except FileExistsError:
        if path.is_symlink():
            raise LedgerUnreadableError(
                f"ledger {path} is a link to {path.readlink()}, where there is no folder; mount "
                "the disk it lies on or, if it is gone for good, remove the link"
            ) from None
        raise LedgerUnreadableError(
            f"ledger {path} is no folder; move away what is there, and restore the folder from a "
            "copy"
        ) from None


def write_at(path: Path, offset: int, data: bytes, *, sync: bool, base: Path) -> None:
    """Make the file end with `data` at `offset`; with `sync`, return when it is on the disk."""
    refuse_links(path.parent, base)
    new = not path.exists()
    if new:
        _make_folders(path.parent, base)
    descriptor = open_plain(path, _WRITE)
    try:
        _write_all(descriptor, data, offset)
        if os.fstat(descriptor).st_size > offset + len(data):
            os.ftruncate(descriptor, offset + len(data))
        if sync:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    if new:
        sync_folder(path.parent)


def create(path: Path, data: bytes) -> None:
    """Make a private file that holds `data` whole, or none. Raises FileExistsError.

    One process at a time: the caller holds a lock.
    """
    if os.path.lexists(path):
        raise FileExistsError(path)
    beside(path).unlink(missing_ok=True)
    replace(path, data)


def replace(path: Path, data: bytes) -> None:
    """Give the file new content: after a power cut it holds the old bytes or the new, whole."""
    prepare(path, data)
    put_in_place(path)


def beside(path: Path) -> Path:
    """Where a file's new content waits until it is put in place."""
    return path.with_name(path.name + ".new")


def prepare(path: Path, data: bytes) -> None:
    """Write a file's new content, all of it, on the disk; its name there may still be lost."""
    descriptor = open_plain(beside(path), _WRITE | os.O_TRUNC)
    try:
        _write_all(descriptor, data, 0)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(path: Path) -> None:
    """Let prepared content be the file's."""
    beside(path).replace(path)
    # Without this the rename itself may be lost, and with it an acknowledged entry.
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Return when the folder's names are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, *, timeout_s: float) -> Generator[None]:
    """Hold the lock file alone; it lets go by itself when its process dies."""
    descriptor = open_plain(path, os.O_RDWR | os.O_CREAT)
    try:
        _acquire(descriptor, path, timeout_s)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked_folder(folder: Path, *, timeout_s: float) -> Generator[None]:
    """Hold the folder itself alone, so that no file of ours has to lie in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _acquire(descriptor, folder, timeout_s)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    pause = 0.0005
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise LedgerBusyError(
                    f"another process has held {path} for {timeout_s:g} s; "
                    "wait for it to finish, then try again"
                ) from None
            time.sleep(pause)
            pause = min(2 * pause, 0.02)
        else:
            return


def refuse_links(folder: Path, base: Path) -> None:
    """Raise OSError where the folder, or one between it and `base`, is a symbolic link."""
    # Whoever reads checks every hash; whoever writes must know whose folder it is.
    while folder != base:
        if folder.is_symlink():
            raise OSError(errno.ELOOP, f"{folder.name} is a symbolic link", str(folder))
        folder = folder.parent


def _make_folders(folder: Path, base: Path) -> None:
    # Each new folder's own name must reach the disk before a file below it is relied upon.
    missing: list[Path] = []
    while folder != base and not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        sync_folder(path.parent)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
