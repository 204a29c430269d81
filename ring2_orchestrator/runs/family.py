"""A process and all that descends from it, ended together. For executions without a recorder."""

import ctypes
import os
import signal
import subprocess
import time
from contextlib import suppress

_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_LAST_S = 10.0
_BETWEEN_S = 0.02


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none gets lost."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_family(child: "subprocess.Popen[bytes]", *, grace_s: float) -> None:
    """Tell all to end, and kill those that have not after `grace_s`.

    `adopt_orphans` must have been called before the child was started.
    """
    for pid in _descendants(os.getpid()):
        _send(pid, signal.SIGTERM)
        _send(pid, signal.SIGCONT)  # a stopped one could not end
    if not _wait_for_none(child, grace_s):
        _wait_for_none(child, _LAST_S, killing=True)


def _wait_for_none(
    child: "subprocess.Popen[bytes]", patience_s: float, *, killing: bool = False
) -> bool:
    """Whether within that time all have ended; the orphans that came to us are reaped."""
    until = time.monotonic() + patience_s
    while True:
        child.poll()
        left = [pid for pid in _descendants(os.getpid()) if not _reaped(pid, child)]
        if not left or time.monotonic() >= until:
            return not left
        for pid in left if killing else ():
            _send(pid, signal.SIGKILL)
        time.sleep(_BETWEEN_S)


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for parent in (waiting := [pid]):
        with suppress(OSError):
            for thread in os.listdir(f"/proc/{parent}/task"):  # noqa: PTH208
                with open(f"/proc/{parent}/task/{thread}/children") as file:  # noqa: PTH123
                    children = [int(word) for word in file.read().split()]
                waiting += children
                found += children
    return found


def _reaped(pid: int, child: "subprocess.Popen[bytes]") -> bool:
    """Whether an orphan had ended, and is gone now."""
    if pid == child.pid:
        return child.returncode is not None
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except OSError:
        return False  # its own parent lives


def _send(pid: int, number: int) -> None:
    with suppress(OSError):
        os.kill(pid, number)
