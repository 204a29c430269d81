"""What a standard input can be; apart from the events, because a reused run has no events."""

import enum
import fcntl
import os
import stat


class StdinKind(enum.StrEnum):
    """What the program's standard input was."""

    EMPTY = "empty"  # closed, or the null device
    FILE = "file"  # the file itself, handed on
    PIPE = "pipe"  # bytes that came through a pipe or socket, copied on the way
    TERMINAL = "terminal"
    UNREADABLE = "unreadable"  # open for writing only, as `nohup` leaves it


def is_write_only(descriptor: int) -> bool:
    """Whether reading an open descriptor fails. Raises OSError where it is closed."""
    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY


def is_null_device(status: os.stat_result) -> bool:
    """Whether that is the device from which nobody reads anything."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(1, 3)
