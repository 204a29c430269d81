"""Asks one server one thing, at an address that was judged. The only file that knows httpcore."""

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple, cast

import httpcore

from ring2_orchestrator.net.address import Resolver, addresses_of
from ring2_orchestrator.net.credentials import Header
from ring2_orchestrator.net.errors import BrokenAnswerError, NoAnswerError
from ring2_orchestrator.net.hosts import Hosts
from ring2_orchestrator.net.target import Target

_FAILURES = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)


class LostError(NoAnswerError):
    """No whole answer came; the next try, after `wait_s` where that is said, may well have one."""

    def __init__(self, text: str, *, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class Reply(NamedTuple):
    """The head of an answer, and its body as it comes (which may raise BrokenAnswerError)."""

    status: int
    reason: str
    headers: tuple[Header, ...]
    body: AsyncIterator[bytes]


class Client:
    """Speaks HTTP/1.1. Follows nothing, unpacks nothing, remembers nothing, asks no proxy."""

    def __init__(self, hosts: Hosts, *, resolve: Resolver | None = None) -> None:
        self._backend = _Judged(hosts, resolve)
        self._trust: ssl.SSLContext | None = None

    @asynccontextmanager
    async def asking(
        self, target: Target, headers: Iterable[Header], *, connect_s: float, silence_s: float
    ) -> AsyncGenerator[Reply]:
        """The answer to a GET.

        Raises RefusedError where the server is not granted, LostError where it did not answer and
        NoAnswerError where asking once more would be in vain.
        """
        request = httpcore.Request(
            "GET",
            httpcore.URL(
                scheme=target.scheme,
                host=target.host,
                port=target.port,
                target=target.path,
            ),
            headers=[
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in (("Host", target.authority), *headers)
            ],
            extensions={
                "timeout": {
                    "connect": connect_s,
                    "read": silence_s,
                    "write": silence_s,
                    "pool": connect_s,
                }
            },
        )
        async with httpcore.AsyncConnectionPool(
            ssl_context=self._context() if target.scheme == "https" else None,
            network_backend=self._backend,
            http2=False,
            retries=0,
        ) as pool:
            try:
                response = await pool.handle_async_request(request)
            except _FAILURES as error:
                raise _no_answer(target, error) from error
            try:
                yield Reply(
                    response.status,
                    _reason(response),
                    _text(response.headers),
                    _body(response),
                )
            finally:
                await response.aclose()

    def _context(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = ssl.create_default_context()
        return self._trust


class _Judged(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that were judged, never to a name that could answer otherwise."""

    def __init__(self, hosts: Hosts, resolve: Resolver | None) -> None:
        self._hosts, self._resolve = hosts, resolve
        # Without anyio the class is a stand-in of another type, and anyio comes with us.
        self._plain = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        options = {} if self._resolve is None else {"resolve": self._resolve}
        addresses = await asyncio.to_thread(
            addresses_of, host, port, self._hosts, option="--allow", **options
        )
        failure: Exception = httpcore.ConnectError("it has no address")
        for address in addresses:
            try:
                return await self._plain.connect_tcp(
                    str(address.sockaddr[0]), port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _body(response: httpcore.Response) -> AsyncIterator[bytes]:
    try:
        async for block in response.aiter_stream():
            yield block
    except _FAILURES as error:
        raise BrokenAnswerError(_words(error)) from error


def _no_answer(target: Target, error: Exception) -> NoAnswerError:
    text = f"{target.authority} gave no answer ({_words(error)})"
    in_vain = isinstance(error, httpcore.LocalProtocolError | httpcore.UnsupportedProtocol)
    if in_vain or isinstance(_cause(error), ssl.SSLCertVerificationError):
        return NoAnswerError(text)
    return LostError(text)


def _cause(error: BaseException) -> BaseException:
    """What lies at the bottom: httpcore wraps what the system said."""
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return error


def _words(error: Exception) -> str:
    cause = _cause(error)
    if isinstance(error, httpcore.TimeoutException):
        return "nothing came for too long"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {cause.verify_message}"
    if isinstance(error, httpcore.ProtocolError):
        return f"what was sent is no HTTP, or ended early: {error}"
    if isinstance(cause, ConnectionError) and cause.errno:
        return os.strerror(cause.errno)  # asyncio says which call it was
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(error) or str(cause) or type(cause).__name__


def _reason(response: httpcore.Response) -> str:
    told = cast("dict[str, object]", response.extensions)  # pyright: ignore[reportUnknownMemberType]
    raw = told.get("reason_phrase")
    return raw.decode("latin-1") if isinstance(raw, bytes) else ""


def _text(raw: Iterable[tuple[bytes, bytes]]) -> tuple[Header, ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in raw)
