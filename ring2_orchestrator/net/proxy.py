"""A proxy on loopback for one command: every request is answered by a source of answers."""

import base64
import hmac
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from cid_store.errors import RedoxaError
from ring2_orchestrator.net.credentials import Header, end_to_end
from ring2_orchestrator.net.errors import BrokenAnswerError, NoAnswerError
from ring2_orchestrator.net.exchange import Answer, Asked
from ring2_orchestrator.net.target import Target, plain_host
from ring2_orchestrator.net.wire import Head, Wire

_LOOPBACK = "127.0.0.1"
_USER = "redoxa"
_CONNECTIONS = 64
_ASKED_BYTES = 64 << 20
_TLS_RECORD = b"\x16"
_REASONS = {403: "Forbidden", 502: "Bad Gateway", 504: "Gateway Timeout"}


class Source(Protocol):
    """Where answers come from. Both methods raise NoAnswerError, and have then noted why."""

    def permit(self, host: str, port: int) -> None:
        """Whether the host may be asked at all."""
        ...

    def answer(self, asked: Asked) -> Answer:
        """The answer to one request."""
        ...

    def note(self, text: str) -> None:
        """Take down what makes the whole doubtful."""
        ...


class _Place(NamedTuple):
    """What a tunnel leads to."""

    host: str
    port: int


class Proxy:
    """Listens from when it is made until it is closed. Whoever lacks its word is turned away."""

    def __init__(self, source: Source, context: Callable[[str], ssl.SSLContext]) -> None:
        self._source, self._context = source, context
        word = secrets.token_urlsafe(18)
        self._login = base64.b64encode(f"{_USER}:{word}".encode()).decode()
        self._listening, self._reserved, self.port = _two_sockets()
        self.url = f"http://{_USER}:{word}@{_LOOPBACK}:{self.port}"
        self._open: set[Wire] = set()
        self._threads: list[threading.Thread] = []
        self._room = threading.Semaphore(_CONNECTIONS)
        self._lock = threading.Lock()
        self._last: object = None  # the address of our own, last connection
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def address(self) -> str:
        """Where it listens, as the recorder spells addresses."""
        return f"inet:{_LOOPBACK}:{self.port}"

    def close(self, parting_s: float) -> bool:
        """Stop, when what is under way has ended or that time is over; whether all had ended."""
        # What was asked for just before the end still waits in the kernel's queue, in front of us.
        with suppress(OSError), socket.socket() as last:
            last.bind((_LOOPBACK, 0))
            self._last = last.getsockname()
            last.connect((_LOOPBACK, self.port))
            self._accepting.join(parting_s)
        ended = not self._accepting.is_alive()
        for sock in (self._listening, self._reserved):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(parting_s if ended else 0)
            ended = ended and not thread.is_alive()
        with self._lock:
            for wire in self._open:
                wire.close()
        return ended

    def _accept(self) -> None:
        """A thread for each connection, until we say ourselves that there will be no more."""
        while True:
            self._room.acquire()
            try:
                sock, peer = self._listening.accept()
            except OSError:
                return
            if peer == self._last:
                sock.close()
                return
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        wire = Wire(sock, server=True)
        with self._lock:
            self._open.add(wire)
        try:
            self._requests(wire, None)
        except RedoxaError as error:
            self._source.note(f"spoke to the proxy what could not be recorded: {error}")
        except OSError:
            pass  # the program went away; what it had asked for is known
        finally:
            wire.close()
            with self._lock:
                self._open.discard(wire)
            self._room.release()

    def _requests(self, wire: Wire, place: _Place | None) -> None:
        """Answer what comes over one connection, or through the tunnel to a place."""
        while (head := wire.request()) is not None:
            if place is None and not self._is_ours(head):
                _say(wire, 407, "this proxy is for one command alone")
                return
            try:
                if head.method == "CONNECT":
                    self._tunnel(wire, head)
                    return
                self._exchange(wire, head, _target(head, place))
            except ValueError as error:
                self._source.note(f"asked for what cannot be recorded: {error}")
                _say(wire, 400, str(error))
            except NoAnswerError as error:
                _say(wire, error.status, str(error))
            if not wire.next_request():
                return

    def _is_ours(self, head: Head) -> bool:
        said = "".join(at for name, at in head.headers if name.lower() == "proxy-authorization")
        kind, _, login = said.partition(" ")
        return kind.lower() == "basic" and hmac.compare_digest(
            login.strip().encode("latin-1"), self._login.encode()
        )

    def _tunnel(self, wire: Wire, head: Head) -> None:
        host, _, port = head.target.rpartition(":")
        if not port.isdecimal():
            raise ValueError(f"{head.target} names no host and port")
        place = _Place(plain_host(host), int(port))
        self._source.permit(*place)
        wire.tunnel()
        first = wire.socket.recv(1, socket.MSG_PEEK)
        if not first:
            return
        if first != _TLS_RECORD:
            raise BrokenAnswerError(f"no TLS through a tunnel to {place.host}")
        try:
            inner = self._context(place.host).wrap_socket(wire.socket, server_side=True)
        except ssl.SSLError:
            self._source.note(
                f"did not trust the recorder's certificate for {place.host}, which $SSL_CERT_FILE "
                "and its like name"
            )
            return
        # The outer one no longer owns the connection; this one can still be closed from without.
        wire.socket = inner
        self._requests(Wire(inner, server=True), place)

    def _exchange(self, wire: Wire, head: Head, target: Target) -> None:
        body = bytearray()
        for block in wire.body():
            body += block
            if len(body) > _ASKED_BYTES:
                raise BrokenAnswerError(f"more than {_ASKED_BYTES >> 20} MiB in one request")
        asked = Asked(head.method, target, tuple(end_to_end(head.headers)), bytes(body))
        answer = self._source.answer(asked)
        headers = end_to_end(answer.headers)
        there = _tries(lambda: wire.answer(answer.status, answer.reason, headers))
        try:
            for block in answer.body:
                # Who has read enough goes; what it was answered is taken to its end all the same.
                there = there and _tries(lambda data=block: wire.send(data))
        except BrokenAnswerError as error:
            raise ConnectionAbortedError(str(error)) from error  # it is noted already
        if not there:
            raise ConnectionAbortedError("the program went away")
        wire.end()


