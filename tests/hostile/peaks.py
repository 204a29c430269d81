"""The most memory that processes have had at once, each for itself.

Not by `getrusage`: its `ru_maxrss` covers all that this process and its children ever did, and a
child begins with what its parent had at the fork, for it outlives `exec` (getrusage(2)).
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

SECONDS_BETWEEN_LOOKS = 0.02


class Peak:
    """What was seen so far: bytes that this process has grown by, or the size of a child."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak begins anew: proc(5)
        self._before = memory(os.getpid(), "VmRSS")
        self._children = 0

    def look(self) -> None:
        """Ask every living child; what one grows to after the last look at it is missed."""
        self._children = max([self._children, *(memory(pid, "VmHWM") for pid in children())])

    @property
    def bytes(self) -> int:
        return max(self._children, memory(os.getpid(), "VmHWM") - self._before)


@contextmanager
def watched() -> Generator[Peak]:
    """Look again and again until the block ends."""
    peak, over = Peak(), Event()

    def keep_looking() -> None:
        while not over.wait(SECONDS_BETWEEN_LOOKS):
            peak.look()

    watcher = Thread(target=keep_looking)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()
        peak.look()


def children() -> list[int]:
    """The children that any thread of this process has started and that run their own program."""
    found: list[int] = []
    for listed in Path("/proc/self/task").glob("*/children"):
        try:
            found += [int(pid) for pid in listed.read_text("ascii").split()]
        except OSError:  # the thread has ended since
            continue
    own = command(os.getpid())
    # Between vfork and exec a child has this process's memory, and its command line.
    return [pid for pid in found if command(pid) != own]


def command(pid: int) -> bytes:
    """How the process was started; nothing of one that is over."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def memory(pid: int, field: str) -> int:
    """A size in /proc/PID/status in bytes; 0 of a process that is over."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:
        return 0
    _, found, rest = status.partition(f"{field}:")
    return int(rest.split()[0]) * 1024 if found else 0
