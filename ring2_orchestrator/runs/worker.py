"""One piece of work in a forked process of its own: its streams, and the bytes it answers with."""

import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

_BLOCK = 1 << 16
_HELD_BYTES = 1 << 20  # more than this is shown before the work has ended
# What workers write to is read here and nowhere else: a copy of it in another worker, or in the
# writer itself, would let the writer wait for ever for a reader that is gone.
_read_here: set[int] = set()


class Worker:
    """Started when made. Ask `descriptors` what to wait for, and `read` what became ready.

    With `apart` its standard input is empty, and what it prints is held until it has ended, or
    there is a lot of it: then whole lines are shown. Else its streams are ours.
    """

    def __init__(self, act: Callable[[], bytes], *, apart: bool) -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        ours, theirs = os.pipe()
        pipes = [os.pipe(), os.pipe()] if apart else []
        _read_here.update([ours, *(reader for reader, _ in pipes)])
        self.pid = os.fork()
        if not self.pid:
            for descriptor in _read_here:
                os.close(descriptor)
            _work(act, theirs, [writer for _, writer in pipes])
        os.close(theirs)
        for _, writer in pipes:
            os.close(writer)
        self._answer_fd: int | None = ours
        self._streams = {reader: number for number, (reader, _) in enumerate(pipes, start=1)}
        self._answer = bytearray()
        self._held: list[tuple[int, bytes]] = []
        self._held_bytes = 0
        self._show_at = _HELD_BYTES
        self.status: int | None = None  # as os.waitstatus_to_exitcode gives it

    @property
    def answer(self) -> bytes:
        """What it answered; empty where it ended without."""
        return bytes(self._answer)

    @property
    def descriptors(self) -> list[int]:
        """What may become ready to be read."""
        mine = [] if self._answer_fd is None else [self._answer_fd]
        return [*mine, *self._streams]

    def read(self, descriptor: int) -> bool:
        """Take what is ready there; whether the work has ended now."""
        data = os.read(descriptor, _BLOCK)
        if descriptor != self._answer_fd:
            self._take(descriptor, data)
            return False
        self._answer += data
        if data:
            return False
        _close(descriptor)
        self._answer_fd = None
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        # Whoever it left behind may hold these open for days, so their end is not waited for.
        for stream in list(self._streams):
            while stream in self._streams and select.select([stream], [], [], 0)[0]:
                self._take(stream, os.read(stream, _BLOCK))
            if self._streams.pop(stream, None):
                _close(stream)
        return True

    def output(self) -> list[tuple[int, bytes]]:
        """What may be shown now, in the order it came: stream and bytes."""
        if self.status is not None:
            shown, self._held = self._held, []
            return shown
        if self._held_bytes < self._show_at:
            return []
        shown: list[tuple[int, bytes]] = []
        kept: list[tuple[int, bytes]] = []
        cut: set[int] = set()
        for stream, data in reversed(self._held):
            end = len(data) if stream in cut else data.rfind(b"\n") + 1
            if end:
                cut.add(stream)
                shown.append((stream, data[:end]))
            if data[end:]:
                kept.append((stream, data[end:]))
        self._held = kept[::-1]
        self._held_bytes = sum(len(data) for _, data in kept)
        self._show_at = max(_HELD_BYTES, 2 * self._held_bytes)
        return shown[::-1]

    def abandon(self) -> None:
        """End it without any more interest in what it says, and wait for its end."""
        for descriptor in self._streams:
            _close(descriptor)  # whoever waits to write there must not wait for ever
        self._streams.clear()
        self.send(signal.SIGTERM)
        if self.status is None:
            os.waitpid(self.pid, 0)

    def send(self, number: int) -> None:
        """Signal it, if it still is."""
        if self.status is None:
            with suppress(OSError):
                os.kill(self.pid, number)

    def _take(self, descriptor: int, data: bytes) -> None:
        if data:
            self._held.append((self._streams[descriptor], data))
            self._held_bytes += len(data)
        else:
            _close(descriptor)
            del self._streams[descriptor]


def _close(descriptor: int) -> None:
    _read_here.discard(descriptor)
    os.close(descriptor)


def _work(act: Callable[[], bytes], answer_to: int, outputs: list[int]) -> None:
    """The forked process. It never returns, whatever happens."""
    code = 70
    try:
        # Those of the first process tell its other workers.
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if outputs:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for number, descriptor in enumerate(outputs, start=1):
                os.dup2(descriptor, number)
        answer = memoryview(act())
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        while answer:
            answer = answer[os.write(answer_to, answer) :]
        code = 0
    finally:
        os._exit(code)
