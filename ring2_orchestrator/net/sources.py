"""Where a run's answers come from: the network, taken down on the way, or a recording."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from cid_store.store import Store
from ring2_orchestrator.net.credentials import Header, Stripper
from ring2_orchestrator.net.errors import BrokenAnswerError, NoAnswerError, RefusedError
from ring2_orchestrator.net.exchange import Answer, Asked, Exchange, Key
from ring2_orchestrator.net.hosts import Hosts
from ring2_orchestrator.net.upstream import Limits, Upstream

Seal = Callable[[bytes], bytes]
_MOST_NOTES = 20


def key_of(asked: Asked, stripper: Stripper, seal: Seal) -> Key:
    """What of a request is compared and kept."""
    url, whole = stripper.url(asked.target), asked.target.url
    sealed = b""
    if asked.body or url != whole:
        # What is hidden still tells requests apart, and a guess of it cannot be confirmed.
        sealed = seal(blake3(whole.encode() + b"\0" + asked.body).digest())
    return Key(asked.method, url, stripper.asked(asked.headers), sealed)


def is_private(headers: Sequence[Header]) -> bool:
    """Whether whoever sent these forbids to store the answer (RFC 9111, 5.2)."""
    return any(
        word.strip().lower().partition("=")[0] == "no-store"
        for name, value in headers
        if name.lower() == "cache-control"
        for word in value.split(",")
    )


@dataclass(slots=True)
class Taken:
    """An exchange; `path` holds the body until it is in the store."""

    exchange: Exchange
    path: Path | None = None
    whole: bool = False


class _Notes:
    """What makes the whole doubtful, each thing once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.notes: list[str] = []
        self.taken: list[Taken] = []

    def note(self, text: str) -> None:
        """Take down one thing."""
        with self.lock:
            if text not in self.notes and len(self.notes) < _MOST_NOTES:
                self.notes.append(text)


class Live(_Notes):
    """The network, as far as it is granted. What it answers is kept in a folder."""

    def __init__(
        self, hosts: Hosts, limits: Limits, *, stripper: Stripper, seal: Seal, folder: Path
    ) -> None:
        super().__init__()
        self._hosts, self._limits = hosts, limits
        self._stripper, self._seal, self._folder = stripper, seal, folder
        self._upstream = Upstream(hosts, limits)
        self._bytes = 0

    def permit(self, host: str, port: int) -> None:
        """Raise RefusedError where the host is not granted."""
        if self._hosts.grant(host, port) is None:
            text = f"{host}:{port}, which is not granted; --net-allow {host}:{port} grants it"
            self.note(f"asked for {text}")
            raise RefusedError(text)

    def answer(self, asked: Asked) -> Answer:
        """What the server says, which is kept on the way."""
        self.permit(asked.target.host, asked.target.port)
        key = key_of(asked, self._stripper, self._seal)
        try:
            answer = self._upstream.ask(asked)
        except NoAnswerError as error:
            self.note(f"{key.method} {key.url}: {error}")
            raise
        credentials = self._stripper.carries_credentials(asked.target, asked.headers)
        headers = self._stripper.answered(answer.headers)
        exchange = Exchange(key, credentials, answer.status, answer.reason, headers, None, 0)
        if is_private(answer.headers) or is_private(asked.headers):
            self.note(f"{key.method} {key.url} may not be stored (Cache-Control: no-store)")
            return answer
        with self.lock:
            taken = Taken(exchange, self._folder / str(len(self.taken)))
            self.taken.append(taken)
        return answer._replace(body=self._keeping(taken, answer.body))

    def _keeping(self, taken: Taken, body: Iterator[bytes]) -> Iterator[bytes]:
        assert taken.path is not None, "its body is only coming"
        key, size = taken.exchange.key, 0
        with taken.path.open("xb") as file:
            try:
                for block in body:
                    size += len(block)
                    if self._has_room(size, len(block)):
                        file.write(block)
                    yield block
            except BrokenAnswerError as error:
                self.note(f"the answer to {key.method} {key.url} broke off: {error}")
                raise
        if size > self._limits.body_bytes or self._bytes > self._limits.all_bytes:
            self.note(f"the answer to {key.method} {key.url} is more than is kept")
        taken.exchange = taken.exchange._replace(size=size)
        taken.whole = True

    def _has_room(self, size: int, more: int) -> bool:
        with self.lock:
            self._bytes += more
            return size <= self._limits.body_bytes and self._bytes <= self._limits.all_bytes


class Kept(_Notes):
    """A recording: every answer as often as it was given, in the order it was given."""

    def __init__(
        self, exchanges: Sequence[Exchange], store: Store, *, stripper: Stripper, seal: Seal
    ) -> None:
        super().__init__()
        self._store, self._stripper, self._seal = store, stripper, seal
        self._left: dict[Key, deque[Exchange]] = {}
        for exchange in exchanges:
            self._left.setdefault(exchange.key, deque()).append(exchange)

    def permit(self, host: str, port: int) -> None:
        """Any host: none is asked."""

    def answer(self, asked: Asked) -> Answer:
        """What was answered then."""
        key = key_of(asked, self._stripper, self._seal)
        with self.lock:
            left = self._left.get(key)
            exchange = left.popleft() if left else None
            if exchange is not None:
                self.taken.append(Taken(exchange, whole=True))
        if exchange is None:
            often = "so often " if left is not None else ""
            text = f"{key.method} {key.url} was not recorded {often}(--net=replay asks nobody)"
            self.note(text)
            raise NoAnswerError(text)
        return Answer(exchange.status, exchange.reason, exchange.headers, self._body(exchange))

    def _body(self, exchange: Exchange) -> Iterator[bytes]:
        if exchange.content is not None:
            yield from self._store.get_stream(exchange.content)
