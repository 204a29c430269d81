"""The allow list: which hosts may be asked. What is not named is refused."""

import enum
from collections.abc import Iterable
from typing import NamedTuple, Self

from cid_store.errors import UsageError
from ring2_orchestrator.net.target import plain_host

_PORTS = range(1, 1 << 16)


class Grant(enum.Enum):
    """How a host is granted."""

    BY_NAME = "by name"  # also where it leads into a private network
    BY_PATTERN = "by pattern"  # only what is public


class Rule(NamedTuple):
    """One grant: a host, or `*.example.org` for all below one, or `*`; at one port, or at each."""

    host: str
    port: int | None = None

    @classmethod
    def of(cls, text: str) -> Self:
        """The rule in a word such as `example.org:8080`. Raises UsageError."""
        try:
            host, port = _divided(text)
            number = None if port is None else _port(port)
            if host == "*":
                return cls(host, number)
            wild = host.startswith("*.")
            plain = plain_host(host[2:] if wild else host)
        except ValueError:
            raise UsageError(
                f"{text!r} names no host; write HOST, HOST:PORT or *.DOMAIN, as in example.org:8080"
            ) from None
        return cls(f"*.{plain}" if wild else plain, number)

    def covers(self, host: str, port: int) -> bool:
        """Whether the rule speaks of that host and port."""
        if self.port not in (None, port):
            return False
        if self.host.startswith("*."):
            return host.endswith(self.host[1:])
        return self.host in ("*", host)


class Hosts:
    """What a person granted; `public` are rules that never lead into a private network."""

    def __init__(self, rules: Iterable[Rule], *, public: Iterable[Rule] = ()) -> None:
        self._rules, self._public = tuple(rules), tuple(public)

    @classmethod
    def of(cls, words: Iterable[str]) -> Self:
        """The list that these words make. Raises UsageError."""
        return cls(Rule.of(word) for word in words)

    def grant(self, host: str, port: int) -> Grant | None:
        """How the host is granted at that port; None where it is not."""
        covering = [rule for rule in self._rules if rule.covers(host, port)]
        if any(rule.host == host for rule in covering):
            return Grant.BY_NAME
        if covering or any(rule.covers(host, port) for rule in self._public):
            return Grant.BY_PATTERN
        return None


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text[:6]) not in _PORTS:
        raise ValueError("no port")
    return int(text)


def _divided(text: str) -> tuple[str, str | None]:
    """Host and port of a word; of `::1` all is the host. Raises ValueError."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed:
            raise ValueError("no end")
        return host, rest[1:] if rest.startswith(":") else rest or None
    if text.count(":") != 1:
        return text, None
    host, _, port = text.partition(":")
    return host, port
