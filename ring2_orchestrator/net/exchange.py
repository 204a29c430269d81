"""One question and its answer over HTTP, and many of them as the store keeps them."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self, TypeVar, cast

from cid_store.cid import Cid
from cid_store.encoding import NodeLike
from cid_store.errors import MalformedNodeError
from cid_store.nodes import get_node, put_node
from cid_store.store import Store
from ring2_orchestrator.net.credentials import Header
from ring2_orchestrator.net.target import Target

_VERSION = 1
# What may stand in one line of HTTP (RFC 9110, 5.6.2 and 5.5), so that no recording adds another.
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LINE = re.compile(r"[^\x00\r\n\u0100-\U0010ffff]*")
_Kind = TypeVar("_Kind")
SAFE = frozenset({"GET", "HEAD"})


class Asked(NamedTuple):
    """A request as a program made it, credentials and all."""

    method: str
    target: Target
    headers: tuple[Header, ...]
    body: bytes = b""


class Answer(NamedTuple):
    """What comes back: the body arrives piece by piece, and may break off (BrokenAnswerError)."""

    status: int
    reason: str
    headers: tuple[Header, ...]
    body: Iterator[bytes]


class Key(NamedTuple):
    """What makes two requests the same, as far as it is kept."""

    method: str
    url: str  # without credentials
    headers: tuple[Header, ...]  # those that say which form is wanted
    sealed: bytes  # keyed digest of what is hidden, and of the body; empty where there is neither


class Exchange(NamedTuple):
    """One request and its whole answer, without credentials."""

    key: Key
    credentials: bool  # the request held some
    status: int
    reason: str
    headers: tuple[Header, ...]
    content: Cid | None  # the body as it was sent
    size: int

    def header(self, name: str) -> str | None:
        """The answer's header of that name (in small letters); several are joined."""
        found = [value for at, value in self.headers if at.lower() == name]
        return ", ".join(found) if found else None

    def node(self) -> dict[str, NodeLike]:
        """As the store keeps it."""
        return {
            "asked": {
                "credentials": self.credentials,
                "headers": [list(header) for header in self.key.headers],
                "method": self.key.method,
                "sealed": self.key.sealed,
                "url": self.key.url,
            },
            "content": self.content,
            "headers": [list(header) for header in self.headers],
            "reason": self.reason,
            "size": self.size,
            "status": self.status,
        }

    @classmethod
    def from_node(cls, node: dict[str, object]) -> Self:
        """The exchange in a node; raises KeyError, TypeError or ValueError for another one."""
        asked = cast("dict[str, object]", node["asked"])
        content = node["content"]
        return cls(
            key=Key(
                _matching(_NAME, asked["method"]),
                _matching(_LINE, asked["url"]),
                _headers(asked["headers"]),
                _of(bytes, asked["sealed"]),
            ),
            credentials=_of(bool, asked["credentials"]),
            status=_within(range(200, 1000), node["status"]),
            reason=_matching(_LINE, node["reason"]),
            headers=_headers(node["headers"]),
            content=None if content is None else _of(Cid, content),
            size=_within(range(1 << 63), node["size"]),
        )


def _of(kind: type[_Kind], value: object) -> _Kind:
    # An int that is a bool is none.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{type(value).__name__} in the place of {kind.__name__}")
    return value


def _within(numbers: range, value: object) -> int:
    number = _of(int, value)
    if number not in numbers:
        raise ValueError(number)
    return number


def _matching(form: re.Pattern[str], value: object) -> str:
    text = _of(str, value)
    if not form.fullmatch(text):
        raise ValueError(text[:80])
    return text


def _headers(node: object) -> tuple[Header, ...]:
    pairs = cast("list[tuple[object, object]]", node)
    return tuple((_matching(_NAME, name), _matching(_LINE, value)) for name, value in pairs)


def put_exchanges(store: Store, exchanges: Sequence[Exchange]) -> Cid:
    """Keep them in their order; equal ones have one name."""
    return put_node(
        store,
        {"exchanges": [each.node() for each in exchanges], "type": "exchanges", "v": _VERSION},
    )


def get_exchanges(store: Store, cid: Cid) -> tuple[Exchange, ...]:
    """What was kept under that name. Raises DamageError or MalformedNodeError."""
    node = get_node(store, cid)
    try:
        return _exchanges_in(cast("dict[str, object]", node))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise MalformedNodeError(
            f"a node that should hold exchanges of version {_VERSION} does not ({error!r}); "
            "run the command again with --no-reuse"
        ) from error


def _exchanges_in(node: dict[str, object]) -> tuple[Exchange, ...]:
    if node["type"] != "exchanges" or node["v"] != _VERSION:
        raise ValueError("another type or version")
    kept = cast("list[dict[str, object]]", node["exchanges"])
    found = tuple(Exchange.from_node(each) for each in kept)
    for each in found:
        Target.of(each.key.url)  # nothing else is asked for again
    return found


def alike(some: Sequence[Exchange], others: Sequence[Exchange]) -> bool:
    """Whether both asked the same and were answered the same, times and such aside."""

    def facts(each: Exchange) -> tuple[object, ...]:
        return each.key, each.status, each.content, each.header("location")

    # In which order two threads ask is chance.
    return sorted(map(facts, some), key=repr) == sorted(map(facts, others), key=repr)
