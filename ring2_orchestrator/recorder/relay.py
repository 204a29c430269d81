"""Carries bytes between the program and us while it runs, keeps them, and watches its helper."""

import contextlib
import errno
import os
import select
import selectors
import signal
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Generator
from types import FrameType
from typing import NamedTuple

from ring2_orchestrator.clock import Clock
from ring2_orchestrator.recorder import terminal
from ring2_orchestrator.recorder.event import Chunk, Doubt, StdinKind
from ring2_orchestrator.recorder.streams import Copy, Streams
from ring2_orchestrator.writing import write_all

_MESSAGE = struct.Struct("<iii")
_BLOCK = 1 << 16
# How long processes that outlive the program may take to end before they count as detached.
_GRACE_S = 0.25
# How long killed processes may take to go; one that waits for a device may never do so.
_LAST_S = 10.0
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT)
_FROM_KEYS = (signal.SIGINT, signal.SIGQUIT)
_STREAMS = ("standard input", "standard output", "standard error")
_READER_GONE = (errno.EPIPE, errno.EIO, errno.ECONNRESET)


class Limits(NamedTuple):
    """What one recording may take; reaching a limit makes the run unpublishable, never wrong."""

    wall_s: float | None = None  # then every process of the run is told to end (SIGTERM)
    grace_s: float = 5.0  # and those that have not ended after this are killed
    output_bytes: int = 256 << 20  # more is shown, and not kept
    input_bytes: int = 256 << 20
    preimage_bytes: int = 4 << 30


