"""What a recorded run is made of: values only, no behaviour beyond reading them.

Every path is absolute bytes and canonical: no `.`, no `..`, no symbolic link in it (a link passed
on the way is an event of its own, kind READLINK). A process's own `/proc/PID` is spelled
`/proc/self`. Times are nanoseconds of the monotonic clock since the recording began.
"""

import enum
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from ring2_orchestrator.recorder.stdin_kind import StdinKind


class Kind(enum.StrEnum):
    """What a call did, or was about to do, to the path it names."""

    READ = "read"  # opened for reading only
    WRITE = "write"  # opened for writing; the flags say how
    STAT = "stat"  # asked for existence, type or metadata (also: opened as a directory, O_PATH)
    READLINK = "readlink"  # a symbolic link was read or passed through; path2 is its target
    LIST = "list"  # the names in a directory were read
    EXEC = "exec"  # a program file was executed, or loaded by the kernel for one
    RENAME = "rename"  # path moved to path2
    UNLINK = "unlink"
    RMDIR = "rmdir"
    MKDIR = "mkdir"
    LINK = "link"  # path2 became a further name of path
    SYMLINK = "symlink"  # path became a link; path2 is its target text
    METADATA = "metadata"  # mode, owner, times or extended attributes changed; the flags say which
    TRUNCATE = "truncate"  # cut or extended by name
    MKNOD = "mknod"
    CHDIR = "chdir"
    CONNECT = "connect"  # path is a socket's file, or an address in words (`inet:127.0.0.1:80`)
    BIND = "bind"
    PRESERVE = "preserve"  # nothing happened here: a folder above moves, so the content was kept


class Flag(enum.IntFlag):
    """How it was done. Event.flags is a plain int; test it with `event.flags & Flag.CREATE`."""

    READS = 1  # WRITE: also opened for reading
    TRUNCATE = 2
    APPEND = 4
    CREATE = 8
    EXCLUSIVE = 16
    NAMELESS = 32  # WRITE: O_TMPFILE; path is the folder
    EXCHANGE = 64  # RENAME: both names stay and change places
    KERNEL = 128  # EXEC: loaded by the kernel for the program (interpreter, dynamic loader)
    MODE = 256
    OWNER = 512
    TIMES = 1024
    XATTR = 2048
    NOFOLLOW = 4096  # the call addressed the link itself, not what it points to


class Identity(NamedTuple):
    """What a file was at one moment; equal identities of one path mean the same content."""

    mode: int  # type and permission bits, as in st_mode
    dev: int
    ino: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """The identity that a stat result shows."""
        return cls(
            status.st_mode,
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)


class Event(NamedTuple):
    """One call that touched the file system, in the order the calls were let through.

    `before` is what stood at `path` when the call was stopped, just before it took effect; None
    means nothing stood there (a look-up that failed is an event, too). `before2` says the same of
    `path2` for RENAME and LINK. `preimage` holds the old content of `path` when this call is the
    first in the run that could change a file whose content the run had depended on, or still will;
    `preimage2` that of a RENAME's target.
    """

    kind: Kind
    pid: int
    path: bytes
    path2: bytes | None
    flags: int
    before: Identity | None
    before2: Identity | None
    preimage: Path | None
    preimage2: Path | None
    program: bytes  # the executable that made the call
    time_ns: int


class Again(NamedTuple):
    """A look that told nothing new, but of another process: like the last of its kind there."""

    place: int  # how many events came before it
    pid: int
    path: bytes
    kind: Kind


class Doubt(NamedTuple):
    """One reason why a run must not be published; kind is a stable slug, detail a sentence part.

    Kinds: not-traced, lost-events, unreadable, unknown-call, foreign-abi, network, outside-server,
    outside-pipe, outside-process, foreign-memory, foreign-descriptor, inherited-descriptor,
    shared-memory, keyring, memfd-exec, setuid-exec, file-handle, namespace, machine-state, ptrace,
    terminal-input, detached, signal, killed, timeout, out-of-memory, preimage, output-size,
    output-closed, output-lost, closed-stream, input-size.
    """

    kind: str
    detail: str


class Chunk(NamedTuple):
    """Bytes the program wrote, in the order they arrived; stream is 1 or 2."""

    stream: int
    data: bytes


class Exit(NamedTuple):
    """How the program ended: with a code, or by a signal; the other one is None."""

    code: int | None
    signal: int | None

    @property
    def status(self) -> int:
        """The exit code a shell would show: 128 + n for signal n."""
        if self.signal is not None:
            return 128 + self.signal
        assert self.code is not None, "an exit has a code or a signal"
        return self.code


# What follows is no dataclass: importing those, and making them, takes a tenth of a short run.


class ProcessRecord:
    """One process of the run. What could not be learned is None (or empty for argv)."""

    __slots__ = (
        "argv", "cpu_s", "end_ns", "exe", "exit_code", "max_rss_bytes", "pid", "ppid", "start_ns",
    )  # fmt: skip

    def __init__(
        self, pid: int, ppid: int, exe: bytes, argv: Sequence[bytes], start_ns: int
    ) -> None:
        self.pid = pid
        self.ppid = ppid
        self.exe = exe
        self.argv = argv
        self.start_ns = start_ns
        self.end_ns: int | None = None
        self.cpu_s: float | None = None
        self.max_rss_bytes: int | None = None
        self.exit_code: int | None = None


class StdinRecord:
    """What the program could read from its standard input.

    PIPE: `data` is what was handed on and `eof` whether the end was among it; `unread` was taken
    from it, too, and not handed on. FILE: `path` and the offsets say which part could be read
    (`end` is the offset afterwards); `before` and `after` its identity.
    """

    def __init__(
        self,
        kind: StdinKind,
        data: bytes = b"",
        *,
        eof: bool = True,
        path: bytes | None = None,
        offset: int = 0,
        before: Identity | None = None,
    ) -> None:
        self.kind = kind
        self.data = data
        self.eof = eof
        self.unread = b""
        self.path = path
        self.offset = offset
        self.end = 0
        self.before = before
        self.after: Identity | None = None


class Window(NamedTuple):
    """The size of the terminal the program saw."""

    columns: int
    rows: int


class Recording(NamedTuple):
    """Everything observed of one run. With any doubt, it must never be published."""

    events: list[Event]
    exit: Exit
    output: list[Chunk]
    stdin: StdinRecord
    processes: list[ProcessRecord]
    wall_s: float
    cpu_s: float
    max_rss_bytes: int
    complete: bool
    doubts: list[Doubt]
    # Which of the program's streams 0, 1, 2 were terminals, and how large the terminal was.
    terminals: tuple[bool, bool, bool]
    window: Window | None
    # Streams 1 and 2 were one and the same file, so every chunk says 1.
    merged: bool
    # It was ended because its time was over; we were sent a signal, which it was handed.
    timed_out: bool
    interrupted: bool
    # How many calls of each kind were seen.
    counts: dict[str, int]
    # Reads that told nothing new, but of another process: its place in `processes`, and the path.
    uses: list[tuple[int, bytes]]
    # The same in order, and where a leaf was announced every other look, too.
    again: list[Again]
