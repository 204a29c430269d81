"""Putting a tree into a folder. Nothing is ever written outside of it.

Folders are opened one name at a time without following links, and every name was checked to be one
plain name. So whatever the tree says, and whatever others do meanwhile, each file is made in a
folder that was opened from the target itself.
"""

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from cid_store.cid import Cid
from cid_store.errors import DamageError, InputError, UnavailableError
from cid_store.store import Store
from ring2_orchestrator.plainfile import part_prefix
from ring2_orchestrator.tree.node import Entry, Extent, File, Folder, Link, get_tree, shown
from ring2_orchestrator.tree.survey import Limits, Totals, room_on, survey

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SMALL_BYTES = 1 << 20

Progress = Callable[[float], object]


def checkout(
    store: Store,
    cid: Cid,
    path: Path,
    *,
    force: bool = False,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Totals:
    """Make the tree at `path`, which is not there yet or an empty folder; what it holds.

    A new folder appears whole or not at all, and an empty one is emptied again after an error.
    With `force` a folder may hold anything: files and links of the tree replace those of the same
    name, one by one; nothing else is touched. The limits are those of the disk unless given.
    """
    parent = path.absolute().parent
    if not parent.is_dir():
        raise InputError(f"{path} cannot be made: there is no folder {parent}")
    try:
        totals = survey(store, cid, limits if limits is not None else room_on(parent))
        present = _listing(path)
        if present and not force:
            raise InputError(
                f"{path} is not empty; name another folder, or give --force to replace the files "
                "in it that the tree has, too"
            )
        writing = _Writing(store, totals.alike, progress)
        if present is None:
            _make(writing, cid, path)
        else:
            _fill(writing, cid, path, empty=not present)
    except OSError as error:
        _fail(os.fsencode(path), error)
    return totals


def _listing(path: Path) -> list[str] | None:
    """What the folder holds; None where nothing is."""
    try:
        return [entry.name for entry in path.iterdir()]
    except FileNotFoundError:
        if path.is_symlink():
            raise InputError(f"{path} is a link that leads nowhere; name a folder") from None
        return None
    except NotADirectoryError:
        raise InputError(f"{path} is not a folder; name one, or a name that is free") from None


def _make(writing: "_Writing", cid: Cid, path: Path) -> None:
    """Fill a folder of another name beside the place, then give it its name."""
    part = Path(tempfile.mkdtemp(prefix=part_prefix(path), suffix=".part", dir=path.parent))
    try:
        fd = os.open(part, _FOLDER)
        try:
            writing.top(fd, cid, os.fsencode(path))
            os.fchmod(fd, 0o777 & ~_umask())
        finally:
            os.close(fd)
        # Takes the place of an empty folder at most: anything else that came meanwhile stays.
        part.rename(path)
    except BaseException:
        with suppress(OSError):
            _remove(part)
        raise


def _fill(writing: "_Writing", cid: Cid, path: Path, *, empty: bool) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        writing.replace = not empty
        writing.top(fd, cid, os.fsencode(path))
    except BaseException:
        if empty:
            _empty(fd)
        raise
    finally:
        os.close(fd)


class _Writing:
    """One checkout on its way."""

    def __init__(
        self, store: Store, alike: tuple[bytes, bytes] | None, progress: Progress | None
    ) -> None:
        self.replace = False
        self._store = store
        self._alike = alike
        self._progress = progress

    def top(self, fd: int, cid: Cid, path: bytes) -> None:
        """Write the whole tree into the open folder."""
        if self._alike is not None and _folds(fd, *self._alike):
            one, other = map(shown, self._alike)
            raise InputError(
                f"the tree has both {one} and {other}, which are one name on the disk of "
                f"{shown(path)}; check it out on another"
            )
        self._folder(fd, cid, path)

    def _folder(self, fd: int, cid: Cid, path: bytes) -> None:
        for name, entry in get_tree(self._store, cid).items():
            where = path + b"/" + name
            try:
                self._entry(fd, name, entry, where)
            except OSError as error:
                _fail(where, error)

    def _entry(self, folder: int, name: bytes, entry: Entry, path: bytes) -> None:
        if isinstance(entry, Folder):
            self._subfolder(folder, name, entry, path)
            return
        made = name
        if self.replace:
            _check_replaceable(folder, name, path)
            made = b".redoxa-%d.part" % os.getpid()
        try:
            if isinstance(entry, Link):
                os.symlink(entry.target, made, dir_fd=folder)
            else:
                self._file(folder, made, entry, path)
            if made != name:
                os.rename(made, name, src_dir_fd=folder, dst_dir_fd=folder)
        except FileExistsError:
            raise  # not ours to remove
        except BaseException:
            with suppress(OSError):
                os.unlink(made, dir_fd=folder)
            raise

    def _subfolder(self, folder: int, name: bytes, entry: Folder, path: bytes) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=folder)
        except FileExistsError:
            if not self.replace:
                raise
        below = os.open(name, _FOLDER, dir_fd=folder)
        try:
            self._folder(below, entry.tree, path)
            # Last: the tree may forbid writing to it.
            os.fchmod(below, entry.mode)
        finally:
            os.close(below)

    def _file(self, folder: int, name: bytes, file: File, path: bytes) -> None:
        fd = os.open(name, _NEW, 0o600, dir_fd=folder)
        try:
            end = 0
            for extent in file.extents:
                self._extent(fd, extent, path)
                end = extent.offset + extent.length
            if end < file.size:
                os.ftruncate(fd, file.size)
            os.fchmod(fd, file.mode)
        finally:
            os.close(fd)
        if self._progress is not None:
            self._progress(file.size)

    def _extent(self, fd: int, extent: Extent, path: bytes) -> None:
        at, end = extent.offset, extent.offset + extent.length
        for part in self._parts(extent):
            if at + len(part) > end:
                break
            rest = memoryview(part)
            while rest:
                done = os.pwrite(fd, rest, at)
                rest, at = rest[done:], at + done
        else:
            if at == end:
                return
        raise DamageError(
            f"the tree says that {shown(path)} has {extent.length:,} bytes of {extent.data}, and "
            "that object has not as many; it was not made by `redoxa store add`"
        )

    def _parts(self, extent: Extent) -> Iterator[bytes]:
        if extent.length <= _SMALL_BYTES:
            # One more than should be there, so that an object of any size is found out.
            yield self._store.read(extent.data, 0, extent.length + 1)
        else:
            yield from self._store.get_stream(extent.data)


