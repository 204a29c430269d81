"""Changes to names in folders that are all made, or all taken back.

Folders are opened one component at a time without following links, so a link that someone put in
the way leads nowhere. What is new is made under a name of its own beside the place it is meant for
(`stage`); then names are given and taken away by renames (`reveal`, `set_aside`); until `settle`
whatever stood there before is kept beside it, and `undo` puts it back.
"""

import contextlib
import os
import stat
from collections.abc import Callable
from typing import NoReturn

from ring2_orchestrator.runs.errors import RestoreError
from ring2_orchestrator.runs.paths import folder_of, name_of, shown
from ring2_orchestrator.runs.processes import is_alive
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.state import RESTORE_PREFIX, is_unfinished

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Staging:
    """One set of changes below the roots; used as a context, it closes what it opened."""

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._folders: dict[bytes, int] = {}
        self._swept: set[int] = set()
        self._count = 0
        self._undo: list[Callable[[], None]] = []
        self._finish: list[Callable[[], None]] = []

    def close(self) -> None:
        """Let the folders go."""
        for descriptor in self._folders.values():
            os.close(descriptor)
        self._folders.clear()

    # Places.

    def place(self, path: bytes) -> tuple[int, bytes]:
        """A descriptor of the folder the path lies in, and the path's last name."""
        name = name_of(path)
        assert name not in (b"", b".", b".."), "outputs have plain names"
        return self._open(folder_of(path), path), name

    def status(self, path: bytes) -> os.stat_result | None:
        """What stands at the path; None where nothing does. Raises RestoreError."""
        folder, name = self.place(path)
        try:
            return os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            fail(path, error)

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
            fail(folder, error)
        self._folders[folder] = descriptor
        return descriptor

    # Changes.

    def make_folder(self, path: bytes) -> bool:
        """Make a folder that only we may enter yet; False where one is there."""
        folder, name = self.place(path)
        try:
            os.mkdir(name, 0o700, dir_fd=folder)
        except FileExistsError:
            return False
        self._undo.append(lambda: os.rmdir(name, dir_fd=folder))
        return True

    def stage(self, path: bytes) -> tuple[int, bytes]:
        """The folder and the name under which to make what the path is to become."""
        folder, _ = self.place(path)
        temporary = self._fresh_name()
        self._undo.append(lambda: _unlink(temporary, folder))
        return folder, temporary

    def reveal(self, path: bytes, temporary: bytes) -> None:
        """Give what was staged its name. What had the name is kept until `settle`."""
        folder, name = self.place(path)
        kept = self._fresh_name()
        try:
            os.link(name, kept, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            self._undo.append(lambda: _unlink(name, folder))
        except OSError:
            pass  # no second name is to be had here: this one rename cannot be taken back
        else:
            self._keep(folder, name, kept)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        # A rename onto another name of the same file does nothing and leaves both names.
        _unlink(temporary, folder)

    def set_aside(self, path: bytes) -> None:
        """Take a name away, with all that is below it. It is gone for good with `settle`."""
        folder, name = self.place(path)
        kept = self._fresh_name()
        self._undo.append(lambda: os.rename(kept, name, src_dir_fd=folder, dst_dir_fd=folder))
        self._finish.append(lambda: _remove(kept, folder))
        os.rename(name, kept, src_dir_fd=folder, dst_dir_fd=folder)

    def set_mode(self, path: bytes, mode: int) -> None:
        """Give a file or folder its permissions. Raises OSError."""
        folder, name = self.place(path)
        descriptor = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder
        )
        try:
            was = stat.S_IMODE(os.fstat(descriptor).st_mode)
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)
        # Taking back knows no better way by name; a link in its place has no permissions to harm.
        self._undo.append(lambda: os.chmod(name, was, dir_fd=folder))

    def _keep(self, folder: int, name: bytes, kept: bytes) -> None:
        def bring_back() -> None:
            os.rename(kept, name, src_dir_fd=folder, dst_dir_fd=folder)
            _unlink(kept, folder)  # still there where both are names of one file

        self._undo.append(bring_back)
        self._finish.append(lambda: _unlink(kept, folder))

    def _fresh_name(self) -> bytes:
        self._count += 1
        return RESTORE_PREFIX + b"%d-%d" % (os.getpid(), self._count)

    def sweep(self, path: bytes) -> None:
        """Remove what killed restores left beside the path."""
        try:
            folder, _ = self.place(path)
        except RestoreError:
            return  # there is no such folder yet, or it is said when the path's turn comes
        if folder in self._swept:
            return
        self._swept.add(folder)
        with contextlib.suppress(OSError):
            for name in map(os.fsencode, os.listdir(folder)):  # noqa: PTH208 - a descriptor
                pid = name.removeprefix(RESTORE_PREFIX).partition(b"-")[0]
                if is_unfinished(name) and not is_alive(int(pid)):
                    _remove(name, folder)

    # The end.

    def undo(self) -> None:
        """Take every change back, the last one first."""
        for step in reversed(self._undo):
            with contextlib.suppress(OSError):
                step()

    def settle(self) -> None:
        """Let go of what was kept for taking changes back."""
        for step in self._finish:
            with contextlib.suppress(OSError):
                step()


def fail(path: bytes, error: OSError) -> NoReturn:
    """Say which path cannot be put back, and why."""
    raise RestoreError(f"{shown(path)} cannot be put back ({error.strerror or error})") from error


def _unlink(name: bytes, folder: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _remove(name: bytes, folder: int) -> None:
    """Remove a file, or a folder with all that is in it, following no link."""
    if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        import shutil  # noqa: PLC0415 - few restores remove folders

        shutil.rmtree(name, dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)
