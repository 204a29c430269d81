"""A recording from elsewhere is read as what it is, or refused: it adds no line and asks nobody."""

from typing import cast

import pytest

from cid_store.cid import Cid
from cid_store.encoding import Node, NodeLike
from cid_store.errors import MalformedNodeError
from cid_store.memory import MemoryStore
from cid_store.nodes import get_node, put_node
from cid_store.store import Store
from ring2_orchestrator.net.exchange import Exchange, Key, get_exchanges, put_exchanges

GOOD = Exchange(
    Key("GET", "http://h/a", (("accept", "*/*"),), b""),
    credentials=False,
    status=200,
    reason="OK",
    headers=(("Content-Type", "text/plain"),),
    content=None,
    size=0,
)
WRONG: list[tuple[str, NodeLike]] = [
    ("status", 99),
    ("status", 1000),
    ("status", True),
    ("status", "200"),
    ("size", -1),
    ("size", None),
    ("reason", "OK\r\nSet-Cookie: a=b"),
    ("reason", "\u20ac"),
    ("headers", [["A", "b\r\nC: d"]]),
    ("headers", [["A b", "c"]]),
    ("headers", [["", "c"]]),
    ("headers", [["A"]]),
    ("headers", [["A", 1]]),
    ("headers", "AB"),
    ("content", "../../etc/passwd"),
    ("content", b"bytes"),
    ("asked.method", "GET / HTTP/1.1\r\nX:"),
    ("asked.url", "file:///etc/passwd"),
    ("asked.url", "http://h:0/"),
    ("asked.url", "http://h/\r\nX: y"),
    ("asked.headers", [["if-none-match", "\n"]]),
    ("asked.sealed", "text"),
    ("asked.credentials", 1),
    ("asked", []),
]


@pytest.fixture
def store() -> Store:
    return MemoryStore()


def altered(store: Store, key: str, value: NodeLike) -> Cid:
    """The good recording with one value exchanged."""
    node = cast("dict[str, Node]", get_node(store, put_exchanges(store, [GOOD])))
    place = cast("list[dict[str, NodeLike]]", node["exchanges"])[0]
    *outer, last = key.split(".")
    for name in outer:
        place = cast("dict[str, NodeLike]", place[name])
    place[last] = value
    return put_node(store, node)


def test_what_was_put_is_had_again(store: Store) -> None:
    odd = GOOD._replace(reason="", headers=(("X", "\xe9\x01"),), status=418, size=7)
    assert get_exchanges(store, put_exchanges(store, [GOOD, odd])) == (GOOD, odd)


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_another_is_refused_in_a_sentence(store: Store, key: str, value: NodeLike) -> None:
    with pytest.raises(MalformedNodeError, match="run the command again with --no-reuse"):
        get_exchanges(store, altered(store, key, value))
