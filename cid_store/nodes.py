"""Nodes in a store: encoded on the way in, decoded and checked on the way out."""

from collections.abc import Iterable, Iterator

from cid_store.cid import Cid, Codec
from cid_store.encoding import Node, NodeLike, decode, encode
from cid_store.errors import MalformedNodeError
from cid_store.store import Store


def put_node(store: Store, node: NodeLike) -> Cid:
    """Keep a node and return its name."""
    return store.put(encode(node), Codec.NODE)


def get_node(store: Store, cid: Cid) -> Node:
    """The node of that name. Raises MalformedNodeError where the name is not a node's."""
    if cid.codec is not Codec.NODE:
        raise MalformedNodeError(f"{cid} names raw bytes, not a node")
    return decode(store.get(cid))


def links(node: Node) -> Iterator[Cid]:
    """Every CID in a node, in the order of its bytes; the same one as often as it stands there."""
    if isinstance(node, Cid):  # first, because a CID is a tuple
        yield node
    elif isinstance(node, dict):
        for item in node.values():
            yield from links(item)
    elif isinstance(node, list):
        for item in node:
            yield from links(item)


def reachable(store: Store, starts: Iterable[Cid]) -> Iterator[Cid]:
    """These objects and all that their nodes lead to, each once, a node before what it links to.

    Raises MalformedNodeError for bytes that were put as a node and are none, and as `get` does.
    """
    seen: set[Cid] = set()
    waiting = list(reversed([*starts]))
    while waiting:
        cid = waiting.pop()
        if cid in seen:
            continue
        seen.add(cid)
        yield cid
        if cid.codec is Codec.NODE:
            below = [link for link in links(get_node(store, cid)) if link not in seen]
            waiting.extend(reversed(below))