class Relay:
    """One run's worth of copying. `run()` returns when the program has ended."""

    def __init__(
        self, streams: Streams, control: socket.socket, limits: Limits, clock: Clock
    ) -> None:
        self.output: list[Chunk] = []
        self.doubts: list[Doubt] = []
        self.ended: tuple[int, int] | None = None  # exit code, signal
        self.exec_errno: int | None = None
        self.done = False  # the helper says that nothing of the run is left
        self.timed_out = False  # it was ended because its time was over
        self.interrupted = False  # we were sent a signal, which we handed on
        self._streams = streams
        self._control = control
        self._limits = limits
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._pending = bytearray(streams.given)
        self._kept_in = bytearray()
        self._kept_out = 0
        self._signals: deque[int] = deque()
        self._open: dict[int, Copy] = {}
        self._leaving = False
        self._alarm_ns: int | None = None
        self._at_alarm = self._stop

    def run(self, meanwhile: Callable[[], None] | None = None) -> None:
        """Copy until the program and its descendants have ended, or the program has left some.

        `meanwhile` is called once, when the program has just begun and hardly needs us.
        """
        streams = self._streams
        keys = streams.source if streams.session else None
        with _raw(keys), self._listening():
            self._watch(self._control.fileno())
            for copy in streams.outputs:
                self._open[copy.source] = copy
                self._watch(copy.source)
            self._watch_source()
            self._push_input()
            if meanwhile is not None:
                meanwhile()
            self._loop()
            if self.done:
                self._drain()
        streams.stdin.data = bytes(self._kept_in)
        streams.stdin.unread += bytes(self._pending)

    # ---- the loop ----

    def _loop(self) -> None:
        self._set_alarm(self._limits.wall_s, self._stop)
        while not self.done and not self._leaving:
            has_ended = self.ended is not None or self.exec_errno is not None
            if has_ended and self._at_alarm == self._stop:
                self._set_alarm(_GRACE_S, self._leave)
            now = self._clock.monotonic_ns()
            if self._alarm_ns is not None and now >= self._alarm_ns:
                self._alarm_ns = None
                self._at_alarm()
                continue
            wait = None if self._alarm_ns is None else (self._alarm_ns - now) / 1e9
            for key, _ in self._selector.select(wait):
                self._on_ready(key.fd)
            while self._signals:
                self._on_signal(self._signals.popleft())

    def _set_alarm(self, seconds: float | None, action: Callable[[], None]) -> None:
        """What to do when nothing else has happened for so long; it takes the place of another."""
        self._at_alarm = action
        self._alarm_ns = None
        if seconds is not None:
            self._alarm_ns = self._clock.monotonic_ns() + int(seconds * 1e9)

    def _stop(self) -> None:
        """Its time is over: let all its processes end by themselves, if they do so soon."""
        limit = self._limits.wall_s
        self.timed_out = True
        self.doubts.append(Doubt("timeout", f"it ran longer than {limit:g} s and was ended"))
        self._send("A", signal.SIGTERM)
        self._send("A", signal.SIGCONT)  # a stopped one could not end
        self._set_alarm(self._limits.grace_s, self._kill)

    def _kill(self) -> None:
        self._send("K")
        self._set_alarm(_LAST_S, self._leave)

    def _on_ready(self, fd: int) -> None:
        if fd == self._control.fileno():
            self._on_message()
        elif fd in self._open:
            self._on_output(self._open[fd])
        elif fd == self._streams.source:
            self._on_input()
        elif fd == self._streams.feed:
            self._push_input()
        else:
            os.read(fd, 512)  # the wake-up pipe: the signals themselves wait in the deque

    # ---- the helper ----

    def _send(self, tag: str, number: int = 0) -> None:
        with contextlib.suppress(OSError):
            self._control.send(_MESSAGE.pack(ord(tag), number, 0))

    def _on_message(self) -> None:
        try:
            message = self._control.recv(_MESSAGE.size)
        except OSError:
            message = b""
        if len(message) != _MESSAGE.size:
            self.done = True  # the helper is gone; the stream will show whether it had finished
            return
        tag, first, second = _MESSAGE.unpack(message)
        if tag == ord("X"):
            self.ended = (first, second)
        elif tag == ord("E"):
            self.exec_errno = first
        elif tag == ord("D"):
            self.done = True

    def _leave(self) -> None:
        """Go without waiting for what the program left behind; the helper copies on for it."""
        self._leaving = True
        fds = [fd for copy in self._open.values() for fd in _handed_over(copy)]
        with contextlib.suppress(OSError):
            socket.send_fds(self._control, [_MESSAGE.pack(ord("L"), 0, 0)], fds)
            self._control.settimeout(10)
            while len(message := self._control.recv(_MESSAGE.size)) == _MESSAGE.size:
                if message[0] == ord("D"):
                    break

    # ---- output ----

    def _on_output(self, copy: Copy) -> bool:
        try:
            data = os.read(copy.source, _BLOCK)
        except OSError as error:
            # A terminal whose last user is gone reads as an error.
            if error.errno not in (errno.EIO, errno.EAGAIN):
                raise
            data = b""
        if not data:
            self._close_output(copy)
            return False
        self._keep(copy.stream, data)
        failure = None if copy.sink is None else _write_all(copy.sink, data)
        if failure is not None:
            # Closing our end lets the program learn it much as it would without us.
            self.doubts.append(output_doubt(copy.stream, failure))
            self._close_output(copy)
            return False
        return True

    def _close_output(self, copy: Copy) -> None:
        self._unwatch(copy.source)
        del self._open[copy.source]
        if copy.source == self._streams.feed:
            self._stop_input()
        self._streams.drop(copy.source)

    def _keep(self, stream: int, data: bytes) -> None:
        self._kept_out += len(data)
        if self._kept_out <= self._limits.output_bytes:
            self.output.append(Chunk(stream, data))
        elif self._kept_out - len(data) <= self._limits.output_bytes:
            self.doubts.append(size_doubt(self._limits.output_bytes))

    def _drain(self) -> None:
        """What is still in the pipes when nobody is left to write more."""
        for copy in list(self._open.values()):
            while self._on_output_ready(copy.source) and self._on_output(copy):
                pass

    def _on_output_ready(self, fd: int) -> bool:
        # A descriptor passed to a stranger would keep the pipe open: never wait for its end.
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(0))

    # ---- input ----

    def _watch_source(self) -> None:
        if self._streams.source is not None:
            try:
                self._watch(self._streams.source)
            except PermissionError:
                self._streams.source = None  # a kind of descriptor that cannot be waited for

    def _on_input(self) -> None:
        source = self._streams.source
        assert source is not None, "only a watched source becomes ready"
        try:
            data = os.read(source, _BLOCK)
        except OSError:
            data = b""
        self._unwatch(source)
        if self._streams.session:
            self.doubts.append(Doubt("terminal-input", "keys were pressed while it ran"))
        if not data:
            self._streams.source = None
        self._pending += data
        self._push_input()

    def _push_input(self) -> None:
        feed = self._streams.feed
        if feed is None:
            return
        if self._pending:
            self._hand_on(feed)
        feed = self._streams.feed
        if feed is None:
            return
        if self._pending:
            self._watch_writable(feed)
            return
        self._unwatch_writable(feed)
        if self._streams.source is not None:
            self._watch_source()
        elif not self._streams.session:
            self._streams.stdin.eof = True
            self._stop_input()

    def _hand_on(self, feed: int) -> None:
        try:
            written = os.write(feed, self._pending[:_BLOCK])
        except BlockingIOError:
            return
        except OSError:
            self._stop_input()  # the program has closed its input: no more is needed
            return
        # Keys may be a password, and a run that was given any is never published: not kept.
        if self._streams.stdin.kind is StdinKind.PIPE:
            self._keep_input(self._pending[:written])
        del self._pending[:written]

    def _keep_input(self, data: bytes | bytearray) -> None:
        limit = self._limits.input_bytes
        if len(self._kept_in) + len(data) <= limit:
            self._kept_in += data
        elif not any(doubt.kind == "input-size" for doubt in self.doubts):
            self.doubts.append(Doubt("input-size", f"it was given more than {limit} bytes"))

    def _stop_input(self) -> None:
        feed, source = self._streams.feed, self._streams.source
        self._streams.stdin.unread += bytes(self._pending)
        self._pending.clear()
        self._streams.feed = self._streams.source = None
        if source is not None:
            self._unwatch(source)
        if feed is not None:
            self._unwatch_writable(feed)
            if feed != self._streams.master:
                self._streams.drop(feed)

    # ---- signals ----

    @contextlib.contextmanager
    def _listening(self) -> Generator[None]:
        """Signals sent to us are the program's; only the main thread may take them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        old_wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._watch(reader)
        old = {
            number: signal.signal(number, self._note)
            for number in (*_PASSED_ON, *_FROM_KEYS, signal.SIGWINCH)
            # What was ignored when we started stays ignored, for the program as well.
            if signal.getsignal(number) not in (signal.SIG_IGN, None)
        }
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(old_wakeup)
            self._unwatch(reader)
            os.close(reader)
            os.close(writer)

    def _note(self, number: int, _: FrameType | None) -> None:
        self._signals.append(number)

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGWINCH:
            if self._streams.master is not None and self._streams.real_terminal is not None:
                terminal.copy_window(self._streams.real_terminal, self._streams.master)
            return
        if number != signal.SIGCONT:
            self.interrupted = True
            self.doubts.append(signal_doubt(number))
        # Keys already reached the program, which shares our terminal's foreground group.
        if number in _FROM_KEYS and not self._streams.session and terminal.has_foreground():
            return
        self._send("G", number)

    # ---- watching ----

    def _watch(self, fd: int) -> None:
        if fd not in self._selector.get_map():
            self._selector.register(fd, selectors.EVENT_READ)

    def _unwatch(self, fd: int) -> None:
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def _watch_writable(self, fd: int) -> None:
        # The terminal's end of ours is read and written through one descriptor.
        both = selectors.EVENT_READ if fd in self._open else 0
        if fd in self._selector.get_map():
            self._selector.modify(fd, both | selectors.EVENT_WRITE)
        else:
            self._selector.register(fd, selectors.EVENT_WRITE)

    def _unwatch_writable(self, fd: int) -> None:
        if fd in self._open:
            self._selector.modify(fd, selectors.EVENT_READ)
        else:
            self._unwatch(fd)


def _raw(fd: int | None) -> contextlib.AbstractContextManager[None]:
    return terminal.raw(fd)


def _handed_over(copy: Copy) -> tuple[int, ...]:
    return (copy.source, copy.sink) if copy.sink is not None else ()


def output_doubt(stream: int, failure: OSError) -> Doubt:
    """Why a stream could not be written, as a reason not to publish the run."""
    name = _STREAMS[stream]
    if failure.errno in _READER_GONE:
        return Doubt("output-closed", f"whoever read {name} stopped reading")
    return Doubt("output-lost", f"{name} could not be written ({failure.strerror})")


def size_doubt(limit_bytes: int) -> Doubt:
    """It wrote more than is kept."""
    return Doubt("output-size", f"it wrote more than {limit_bytes} bytes")


def signal_doubt(number: int) -> Doubt:
    """Whoever recorded it was sent a signal, and handed it on."""
    return Doubt("signal", f"the recording was sent {signal.Signals(number).name}")


def _write_all(fd: int, data: bytes) -> OSError | None:
    """Why not all of it was written, if so."""
    try:
        write_all(fd, data)
    except OSError as error:
        return error
    return None
