"""Nodes in a store: encoded on the way in, decoded and checked on the way out."""

from collections.abc import Iterator

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
