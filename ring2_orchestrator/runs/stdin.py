"""The standard input a run is about to have: looked at without losing a byte of it."""

import fcntl
import os
import select
import stat
from typing import TYPE_CHECKING

from ring2_orchestrator.recorder.stdin_kind import StdinKind, is_null_device, is_write_only
from ring2_orchestrator.runs.state import digest_of
from ring2_orchestrator.runs.surroundings import Stdin

if TYPE_CHECKING:
    from ring2_orchestrator.recorder.event import StdinRecord

# A program that talks with whoever feeds it would never be fed while we wait for its input.
_PATIENCE_S = 2.0
_READ_BYTES = 1 << 16
_PATH_ONLY = getattr(os, "O_PATH", 0)

EMPTY = Stdin("empty")


class StandardInput:
    """One descriptor. What had to be read of a pipe is kept in `held`, for the program to come."""

    def __init__(self, descriptor: int = 0) -> None:
        self.descriptor = descriptor
        self.kind = kind_of(descriptor)
        self._unread = _unread_fact(self.kind, descriptor)
        self.held = b""
        self.ended = False
        self._start = os.lseek(descriptor, 0, os.SEEK_CUR) if self.kind is StdinKind.FILE else 0

    def give_back(self, record: "StdinRecord") -> None:
        """Hold what a run took of a pipe, so that another try would be given the same."""
        if self.kind is StdinKind.PIPE:
            self.held = record.data + record.unread

    def rewind(self) -> None:
        """Set a file back to where it stood at first, for another try."""
        if self.kind is StdinKind.FILE:
            os.lseek(self.descriptor, self._start, os.SEEK_SET)

    def like(self, recorded: Stdin) -> Stdin:
        """The input in the terms of a recorded one: equal to it when the run would see no other."""
        if self._unread is not None:
            return self._unread
        if self.kind is StdinKind.FILE:
            return file_fact(rest_of_file(self.descriptor))
        return self._pipe_like(recorded)

    def move(self, by: int) -> None:
        """Leave a file where the program would: whoever reads it next goes on from there."""
        if by:
            os.lseek(self.descriptor, by, os.SEEK_CUR)

    def _pipe_like(self, recorded: Stdin) -> Stdin:
        if recorded.kind == "pipe" and not recorded.size and not recorded.eof:
            # The run read nothing and did not wait for an end: only bytes would be a difference.
            self._read_until(1, patience_s=0.0)
            return recorded if not self.held else Stdin("pipe", size=len(self.held), eof=False)
        wanted = recorded.size + (1 if recorded.eof else 0)
        self._read_until(wanted, patience_s=_PATIENCE_S if recorded.size else 0.0)
        return pipe_fact(self.held[:wanted], eof=self.ended and len(self.held) <= recorded.size)

    def _read_until(self, size: int, *, patience_s: float) -> None:
        """Hold at least `size` bytes, or all there are until the end or for want of patience."""
        while len(self.held) < size and not self.ended:
            ready, _, _ = select.select([self.descriptor], [], [], patience_s)
            if not ready:
                return
            block = os.read(self.descriptor, _READ_BYTES)
            self.held += block
            self.ended = not block


def kind_of(descriptor: int) -> StdinKind:
    """What a descriptor is, for a program that reads it."""
    try:
        status = os.fstat(descriptor)
        if os.isatty(descriptor):
            return StdinKind.TERMINAL
        if is_write_only(descriptor):
            return StdinKind.UNREADABLE
    except OSError:
        return StdinKind.EMPTY
    if stat.S_ISREG(status.st_mode):
        return StdinKind.FILE
    return StdinKind.EMPTY if stat.S_ISCHR(status.st_mode) else StdinKind.PIPE


def _is_closed(descriptor: int) -> bool:
    try:
        # The command line holds the place of a closed stream with a descriptor that can do nothing.
        return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & _PATH_ONLY)
    except OSError:
        return True


def _unread_fact(kind: StdinKind, descriptor: int) -> Stdin | None:
    """What can be said of an input without reading it; None where it has to be read."""
    if kind in (StdinKind.FILE, StdinKind.PIPE):
        return None
    if _is_closed(descriptor):
        return Stdin("closed")  # reading it fails, so no run with another input is like it
    if kind is not StdinKind.TERMINAL and not is_null_device(os.fstat(descriptor)):
        return Stdin("device")  # what it gives, or what a run writes to it, is not known
    return Stdin(kind.value)


def rest_of_file(descriptor: int) -> bytes:
    """The bytes from the descriptor's place to the end; the place does not move."""
    at = os.lseek(descriptor, 0, os.SEEK_CUR)
    parts: list[bytes] = []
    while block := os.pread(descriptor, 1 << 20, at):
        parts.append(block)
        at += len(block)
    return b"".join(parts)


def file_fact(data: bytes) -> Stdin:
    """A file with these bytes still to be read."""
    return Stdin("file", digest_of(data), len(data)) if data else EMPTY


def pipe_fact(data: bytes, *, eof: bool) -> Stdin:
    """A pipe that gave these bytes, and perhaps its end."""
    return EMPTY if eof and not data else Stdin("pipe", digest_of(data), len(data), eof)


def moved(record: "StdinRecord") -> int:
    """How many bytes further a file stood after the run: it may be another's input, too."""
    return record.end - record.offset if record.kind is StdinKind.FILE else 0


def recorded_fact(record: "StdinRecord", file_rest: bytes | None) -> Stdin:
    """What a finished run could read. `file_rest` is what a file held when the run began."""
    if record.kind is StdinKind.PIPE:
        return pipe_fact(record.data, eof=record.eof)
    if record.kind is StdinKind.FILE:
        # A folder as standard input is like no other input, not even itself.
        return Stdin("file") if file_rest is None else file_fact(file_rest)
    return Stdin(record.kind.value)
