"""Paths that are not files on a disk: which count as inputs, and which cannot.

/dev/null and its kin always behave alike. What no run could repeat (clocks, load, free memory, a
process's own /proc) is not an input, as time itself is not; the trace format's page says so. Random
numbers are not either: runs/chance.py says which runs draw them. What describes the machine is an
input by content, read afresh each time because these files have no honest times. Other processes
and devices cannot be promised, so they forbid reuse.
"""

import enum
import re

from ring2_orchestrator.runs.paths import inside


class Class(enum.Enum):
    """How a path outside the disk is treated."""

    FILE = "file"  # an ordinary file
    STEADY = "steady"  # always the same: no input
    FLEETING = "fleeting"  # never the same: no input, as time is none
    MACHINE = "machine"  # a fact of the machine: an input by content
    REFUSED = "refused"  # a run that looked there is not published


_STEADY = frozenset({
    b"/dev", b"/dev/null", b"/dev/zero", b"/dev/full", b"/dev/fd", b"/dev/stdin", b"/dev/stdout",
    b"/dev/stderr", b"/dev/tty",
    b"/dev/ptmx", b"/dev/pts", b"/dev/pts/ptmx", b"/dev/mqueue",
    b"/proc", b"/sys",
})  # fmt: skip
_MEMORY = b"/dev/shm"  # files like others, only not on a disk
_FLEETING = frozenset({
    b"/dev/urandom", b"/dev/random", b"/dev/hwrng", b"/proc/meminfo", b"/proc/stat",
    b"/proc/loadavg", b"/proc/uptime", b"/proc/vmstat", b"/proc/diskstats", b"/proc/interrupts",
    b"/proc/softirqs", b"/proc/zoneinfo", b"/proc/buddyinfo", b"/proc/slabinfo",
    b"/proc/schedstat", b"/proc/pagetypeinfo", b"/proc/self", b"/proc/thread-self",
})  # fmt: skip
# Patterns are compiled when first used: a reused run mostly needs none of them.
_FLEETING_NAMES = (
    rb"^/sys/fs/cgroup/.*/?(?:[a-z]+\.(?:stat|current|pressure|events|peak|numa_stat)"
    rb"|cgroup\.(?:procs|threads))$"
)
_OTHER_PROCESS = rb"^/proc/(\d+)(?:/|$)"
# Any process may ask who its parent is; redoxa itself does, to see whether it is being recorded.
_PARENTAGE = rb"^/proc/\d+/(?:stat|comm)$"
# Lines of /proc/cpuinfo that change from one moment to the next.
_UNSTEADY_LINES = rb"(?m)^(?:cpu MHz|bogomips|BogoMIPS)\s*:.*$"
_LIMIT_BYTES = 1 << 20


def is_pseudo(path: bytes) -> bool:
    """Whether the path lies where the kernel makes files up."""
    if not path.startswith((b"/proc", b"/sys", b"/dev")):
        return False
    if path == _MEMORY or inside(path, _MEMORY):
        return False
    return path in _STEADY or any(inside(path, root) for root in (b"/proc", b"/sys", b"/dev"))


def classify(path: bytes, pids: frozenset[int] = frozenset()) -> Class:
    """How a path is treated in a run that consisted of these processes."""
    if not is_pseudo(path):
        return Class.FILE
    if path in _STEADY or path.startswith((b"/dev/fd/", b"/dev/pts/")):
        return Class.STEADY
    if path in _FLEETING or path.startswith((b"/proc/self/", b"/proc/thread-self/")):
        return Class.FLEETING
    if path.startswith((b"/proc/net/", b"/proc/pressure/")) or re.match(_FLEETING_NAMES, path):
        return Class.FLEETING
    if match := re.match(_OTHER_PROCESS, path):
        known = int(match.group(1)) in pids or re.match(_PARENTAGE, path)
        return Class.FLEETING if known else Class.REFUSED
    return Class.REFUSED if path.startswith(b"/dev/") else Class.MACHINE


def content(path: bytes) -> bytes | None:
    """The bytes of a file that states a fact of the machine; None for every other path."""
    if not path.startswith((b"/proc/", b"/sys/")):
        return None
    with open(path, "rb") as file:  # noqa: PTH123 - a bytes path
        data = file.read(_LIMIT_BYTES)
    return re.sub(_UNSTEADY_LINES, b"", data) if path == b"/proc/cpuinfo" else data
