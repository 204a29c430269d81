"""Has the disk read what a command read last time, while it is being started."""

import os
import stat
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from cid_store.errors import RedoxaError
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.memo import Memo
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.state import What
from ring2_orchestrator.steering.several import available_memory

_SHARE = 0.25  # of the memory there is: more would push out what the run needs next
_CONTENT = frozenset({What.FILE, What.TIMED, What.BYTECODE})


class Prefetch:
    """The files of a command's newest recording. What cannot be read is passed over."""

    def __init__(self, home: Home, subject: str, *, cwd: Path, env: Mapping[str, str]) -> None:
        self._home, self._subject = home, subject
        self._roots = Roots.around(cwd, env)
        self._thread: threading.Thread | None = None
        self.asked_bytes = 0

    def start(self) -> None:
        """Begin; returns at once."""
        paths = list(recorded_files(self._home, self._subject, self._roots))
        self._thread = threading.Thread(target=self._fetch, args=(paths,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Wait until all was asked for, if it was begun."""
        if self._thread is not None:
            self._thread.join()

    def _fetch(self, paths: Iterable[bytes]) -> None:
        available = available_memory()
        left = 0 if available is None else int(available * _SHARE)
        self.asked_bytes = fetch(paths, most_bytes=left)


def recorded_files(home: Home, subject: str, roots: Roots) -> Iterable[bytes]:
    """The files whose content the newest kept run of a command read; none where there is none."""
    with suppress(RedoxaError):
        kept = next(Memo(home).traces(subject), None)
        for row in () if kept is None else kept.trace.inputs:
            if row.state.what in _CONTENT and not row.product:
                yield roots.full(row.path)


def fetch(paths: Iterable[bytes], *, most_bytes: int) -> int:
    """Ask the system to have these files in memory soon, up to so many bytes; how many it was.

    Nothing but regular files is opened: to open a pipe is to take part in it.
    """
    asked = 0
    for path in paths:
        with suppress(OSError):
            status = os.stat(path)  # noqa: PTH116 - bytes, and thousands of them
            if not stat.S_ISREG(status.st_mode) or asked + status.st_size > most_bytes:
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
            finally:
                os.close(descriptor)
            asked += status.st_size
    return asked
