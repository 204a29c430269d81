"""What the program gets as its streams 0, 1 and 2, and what has to be copied for it."""

import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from ring2_orchestrator.recorder import terminal
from ring2_orchestrator.recorder.event import Doubt, Identity, StdinKind, StdinRecord, Window
from ring2_orchestrator.recorder.stdin_kind import is_null_device, is_write_only


class StdinSource(Protocol):
    """Where input comes from: bytes already taken from it, then what a descriptor still gives."""

    @property
    def descriptor(self) -> int | None:
        """The descriptor that gives the rest; None when there is no rest."""
        ...

    @property
    def held(self) -> bytes:
        """Bytes that come first."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the descriptor has already said that nothing follows."""
        ...


class Stdin(NamedTuple):
    """`Stdin()` is ours, whatever it is; `Stdin(None)` is the null device or the bytes `held`."""

    descriptor: int | None = 0
    held: bytes = b""
    ended: bool = False


class Copy(NamedTuple):
    """Bytes to carry from one descriptor to another (or nowhere), and to keep."""

    source: int
    sink: int | None
    stream: int


class Streams:
    """The program's ends of its three streams, and ours."""

    def __init__(self) -> None:
        # What becomes 0, 1 and 2 of the program; None: it inherits ours as it is.
        self.program: list[int | None] = [None, None, None]
        self.closed: set[int] = set()
        self.outputs: list[Copy] = []
        self.stdin = StdinRecord(StdinKind.EMPTY)
        # Bytes for the program's input go from `source` (None: only what is in `given`) to `feed`.
        self.source: int | None = None
        self.feed: int | None = None
        self.given = b""
        # The terminal we relay: our real one, and our end of the program's.
        self.real_terminal: int | None = None
        self.master: int | None = None
        # The real terminal's keys are relayed, so the program has a session of its own.
        self.session = False
        self.terminals: tuple[bool, bool, bool] = (False, False, False)
        self.window: Window | None = None
        self.merged = False
        self.doubts: list[Doubt] = []
        self._mine: list[int] = []

    def close_program_ends(self) -> None:
        """Let go of what only the program should hold, so that its end can be noticed."""
        for fd in {fd for fd in self.program if fd is not None}:
            os.close(fd)
        self.program = [None, None, None]

    def close(self) -> None:
        """Close every end of ours that is still open."""
        self.close_program_ends()
        for fd in self._mine:
            self.drop(fd)

    def drop(self, fd: int) -> None:
        """Close one end of ours; doing it twice is harmless."""
        if fd in self._mine:
            self._mine = [mine for mine in self._mine if mine != fd]
            os.close(fd)

    def own(self, fd: int) -> int:
        """Remember an end of ours, to close it in the end."""
        self._mine.append(fd)
        return fd


def arrange(stdin: StdinSource, *, forward: bool) -> Streams:
    """Decide and open everything; `forward` False keeps the output without showing it."""
    streams = Streams()
    fd = stdin.descriptor
    streams.terminals = (
        fd is not None and _is_terminal(fd),
        forward and _is_terminal(1),
        forward and _is_terminal(2),
    )
    if any(streams.terminals):
        _arrange_terminal(streams, fd)
    _arrange_input(streams, stdin)
    _arrange_outputs(streams, forward=forward)
    return streams


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


def _above(fd: int) -> int:
    # With one of 0, 1, 2 closed, a new descriptor would take its place and be mistaken for it.
    if fd > 2:
        return fd
    higher = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(fd)
    return higher


def _pair(make: Callable[[], tuple[int, int]]) -> tuple[int, int]:
    first, second = make()
    return _above(first), _above(second)


def _arrange_terminal(streams: Streams, keys: int | None) -> None:
    session = streams.terminals[0]
    ours = keys if session and keys is not None else streams.terminals.index(True)
    master, slave = _pair(lambda: terminal.open_like(ours, session=session))
    streams.session = session
    streams.master = streams.own(master)
    streams.window = terminal.window_of(ours)
    streams.real_terminal = ours
    # Every stream that is a terminal gets a descriptor of its own: each is closed on its own.
    for fd in range(3):
        if streams.terminals[fd]:
            streams.program[fd] = _above(os.dup(slave))
    os.close(slave)
    if session and terminal.is_foreground(ours):
        streams.source, streams.feed = ours, master


