"""Whether a run was alone: two runs of one command in one folder may write each other's files.

Neither waits for the other, for that would change what the commands do; but when two overlap,
neither is published, because each may have taken the other's work for its own.
"""

import fcntl
import os
from pathlib import Path
from typing import Self


class Alone:
    """Presence at one command, from before the program starts until its outputs are read."""

    def __init__(self, home: Path, subject: str) -> None:
        folder = home / "running"
        folder.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(folder / subject, flags, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Tell whoever was first: one byte for each visitor.
            os.write(self._descriptor, b".")
            self._first = False
        else:
            os.ftruncate(self._descriptor, 0)
            self._first = True

    @property
    def so_far(self) -> bool:
        """Whether no other run of the command overlapped until now."""
        return self._first and os.fstat(self._descriptor).st_size == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._descriptor)
