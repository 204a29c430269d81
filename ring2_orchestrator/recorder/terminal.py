"""A terminal for the program when ours is one: same size, same settings, ours put back after."""

import contextlib
import fcntl
import os
import struct
import termios
import tty
from collections.abc import Generator

from ring2_orchestrator.recorder.event import Window


def window_of(fd: int) -> Window | None:
    """The size of that terminal, or None where it has none."""
    try:
        packed = fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8))
    except OSError:
        return None
    rows, columns, _, _ = struct.unpack("HHHH", packed)
    return Window(columns, rows)


def copy_window(source: int, target: int) -> None:
    """Give `target` the size `source` has; whoever runs there is told by SIGWINCH."""
    with contextlib.suppress(OSError):
        size = fcntl.ioctl(source, termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(target, termios.TIOCSWINSZ, size)


def open_like(ours: int, *, session: bool) -> tuple[int, int]:
    """A new terminal (our end, the program's end) with the size and settings of `ours`."""
    master, slave = os.openpty()
    with contextlib.suppress(termios.error):
        settings = termios.tcgetattr(ours)
        if not session:
            # Our terminal goes on turning line ends into CR LF; doing it twice would record it.
            settings[1] &= ~termios.OPOST
        termios.tcsetattr(slave, termios.TCSANOW, settings)
    copy_window(ours, slave)
    return master, slave


def is_foreground(fd: int) -> bool:
    """Whether that terminal is ours to read from."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False


def has_foreground() -> bool:
    """Whether keys like Ctrl-C reach our whole process group by themselves."""
    try:
        fd = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return is_foreground(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def raw(fd: int | None) -> Generator[None]:
    """While the block runs, every key goes through unchanged; the settings come back after."""
    if fd is None:
        yield
        return
    settings = termios.tcgetattr(fd)
    try:
        tty.setraw(fd, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, settings)
