"""Taking a tree from a folder: names, permissions, contents, links, and nothing else.

Owners and times differ between machines, and a tree's name must not.
"""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from cid_store.cid import Cid
from cid_store.errors import InputError
from cid_store.store import Store
from ring2_orchestrator.tree.content import blocks_of_file, keep_file
from ring2_orchestrator.tree.node import (
    MAX_DEPTH,
    MODE_BITS,
    Entry,
    Folder,
    Link,
    put_tree,
    shown,
    too_deep,
)

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
# A name may have become a pipe since it was listed, and opening one would wait.
_FILE = _FLAGS | os.O_NONBLOCK
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

Progress = Callable[[float], object]


def add_folder(store: Store, path: Path, progress: Progress | None = None) -> Cid:
    """Keep everything below a folder; equal trees have one name on every machine.

    Raises InputError for what a tree cannot hold, cannot be read or changed while it was read.
    """
    try:
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        _fail(os.fsencode(path), error)
    try:
        return _Taking(store, progress).folder(top, os.fsencode(path), 1)
    finally:
        os.close(top)


class _Taking:
    """One tree on its way into the store."""

    def __init__(self, store: Store, progress: Progress | None) -> None:
        self._store = store
        self._progress = progress

    def folder(self, fd: int, path: bytes, depth: int) -> Cid:
        """Keep an open folder with all below it."""
        if depth > MAX_DEPTH:
            raise too_deep(path)
        entries: dict[bytes, Entry] = {}
        for name in map(os.fsencode, os.listdir(fd)):
            where = path + b"/" + name
            try:
                entries[name] = self._entry(fd, name, where, depth)
            except OSError as error:
                _fail(where, error)
        return put_tree(self._store, entries)

    def _entry(self, folder: int, name: bytes, path: bytes, depth: int) -> Entry:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            return Link(os.readlink(name, dir_fd=folder))
        if stat.S_ISDIR(status.st_mode):
            fd = os.open(name, _FLAGS | os.O_DIRECTORY, dir_fd=folder)
            try:
                mode = os.fstat(fd).st_mode & MODE_BITS
                return Folder(mode, self.folder(fd, path, depth + 1))
            finally:
                os.close(fd)
        if not stat.S_ISREG(status.st_mode):
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
            raise InputError(
                f"{shown(path)} is {kind}; a tree holds files, folders and links, so take it away "
                "first"
            )
        fd = os.open(name, _FILE, dir_fd=folder)
        try:
            return self._file(fd, path)
        finally:
            os.close(fd)

    def _file(self, fd: int, path: bytes) -> Entry:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise _changed(path)
        size = before.st_size
        file = keep_file(
            self._store, before.st_mode & MODE_BITS, blocks_of_file(fd, size), lambda: size
        )
        if _stamp(os.fstat(fd)) != _stamp(before):
            raise _changed(path)
        if self._progress is not None:
            self._progress(size)
        return file


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _changed(path: bytes) -> InputError:
    return InputError(f"{shown(path)} changed while it was read; add the folder again")


def _fail(path: bytes, error: OSError) -> NoReturn:
    if error.errno in (errno.ENOENT, errno.ELOOP) and b"/" in path:
        reason = "it is not there, or went away while it was to be read"
    else:
        reason = error.strerror or str(error)
    raise InputError(f"{shown(path)} cannot be read ({reason})") from error