def _check_replaceable(folder: int, name: bytes, path: bytes) -> None:
    """Raise InputError where the name belongs to something that no file may replace."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise InputError(f"{shown(path)} is {kind}, and a file or link in the tree; move it away")


def _folds(folder: int, one: bytes, other: bytes) -> bool:
    """Whether two names are one on the folder's file system, found out by trying."""
    trial = b".redoxa-%d.trial" % os.getpid()
    os.mkdir(trial, 0o700, dir_fd=folder)
    try:
        fd = os.open(trial, _FOLDER, dir_fd=folder)
        try:
            os.close(os.open(one, _NEW, 0o600, dir_fd=fd))
            try:
                os.stat(other, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                return False
            else:
                return True
            finally:
                os.unlink(one, dir_fd=fd)
        finally:
            os.close(fd)
    finally:
        os.rmdir(trial, dir_fd=folder)


def _empty(fd: int) -> None:
    """Take everything out of an open folder that was empty before; what resists stays."""
    for name in os.listdir(fd):
        with suppress(OSError):
            if not stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=fd)
                continue
            os.chmod(name, 0o700, dir_fd=fd)  # the tree may have forbidden to write to it
            below = os.open(name, _FOLDER, dir_fd=fd)
            try:
                _empty(below)
            finally:
                os.close(below)
            os.rmdir(name, dir_fd=fd)


def _remove(path: Path) -> None:
    fd = os.open(path, _FOLDER)
    try:
        _empty(fd)
    finally:
        os.close(fd)
    path.rmdir()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _fail(path: bytes, error: OSError) -> NoReturn:
    if error.errno == errno.EEXIST:
        raise InputError(f"{shown(path)} is there already; give --force to replace it") from error
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        raise InputError(
            f"{shown(path)} is a link or a file, and a folder in the tree; move it away"
        ) from error
    raise UnavailableError(
        f"{shown(path)} cannot be written ({error.strerror or error}); see to it and try again"
    ) from error
