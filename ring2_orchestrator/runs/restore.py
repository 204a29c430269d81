"""Putting back what a run left: all of it or nothing, and nothing outside the roots.

Everything new is made beside its place first, then gets its name by one rename each, and only then
goes what the run deleted. So a failure leaves the files as they were, and a kill at any moment
leaves each file its old or its new self and deletes nothing whose successor is not there.
"""

import errno
import os
import stat
from collections.abc import Iterable, Mapping

from cid_store.cid import Cid
from cid_store.store import Store
from ring2_orchestrator.runs import bytecode
from ring2_orchestrator.runs.errors import RestoreError
from ring2_orchestrator.runs.paths import folder_of, join, shown
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.staging import Staging, fail
from ring2_orchestrator.runs.statcache import UnstableFileError, hash_file
from ring2_orchestrator.runs.state import What, is_unfinished
from ring2_orchestrator.runs.times import STEP_NS, Place, times_among
from ring2_orchestrator.runs.trace import Output


def restore(
    outputs: Iterable[Output],
    stale: Iterable[bytes],
    *,
    store: Store,
    roots: Roots,
    now_ns: int,
    newest_ns: int = 0,
    old: Iterable[bytes] = (),
) -> int:
    """Make the stale paths what the outputs say; how many were written or removed.

    Outputs that are right are left alone, except that the `old` ones get a new time, so that `make`
    agrees that they are up to date; a file with the right bytes only gets its mode. New times are
    later than `newest_ns` and, among those of outputs that stand, in the order of writing. Raises
    RestoreError or DamageError; then the files are as they were before.
    """
    staging = Staging(roots)
    try:
        restorer = _Restorer(staging, store, roots, now_ns, newest_ns)
        return restorer.run(list(outputs), set(stale), set(old))
    except BaseException:
        staging.undo()
        raise
    finally:
        staging.close()