def _target(head: Head, place: _Place | None) -> Target:
    """What a request is for. Raises ValueError."""
    if place is None:
        return Target.of(head.target)
    if not head.target.startswith("/"):
        raise ValueError(f"{head.target[:80]} is no path")
    target = Target("https", place.host, place.port, head.target)
    named = next((value for name, value in head.headers if name.lower() == "host"), "")
    if Target.of(f"https://{named}/")[:3] != target[:3]:
        raise ValueError(f"a tunnel to {target.authority} was used for another host")
    return target


def _tries(act: Callable[[], None]) -> bool:
    try:
        act()
    except OSError:
        return False
    return True


def _say(wire: Wire, status: int, text: str) -> None:
    """An answer of our own, after which the connection is closed."""
    data = f"redoxa: {text}\n".encode()
    headers: Sequence[Header] = (
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(data))),
        ("Connection", "close"),
        *((("Proxy-Authenticate", 'Basic realm="redoxa"'),) if status == 407 else ()),
    )
    with suppress(OSError, BrokenAnswerError):
        wire.answer(status, _REASONS.get(status, "Refused"), headers)
        wire.send(data)
        wire.end()


def _two_sockets() -> tuple[socket.socket, socket.socket, int]:
    """A listening socket, and one for datagrams that keeps the same number from anyone else.

    The recorder sees the address that a program speaks to, and not by which protocol.
    """
    while True:
        listening = socket.create_server((_LOOPBACK, 0), backlog=_CONNECTIONS)
        port = listening.getsockname()[1]
        reserved = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            reserved.bind((_LOOPBACK, port))
        except OSError:
            listening.close()
            reserved.close()
            continue
        return listening, reserved, port