def _arrange_input(streams: Streams, stdin: StdinSource) -> None:
    if streams.terminals[0]:
        streams.stdin = StdinRecord(StdinKind.TERMINAL, eof=False)
    elif stdin.descriptor is None and not stdin.held:
        streams.program[0] = _above(os.open(os.devnull, os.O_RDONLY))
    elif stdin.descriptor is None:
        _copy_input(streams, stdin)
    else:
        _inherit_input(streams, stdin, stdin.descriptor)


def _inherit_input(streams: Streams, stdin: StdinSource, fd: int) -> None:
    if not _is_open(fd):
        _leave_closed(streams, 0)
        return
    status = os.fstat(fd)
    mode = status.st_mode
    unreadable = is_write_only(fd)
    if not (unreadable or stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISCHR(mode)):
        _copy_input(streams, stdin)
        return
    if fd != 0:
        streams.program[0] = _above(os.dup(fd))
    if unreadable:
        streams.stdin = StdinRecord(StdinKind.UNREADABLE)
    elif not stat.S_ISCHR(mode):
        streams.stdin = _file_input(fd, status)
    if (unreadable or stat.S_ISCHR(mode)) and not is_null_device(status):
        what = "open for writing" if unreadable else "the device"
        name = Path(f"/proc/self/fd/{fd}").readlink()
        streams.doubts.append(Doubt("outside-pipe", f"standard input is {what} {name}"))


def _file_input(fd: int, status: os.stat_result) -> StdinRecord:
    return StdinRecord(
        StdinKind.FILE,
        path=os.fsencode(Path(f"/proc/self/fd/{fd}").readlink()),
        offset=os.lseek(fd, 0, os.SEEK_CUR) if stat.S_ISREG(status.st_mode) else 0,
        before=Identity.of(status),
    )


def _copy_input(streams: Streams, stdin: StdinSource) -> None:
    streams.stdin = StdinRecord(StdinKind.PIPE, eof=False)
    streams.given = stdin.held
    if not stdin.ended:
        streams.source = stdin.descriptor
    reader, writer = _pair(os.pipe)
    os.set_blocking(writer, False)
    streams.program[0] = reader
    streams.feed = streams.own(writer)


def _arrange_outputs(streams: Streams, *, forward: bool) -> None:
    streams.merged = forward and _same_file()
    if streams.master is not None:
        first = next(fd for fd in (1, 2, 0) if streams.terminals[fd])
        # Keys are echoed, and messages appear, where the real terminal is.
        streams.outputs.append(Copy(streams.master, first, first or 1))
    for fd in (1, 2):
        if streams.terminals[fd]:
            continue
        if forward and not _is_open(fd):
            _leave_closed(streams, fd)
            continue
        if fd == 2 and streams.merged and streams.program[1] is not None:
            streams.program[2] = _above(os.dup(streams.program[1]))
            continue
        reader, writer = _pair(os.pipe)
        streams.own(reader)
        streams.program[fd] = writer
        streams.outputs.append(Copy(reader, fd if forward else None, fd))


def _is_open(fd: int) -> bool:
    try:
        # The command line holds the place of a closed stream with a descriptor that can do nothing.
        return not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_PATH
    except OSError:
        return False


def _leave_closed(streams: Streams, fd: int) -> None:
    # With the stream open again the program could do what it could not do now.
    name = ("input", "output", "error")[fd]
    streams.closed.add(fd)
    streams.doubts.append(Doubt("closed-stream", f"standard {name} was closed"))


def _same_file() -> bool:
    """Whether 1 and 2 are one and the same, so that only one pipe keeps what came in order."""
    try:
        first, second = os.fstat(1), os.fstat(2)
    except OSError:
        return False
    if (first.st_dev, first.st_ino) != (second.st_dev, second.st_ino):
        return False
    if stat.S_ISREG(first.st_mode):
        # Opened twice, each has a place of its own in the file, and writes over the other.
        return os.lseek(1, 0, os.SEEK_CUR) == os.lseek(2, 0, os.SEEK_CUR)
    return True
