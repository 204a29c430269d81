"""Putting back what a run left: each file at once or not at all, and nothing outside the roots.

Folders are opened one component at a time without following links, so a link that someone put in
the way leads nowhere. A file's new content gets its name by one rename (or link) when it is whole.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Mapping
from typing import NoReturn, Self

from cid_store.store import Store
from ring2_orchestrator.runs import bytecode
from ring2_orchestrator.runs.errors import RestoreError
from ring2_orchestrator.runs.paths import folder_of, name_of, shown
from ring2_orchestrator.runs.processes import is_alive
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.state import RESTORE_PREFIX, What
from ring2_orchestrator.runs.trace import Output

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_STEP_NS = 1000  # between outputs that were written one after the other


def restore(
    outputs: Iterable[Output],
    stale: Iterable[bytes],
    *,
    store: Store,
    roots: Roots,
    now_ns: int,
    old: Iterable[bytes] = (),
) -> int:
    """Make the stale paths what the outputs say; how many were written or removed.

    Outputs that are right are left alone, except that the `old` ones get a new time, so that `make`
    agrees that they are up to date. Raises RestoreError; what is already restored then stays, and
    every file is either its old or its new self.
    """
    with _Restorer(store, roots, now_ns) as restorer:
        return restorer.run(list(outputs), set(stale), set(old))


class _Restorer:
    def __init__(self, store: Store, roots: Roots, now_ns: int) -> None:
        self._store = store
        self._roots = roots
        self._now_ns = now_ns
        self._folders: dict[bytes, int] = {}
        self._swept: set[int] = set()
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for descriptor in self._folders.values():
            os.close(descriptor)
        self._folders.clear()

    def run(self, outputs: list[Output], stale: set[bytes], old: set[bytes]) -> int:
        by_path = {self._roots.full(output.path): output for output in outputs}
        self._check_places(by_path)
        wrong = {path: by_path[path] for path in by_path if by_path[path].path in stale}
        done = self._replace(wrong)
        for path in sorted(by_path, key=lambda at: (by_path[at].rank, at)):
            output = by_path[path]
            if output.what == What.FILE and output.path in stale | old:
                self._set_time(path, output)
        return done

    def _check_places(self, paths: Iterable[bytes]) -> None:
        for path in paths:
            if not self._roots.may_write(path):
                raise RestoreError(f"{shown(path)} lies outside the folders a restore may write in")

    def _replace(self, wrong: Mapping[bytes, Output]) -> int:
        done = 0
        # Deepest first, so that folders are empty when they go; then folders from the top; then
        # files, links to files last, because their other name must be right first.
        for path in sorted(wrong, reverse=True):
            if wrong[path].what == What.MISSING:
                done += self._remove(path)
        for path in sorted(wrong):
            if wrong[path].what == What.DIR:
                done += self._make_folder(path, wrong[path])
        for path in sorted(wrong, key=lambda at: (wrong[at].link_to is not None, at)):
            if wrong[path].what in (What.FILE, What.LINK):
                self._place(path, wrong[path])
                done += 1
        return done

    def _folder_of(self, path: bytes) -> tuple[int, bytes]:
        """A descriptor of the folder a path lies in, and the path's last name."""
        name = name_of(path)
        assert name not in (b"", b".", b".."), "outputs have plain names"
        return self._open(folder_of(path), path), name

    def _open(self, folder: bytes, path: bytes) -> int:
        known = self._folders.get(folder)
        if known is not None:
            return known
        anchor = self._roots.anchor(path)
        rest = folder[len(anchor) :].split(b"/")
        try:
            descriptor = os.open(anchor, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            for name in rest:
                if not name:
                    continue
                below = os.open(name, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
        except OSError as error:
            self._fail(folder, error)
        self._folders[folder] = descriptor
        return descriptor

    def _remove(self, path: bytes) -> int:
        try:
            folder, name = self._folder_of(path)
        except RestoreError:
            return 0  # the folder it lay in is gone as well
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                os.rmdir(name, dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            return 0
        except OSError as error:
            self._fail(path, error)
        return 1

    def _make_folder(self, path: bytes, output: Output) -> int:
        folder, name = self._folder_of(path)
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=folder)
            below = os.open(name, _FOLDER, dir_fd=folder)
            try:
                os.fchmod(below, output.mode)
            finally:
                os.close(below)
        except OSError as error:
            self._fail(path, error)
        return 1

    def _place(self, path: bytes, output: Output) -> None:
        folder, name = self._folder_of(path)
        self._refuse_other_types(path, name, folder)
        self._sweep(folder)
        self._count += 1
        temporary = RESTORE_PREFIX + b"%d-%d" % (os.getpid(), self._count)
        try:
            if output.what == What.LINK:
                assert output.target is not None, "a link output has a target"
                os.symlink(output.target, temporary, dir_fd=folder)
            elif output.link_to is not None:
                source, source_name = self._folder_of(self._roots.full(output.link_to))
                os.link(
                    source_name, temporary, src_dir_fd=source, dst_dir_fd=folder,
                    follow_symlinks=False,
                )  # fmt: skip
            else:
                self._write(path, output, folder, temporary)
            self._reveal(temporary, name, folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            self._fail(path, error)

    def _sweep(self, folder: int) -> None:
        """Remove the unfinished files that killed restores left in a folder."""
        if folder in self._swept:
            return
        self._swept.add(folder)
        with contextlib.suppress(OSError):
            for name in map(os.fsencode, os.listdir(folder)):
                pid = name.removeprefix(RESTORE_PREFIX).partition(b"-")[0]
                if name.startswith(RESTORE_PREFIX) and pid.isdigit() and not is_alive(int(pid)):
                    os.unlink(name, dir_fd=folder)

    def _refuse_other_types(self, path: bytes, name: bytes, folder: int) -> None:
        """A folder or device where a file should go is not ours to remove."""
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            return
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
            raise RestoreError(
                f"{shown(path)} is now something that is no file, so it is not replaced"
            )

    def _reveal(self, temporary: bytes, name: bytes, folder: int) -> None:
        # A rename onto another name of the same file does nothing and leaves both names.
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)

    def _write(self, path: bytes, output: Output, folder: int, temporary: bytes) -> None:
        assert output.cid is not None, "a file output has a content"
        data = self._dated(path, self._store.view(output.cid))
        descriptor = _open_nameless(folder)
        nameless = descriptor is not None
        if descriptor is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
        try:
            _write_all(descriptor, data)
            os.fchmod(descriptor, output.mode)
            if nameless:
                # A file without a name leaves nothing behind when this process is killed.
                os.link(f"/proc/self/fd/{descriptor}", temporary, dst_dir_fd=folder)
        finally:
            os.close(descriptor)

    def _dated(self, path: bytes, data: memoryview) -> bytes | memoryview:
        """Python's bytecode with the time its source has now, else Python would ignore it."""
        source = bytecode.source_of(path)
        if source is None:
            return data
        try:
            status = os.lstat(source)
        except OSError:
            return data
        return bytecode.dated(bytes(data), status.st_mtime_ns // 1_000_000_000)

    def _set_time(self, path: bytes, output: Output) -> None:
        """The time the run set, or a new one in the order in which the run wrote."""
        folder, name = self._folder_of(path)
        time_ns = output.mtime_ns
        if time_ns is None:
            time_ns = self._now_ns + output.rank * _STEP_NS
        try:
            os.utime(name, ns=(time_ns, time_ns), dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            self._fail(path, error)

    def _fail(self, path: bytes, error: OSError) -> NoReturn:
        raise RestoreError(
            f"{shown(path)} cannot be put back ({error.strerror or error})"
        ) from error


def _open_nameless(folder: int) -> int | None:
    """A file in the folder that has no name yet; None where the file system has no such thing."""
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None:
        return None
    try:
        return os.open(b".", os.O_WRONLY | flag | os.O_CLOEXEC, 0o600, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            return None
        raise


def _write_all(descriptor: int, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
