"""HTTP/1.1 over one socket. The only file that speaks to h11."""

import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import h11

from ring2_orchestrator.net.credentials import Header
from ring2_orchestrator.net.errors import BrokenAnswerError

_BLOCK = 1 << 16
_HEAD_BYTES = 1 << 18


class Head(NamedTuple):
    """The first part of a request (method and target) or of an answer (status and reason)."""

    headers: tuple[Header, ...]
    method: str = ""
    target: str = ""
    status: int = 0
    reason: str = ""


class Wire:
    """One end of a connection. What the other end does wrong raises BrokenAnswerError."""

    def __init__(self, sock: socket.socket, *, server: bool, whole_s: float | None = None) -> None:
        """With `whole_s` nothing more is waited for when so long has passed."""
        self.socket = sock
        self._stall_s = sock.gettimeout()
        self._ends_s = None if whole_s is None else time.monotonic() + whole_s
        self._state = h11.Connection(
            our_role=h11.SERVER if server else h11.CLIENT,
            max_incomplete_event_size=_HEAD_BYTES,
        )

    # As a server.

    def request(self) -> Head | None:
        """The next request's head; None where the other end has nothing more to ask."""
        event = self._event()
        if isinstance(event, h11.ConnectionClosed):
            return None
        if not isinstance(event, h11.Request):
            raise BrokenAnswerError("something else than a request was sent")
        return Head(_text(event.headers), event.method.decode(), event.target.decode("latin-1"))

    def answer(self, status: int, reason: str, headers: Sequence[Header]) -> None:
        """Send the head of an answer."""
        text = reason.encode("latin-1")
        self._send(h11.Response, status_code=status, reason=text, headers=_raw(headers))

    def tunnel(self) -> None:
        """Say that what follows is another protocol."""
        self._send(h11.Response, status_code=200, reason=b"Connection established", headers=[])

    def next_request(self) -> bool:
        """Make ready for one more; whether there may be one."""
        if self._state.our_state is h11.DONE and self._state.their_state is h11.DONE:
            self._state.start_next_cycle()
            return True
        return False

    # As a client.

    def ask(self, method: str, target: str, headers: Sequence[Header]) -> None:
        """Send a request's head."""
        self._send(h11.Request, method=method, target=target, headers=_raw(headers))

    def response(self) -> Head:
        """The head of the answer, past what is only said meanwhile."""
        while isinstance(event := self._event(), h11.InformationalResponse):
            pass
        if not isinstance(event, h11.Response):
            raise BrokenAnswerError("the connection was closed without an answer")
        return Head(
            _text(event.headers),
            status=event.status_code,
            reason=event.reason.decode("latin-1"),
        )

    # As either.

    def body(self) -> Iterator[bytes]:
        """What is sent to us, to its end."""
        if self._state.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse, status_code=100, headers=[])
        while True:
            event = self._event()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return
            else:
                raise BrokenAnswerError("the connection was closed in the middle")

    def send(self, data: bytes) -> None:
        """Some of the body."""
        self._send(h11.Data, data=data)

    def end(self) -> None:
        """The end of the body."""
        self._send(h11.EndOfMessage)

    def close(self) -> None:
        """Let go of the connection, whatever is still under way."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            self.socket.close()

    def _send(self, kind: Callable[..., h11.Event], **parts: object) -> None:
        try:
            data = self._state.send(kind(**parts))  # what cannot be is told by either
        except h11.LocalProtocolError as error:
            raise BrokenAnswerError(f"it cannot be sent on ({error})") from error
        if data:
            self.socket.sendall(data)

    def _event(self) -> object:
        try:
            while (event := self._state.next_event()) is h11.NEED_DATA:
                self._keep_time()
                self._state.receive_data(self.socket.recv(_BLOCK))
        except h11.RemoteProtocolError as error:
            raise BrokenAnswerError(
                f"what was sent is no HTTP, or ended early ({error})"
            ) from error
        return event

    def _keep_time(self) -> None:
        if self._ends_s is None:
            return
        left_s = self._ends_s - time.monotonic()
        if left_s <= 0:
            raise BrokenAnswerError("it did not end in time")
        self.socket.settimeout(left_s if self._stall_s is None else min(left_s, self._stall_s))


def _text(raw: Iterable[tuple[bytes, bytes]]) -> tuple[Header, ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in raw)


def _raw(headers: Sequence[Header]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
