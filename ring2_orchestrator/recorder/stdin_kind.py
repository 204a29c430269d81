"""What a standard input can be; apart from the events, because a reused run has no events."""

import enum


class StdinKind(enum.StrEnum):
    """What the program's standard input was."""

    EMPTY = "empty"  # closed, or the null device
    FILE = "file"  # the file itself, handed on
    PIPE = "pipe"  # bytes that came through a pipe or socket, copied on the way
    TERMINAL = "terminal"