class _Restorer:
    def __init__(
        self, staging: Staging, store: Store, roots: Roots, now_ns: int, newest_ns: int
    ) -> None:
        self._staging = staging
        self._store = store
        self._roots = roots
        self._now_ns = now_ns
        self._newest_ns = newest_ns
        self._staged: dict[bytes, bytes] = {}  # by path, the name under which it now waits

    def run(self, outputs: list[Output], stale: set[bytes], old: set[bytes]) -> int:
        by_path = {self._roots.full(output.path): output for output in outputs}
        self._check_places(by_path)
        wrong = {path: by_path[path] for path in sorted(by_path) if by_path[path].path in stale}
        folders = [path for path, output in wrong.items() if output.what == What.DIR]
        files = [path for path, output in wrong.items() if output.what in (What.FILE, What.LINK)]
        shut = {path for path in files if self._lacks_only_its_mode(path, wrong[path])}
        files = [path for path in files if path not in shut]
        times_due = old | {wrong[path].path for path in files}
        for path in by_path:
            self._staging.sweep(path)
        for path in folders:
            self._make_folder(path)
        # Further names of a file come last, when that file is staged itself.
        for path in sorted(files, key=lambda at: wrong[at].link_to is not None):
            self._stage(path, wrong[path])
        doomed = self._removable([path for path in wrong if wrong[path].what == What.MISSING])
        for path in files:
            self._reveal(path)
        self._set_times(by_path, times_due)
        for path in doomed:
            if folder_of(path) not in doomed:
                self._set_aside(path)
        for path in (*shut, *reversed(folders)):
            self._set_mode(path, wrong[path].mode)
        self._staging.settle()
        return len(folders) + len(files) + len(shut) + len(doomed)

    def _check_places(self, paths: Iterable[bytes]) -> None:
        for path in paths:
            if not self._roots.may_write(path):
                raise RestoreError(f"{shown(path)} lies outside the folders a restore may write in")

    def _make_folder(self, path: bytes) -> None:
        """Make the folder, for us alone while it is being filled."""
        try:
            if not self._staging.make_folder(path):
                folder, name = self._staging.place(path)
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if not stat.S_ISDIR(status.st_mode):
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        except OSError as error:
            fail(path, error)

    def _stage(self, path: bytes, output: Output) -> None:
        """Make what the path is to become, under another name beside it."""
        status = self._staging.status(path)
        if status is not None and not (
            stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)
        ):
            # A folder or device where a file should go is not ours to remove.
            raise RestoreError(
                f"{shown(path)} is now something that is no file, so it is not replaced"
            )
        if status is not None and output.mode & stat.S_IWUSR and not self._may_write(path, status):
            fail(path, OSError(errno.EACCES, os.strerror(errno.EACCES)))
        folder, temporary = self._staging.stage(path)
        try:
            if output.what == What.LINK:
                assert output.target is not None, "a link output has a target"
                os.symlink(output.target, temporary, dir_fd=folder)
            elif output.link_to is not None:
                self._link(self._roots.full(output.link_to), folder, temporary)
            else:
                self._write(path, output, folder, temporary)
        except OSError as error:
            fail(path, error)
        self._staged[path] = temporary

    def _may_write(self, path: bytes, status: os.stat_result) -> bool:
        """Whether a run could write what stands there, instead of replacing it."""
        folder, name = self._staging.place(path)
        return not stat.S_ISREG(status.st_mode) or os.access(name, os.W_OK, dir_fd=folder)

    def _link(self, source: bytes, folder: int, temporary: bytes) -> None:
        source_folder, name = self._staging.place(source)
        os.link(
            self._staged.get(source, name), temporary, src_dir_fd=source_folder, dst_dir_fd=folder,
            follow_symlinks=False,
        )  # fmt: skip

    def _write(self, path: bytes, output: Output, folder: int, temporary: bytes) -> None:
        assert output.cid is not None, "a file output has a content"
        parts = self._parts(path, output.cid)
        descriptor = _open_nameless(folder)
        nameless = descriptor is not None
        if descriptor is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
        try:
            for part in parts:
                _write_all(descriptor, part)
            os.fchmod(descriptor, output.mode)
            if nameless:
                # A file without a name leaves nothing behind when this process is killed.
                os.link(f"/proc/self/fd/{descriptor}", temporary, dst_dir_fd=folder)
        finally:
            os.close(descriptor)

    def _parts(self, path: bytes, cid: Cid) -> Iterable[bytes]:
        """The content; a bytecode cache gets its source's time, or Python would ignore it."""
        source = bytecode.source_of(path)
        try:
            status = None if source is None else os.lstat(source)
        except OSError:
            status = None
        if status is None:
            return self._store.get_stream(cid)
        return [bytecode.dated(self._store.get(cid), status.st_mtime_ns // 1_000_000_000)]

    def _removable(self, paths: Iterable[bytes]) -> dict[bytes, os.stat_result]:
        """Those of the paths that are there, each folder holding nothing but others of them."""
        there = {path: status for path in paths if (status := self._standing(path)) is not None}
        for path, status in there.items():
            if not stat.S_ISDIR(status.st_mode):
                continue
            folder, name = self._staging.place(path)
            names = _names_in(path, folder, name)
            if any(join(path, inner) not in there for inner in names):
                fail(path, OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY)))
            if names and not os.access(name, os.W_OK | os.X_OK, dir_fd=folder):
                fail(path, OSError(errno.EACCES, os.strerror(errno.EACCES)))
        return there

    def _standing(self, path: bytes) -> os.stat_result | None:
        try:
            return self._staging.status(path)
        except RestoreError:
            return None  # the folder it lay in is gone as well

    def _reveal(self, path: bytes) -> None:
        try:
            self._staging.reveal(path, self._staged[path])
        except OSError as error:
            fail(path, error)

    def _set_aside(self, path: bytes) -> None:
        try:
            self._staging.set_aside(path)
        except OSError as error:
            fail(path, error)

    def _lacks_only_its_mode(self, path: bytes, output: Output) -> bool:
        """Whether the file holds the right bytes, so that its time need not change."""
        status = self._standing(path) if output.what == What.FILE else None
        if status is None or not stat.S_ISREG(status.st_mode) or status.st_size != output.size:
            return False
        try:
            _, digest = hash_file(path)
        except (OSError, UnstableFileError):
            return False
        assert output.cid is not None, "a file output has a content"
        return digest == output.cid.digest

    def _set_times(self, by_path: Mapping[bytes, Output], changed: set[bytes]) -> None:
        """The times the run set, or new ones in the order in which the run wrote."""
        times = self._new_times(by_path, changed) if changed else {}
        for path, time_ns in times.items():
            folder, name = self._staging.place(path)
            try:
                os.utime(name, ns=(time_ns, time_ns), dir_fd=folder, follow_symlinks=False)
            except OSError as error:
                fail(path, error)

    def _new_times(self, by_path: Mapping[bytes, Output], changed: set[bytes]) -> dict[bytes, int]:
        times: dict[bytes, int] = {}
        ordered: list[Place] = []
        for path, output in by_path.items():
            if output.what != What.FILE:
                continue
            is_changed = output.path in changed
            if output.mtime_ns is None and not output.touched and not bytecode.source_of(path):
                status = None if is_changed else self._staging.status(path)
                ordered.append(Place(path, output.rank, status and status.st_mtime_ns))
            elif is_changed:
                now_ns = self._now_ns + output.rank * STEP_NS
                times[path] = now_ns if output.mtime_ns is None else output.mtime_ns
        return times | times_among(ordered, after_ns=self._newest_ns, now_ns=self._now_ns)

    def _set_mode(self, path: bytes, mode: int) -> None:
        try:
            self._staging.set_mode(path, mode)
        except OSError as error:
            fail(path, error)


def _names_in(path: bytes, folder: int, name: bytes) -> list[bytes]:
    """What lies in a folder, besides unfinished restores. Raises RestoreError."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=folder)
        try:
            names = [os.fsencode(inner) for inner in os.listdir(descriptor)]  # noqa: PTH208 - a descriptor
        finally:
            os.close(descriptor)
    except OSError as error:
        fail(path, error)
    return [inner for inner in names if not is_unfinished(inner)]


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


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
