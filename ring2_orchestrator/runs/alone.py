"""Whether a run was alone: two runs of one command in one folder may write each other's files.

Neither waits for the other, for that would change what the commands do; but when two overlap,
neither is published, because each may have taken the other's work for its own.
"""

import fcntl
import os
from pathlib import Path
from typing import Self

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
# No subject is called this: subjects are hexadecimal.
_GATE = "gate"


class Alone:
    """Presence at one command, from before the program starts until its outputs are read.

    Presence is a shared lock on `descriptor`. Whoever keeps a copy of the descriptor prolongs it:
    the recorder's helper does, so that a program whose recorder was killed still counts as present.
    """

    def __init__(self, home: Path, subject: str) -> None:
        folder = home / "running"
        folder.mkdir(mode=0o700, exist_ok=True)
        self.descriptor = os.open(folder / subject, _FLAGS, 0o600)
        # Coming is a matter of several steps, so all who come pass one by one.
        gate = os.open(folder / _GATE, _FLAGS, 0o600)
        try:
            fcntl.flock(gate, fcntl.LOCK_EX)
            self._first = self._enter()
        finally:
            os.close(gate)

    def _enter(self) -> bool:
        """Be present from now on; whether nobody else was."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Tell whoever was first: one byte for each visitor.
            os.write(self.descriptor, b".")
            first = False
        else:
            os.ftruncate(self.descriptor, 0)
            first = True
        fcntl.flock(self.descriptor, fcntl.LOCK_SH)
        return first

    @property
    def so_far(self) -> bool:
        """Whether no other run of the command overlapped until now."""
        return self._first and os.fstat(self.descriptor).st_size == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self.descriptor)
