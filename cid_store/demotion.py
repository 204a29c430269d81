"""The record of an object whose bytes were dropped: what rebuilds it, sealed to its name.

The bytes are fixed in docs/formats/store.md.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeGuard

from cid_store.cid import DIGEST_BYTES, Cid, Codec, seal_of
from cid_store.encoding import Node, decode, encode
from cid_store.errors import MalformedNodeError

_NUMBERS_END = 1 << 53  # an index adds them up in 64 bits with a sign


class Demotion(NamedTuple):
    """What the store keeps in place of an object."""

    size: int  # of the object, in bytes
    cost_us: int  # what its rebuild took when it was verified
    recipe: Cid
    links: tuple[Cid, ...]  # what the object links to, so that nobody must rebuild it to know


def encode_demotion(cid: Cid, demotion: Demotion) -> bytes:
    """The record's payload, which holds for the object of that name alone."""
    body = encode({**demotion._asdict(), "links": list(demotion.links)})
    return seal_of(cid, body) + body


def parse_demotion(cid: Cid, payload: bytes) -> Demotion | None:
    """What stands in place of that object; None where the bytes are not such a payload."""
    body = payload[DIGEST_BYTES:]
    if seal_of(cid, body) != payload[:DIGEST_BYTES]:
        return None
    try:
        node = decode(body)
    except MalformedNodeError:
        return None
    return _demotion(node) if isinstance(node, dict) else None


def _demotion(node: Mapping[str, Node]) -> Demotion | None:
    size, cost_us, recipe, links = (node.get(key) for key in Demotion._fields)
    if len(node) != len(Demotion._fields) or not (_is_number(size) and _is_number(cost_us)):
        return None
    if type(recipe) is not Cid or recipe.codec is not Codec.NODE or type(links) is not list:
        return None
    linked = tuple(link for link in links if type(link) is Cid)
    return Demotion(size, cost_us, recipe, linked) if len(linked) == len(links) else None


def _is_number(value: Node) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < _NUMBERS_END
