"""Private folders for test files: the same ones each time, and never those of another session.

They count for reuse, as tests see where their temporary files lie. Those that pytest itself gives
out are numbered anew each time, below a folder that all projects share.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from blake3 import blake3

from cid_store.errors import InputError
from ring2_orchestrator.pytest_plugin import results

_MOST_SESSIONS = 1000


class Places:
    """The private folders of one session in one project. Close it when the session is over."""

    def __init__(self, project: Path) -> None:
        """Raise InputError where the temporary folder cannot be used."""
        # Short, as tests make sockets below it, whose names may have a hundred letters.
        above = Path(tempfile.gettempdir()) / f"redoxa-of-{os.getuid()}"
        _make_private(above)
        name = blake3(os.fsencode(project)).hexdigest(4)
        for number in range(_MOST_SESSIONS):
            self.folder = above / f"{name}-{number}"
            if (descriptor := _lock(self.folder.with_suffix(".lock"))) is not None:
                self._descriptor = descriptor
                _make_private(self.folder)
                return
        raise InputError(f"{above} holds the locks of {_MOST_SESSIONS} sessions; remove it")

    def of(self, file: Path) -> Path:
        """The folder of one test file."""
        return self.folder / blake3(os.fsencode(file)).hexdigest(4)

    def prepared(self, file: Path) -> Path:
        """The folder of one test file, made and empty."""
        folder = self.of(file)
        _make_private(folder)
        self.empty(folder)
        return folder

    def empty(self, folder: Path, *, keep_temporary: bool = False) -> None:
        """Remove what a test file left there, but for the temporary files if they are wanted."""
        for path in folder.iterdir():
            if keep_temporary and path.name == results.TEMPORARY:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let another session have the folders."""
        os.close(self._descriptor)


def _make_private(folder: Path) -> None:
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise InputError(
            f"{folder} is not yours alone; remove it, or set TMPDIR to a folder of yours"
        )


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock; None where another session has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
