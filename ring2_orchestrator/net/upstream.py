"""Asks a real server, if it is granted: the address checked, the certificate verified."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from ring2_orchestrator.net.address import Address, addresses_of
from ring2_orchestrator.net.credentials import Header, end_to_end
from ring2_orchestrator.net.errors import BrokenAnswerError, NoAnswerError
from ring2_orchestrator.net.exchange import Answer, Asked
from ring2_orchestrator.net.hosts import Hosts
from ring2_orchestrator.net.wire import Wire


class Limits(NamedTuple):
    """How long is waited, and how much is taken."""

    connect_s: float = 10.0
    stall_s: float = 60.0  # without a byte
    body_bytes: int = 256 << 20  # of one answer; more passes on and is not kept
    all_bytes: int = 1 << 30  # of one run
    check_s: float = 60.0  # for one question whether an answer still holds, to its end
    parting_s: float = 5.0  # for what is under way when a run has ended


class Upstream:
    """The way to the servers that are granted. Safe to use from several threads."""

    def __init__(
        self,
        hosts: Hosts,
        limits: Limits,
        trust: ssl.SSLContext | None = None,
        *,
        whole_s: float | None = None,
    ) -> None:
        """`whole_s`: after so long an answer breaks off, however busily it comes."""
        self._hosts, self._limits = hosts, limits
        self._trust, self._whole_s = trust, whole_s

    def ask(self, asked: Asked) -> Answer:
        """The server's answer; redirects are answers like others.

        Raises NoAnswerError (RefusedError where it is not granted); the body BrokenAnswerError.
        """
        target = asked.target
        addresses = addresses_of(target.host, target.port, self._hosts)
        wire = Wire(self._connected(asked, addresses), server=False, whole_s=self._whole_s)
        try:
            wire.ask(asked.method, target.path, _headers(asked))
            if asked.body:
                wire.send(asked.body)
            wire.end()
            head = wire.response()
        except (OSError, BrokenAnswerError) as error:
            wire.close()
            raise NoAnswerError(
                f"{target.authority} gave no answer ({_words(error)})", status=_status(error)
            ) from error
        except BaseException:
            wire.close()
            raise
        headers = head.headers
        if any(name.lower() == "transfer-encoding" for name, _ in headers):
            # In pieces it has no length but that of all pieces, whatever else is said.
            headers = tuple(at for at in headers if at[0].lower() != "content-length")
        return Answer(head.status, head.reason, headers, _Body(wire))

    def _connected(self, asked: Asked, addresses: list[Address]) -> socket.socket:
        target = asked.target
        failure: Exception = OSError("it has no address")
        for address in addresses:
            sock = socket.socket(address.family, socket.SOCK_STREAM)
            try:
                sock.settimeout(self._limits.connect_s)
                sock.connect(address.sockaddr)
                if target.scheme == "https":
                    sock = self._context().wrap_socket(sock, server_hostname=target.host)
                sock.settimeout(self._limits.stall_s)
            except OSError as error:  # one of ssl's, too
                with suppress(OSError):
                    sock.close()
                failure = error
            else:
                return sock
        raise NoAnswerError(
            f"{target.authority} cannot be reached ({_words(failure)})", status=_status(failure)
        )

    def _context(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = ssl.create_default_context()
            self._trust.set_alpn_protocols(["http/1.1"])
        return self._trust


def _headers(asked: Asked) -> list[Header]:
    """What is said to the server."""
    # The grant is for the host that was named: no other header may name another one.
    headers = [("Host", asked.target.authority), ("Connection", "close")]
    headers += [
        (name, value)
        for name, value in end_to_end(asked.headers)
        if name.lower() not in ("host", "content-length", "expect")
    ]
    if asked.body or asked.method in ("POST", "PUT", "PATCH"):
        headers.append(("Content-Length", str(len(asked.body))))
    return headers


class _Body(Iterator[bytes]):
    """What a server sends, piece by piece; the connection is closed with it, begun or not."""

    def __init__(self, wire: Wire) -> None:
        self._wire, self._parts = wire, wire.body()

    def __next__(self) -> bytes:
        try:
            return next(self._parts)
        except OSError as error:
            self.close()
            raise BrokenAnswerError(_words(error)) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._wire.close()


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "nothing came for too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)


def _status(error: Exception) -> int:
    return 504 if isinstance(error, TimeoutError) else 502
