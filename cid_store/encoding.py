"""Nodes: small structured values with exactly one encoding, in messagepack.

The form is fixed in docs/formats/node.md. What is not in that form is refused, so a node has one
CID and two equal CIDs mean equal values.
"""

# pyright: reportUnknownMemberType=false
# (msgpack publishes no types; this is its one door, so what comes through is typed here)

import struct
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

import msgpack

from cid_store.cid import Cid
from cid_store.errors import MalformedCidError, MalformedNodeError

Node: TypeAlias = "bool | int | float | str | bytes | Cid | list[Node] | dict[str, Node] | None"
# What `encode` takes: as a Node, and tuples count as lists, so that callers may keep frozen values.
NodeLike: TypeAlias = (
    "bool | int | float | str | bytes | Cid | Sequence[NodeLike] | Mapping[str, NodeLike] | None"
)

MAX_DEPTH = 128  # lists and maps inside one another; far below any recursion limit
MAX_NODE_BYTES = 64 * 1024 * 1024
CID_EXT = 42  # the number IPLD gives to links, too

_NAN = struct.unpack(">d", b"\x7f\xf8\0\0\0\0\0\0")[0]
_NAN_BYTES = struct.pack(">d", _NAN)

_pack = cast("Any", msgpack.packb)
_unpack = cast("Any", msgpack.unpackb)
_Unpacker = cast("Any", msgpack.Unpacker)


def encode(node: NodeLike) -> bytes:
    """The one encoding of a node. Raises MalformedNodeError for what a node cannot hold."""
    try:
        data = cast("bytes", _pack(_ordered(node, 0), strict_types=True))
    except UnicodeEncodeError as error:
        raise MalformedNodeError(
            f"the text {error.object[:40]!r} in a node is not Unicode (it holds a lone surrogate); "
            "store it as bytes"
        ) from error
    except OverflowError as error:
        raise MalformedNodeError("a node cannot hold integers of more than 64 bits") from error
    if len(data) > MAX_NODE_BYTES:
        raise _too_large(len(data))
    return data


def decode(data: bytes) -> Node:
    """The node those bytes encode. Raises MalformedNodeError unless they are its one encoding."""
    if len(data) > MAX_NODE_BYTES:
        raise _too_large(len(data))
    _check_extent(data)
    try:
        value = _unpack(data, strict_map_key=True, ext_hook=_cid_of_ext)
    except MalformedNodeError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise MalformedNodeError(f"{_named(data)} is not canonical: {error}") from error
    _check_value(value, 0)
    # Longer headers, 32-bit floats and repeated keys all come back as other bytes.
    if _pack(value, strict_types=True, default=_ext_of_cid) != data:
        raise MalformedNodeError(
            f"{_named(data)} is not canonical: the same value has a shorter form, or a map names "
            "a key twice; encode it again with cid_store.encoding"
        )
    return cast("Node", value)


def _check_extent(data: bytes) -> None:
    """Refuse what is not exactly one messagepack value, before anything is built from it."""
    # `skip` allocates nothing, so a header that promises 4 G entries costs nothing here; once
    # every promised entry is known to be present, the lists to come are no longer than the data.
    unpacker = _Unpacker(max_buffer_size=MAX_NODE_BYTES)
    unpacker.feed(data)
    try:
        unpacker.skip()
    except (msgpack.StackError, RecursionError) as error:
        raise _too_deep() from error
    except msgpack.OutOfData as error:
        raise MalformedNodeError(f"{_named(data)} is cut short; fetch it again") from error
    except ValueError as error:
        raise MalformedNodeError(f"{_named(data)} is not messagepack") from error
    extent = cast("int", unpacker.tell())
    if extent != len(data):
        raise MalformedNodeError(
            f"{_named(data)} ends after {extent} bytes; the rest does not belong to it"
        )


def _check_value(value: object, depth: int) -> None:
    """Refuse decoded values that a node cannot hold: order, depth, key types, NaN bits."""
    kind = type(value)
    if kind is dict:
        _check_depth(depth)
        entries = cast("dict[object, object]", value)
        _check_keys(entries)
        for item in entries.values():
            if type(item) not in _PLAIN:  # asked here too: most items need no call
                _check_value(item, depth + 1)
    elif kind is list:
        _check_depth(depth)
        for item in cast("list[object]", value):
            if type(item) not in _PLAIN:
                _check_value(item, depth + 1)
    elif kind is float:
        if value != value and struct.pack(">d", value) != _NAN_BYTES:  # noqa: PLR0124 - only NaN
            raise MalformedNodeError("a node holds a NaN whose bits are not 7ff8000000000000")
    elif kind not in _PLAIN and kind is not Cid:
        raise MalformedNodeError(f"a node holds a {kind.__name__}, which is not one of its types")


def _check_keys(entries: dict[object, object]) -> None:
    last = None
    for key in entries:
        if type(key) is not str or (last is not None and key <= last):
            raise MalformedNodeError(
                f"a node's map has the key {key!r} out of place: keys are texts in ascending "
                "order, each once"
            )
        last = key


def _ordered(value: object, depth: int) -> object:
    """The value as msgpack shall write it: maps sorted, CIDs as ext values, one NaN."""
    kind = type(value)
    if kind is dict:
        _check_depth(depth)
        entries = cast("dict[object, object]", value)
        for key in entries:
            if type(key) is not str:
                raise MalformedNodeError(f"a node's map has the key {key!r}; keys are texts")
        below = depth + 1
        return {
            key: item if type(item := entries[key]) in _PLAIN else _ordered(item, below)
            for key in sorted(cast("Any", entries))
        }
    if kind is list or kind is tuple:
        _check_depth(depth)
        below = depth + 1
        items = cast("list[object]", value)
        return [item if type(item) in _PLAIN else _ordered(item, below) for item in items]
    if kind is Cid:
        return _ext_of_cid(value)
    if kind is float:
        return _NAN if value != value else value  # noqa: PLR0124 - only a NaN differs from itself
    if kind not in _PLAIN:
        raise MalformedNodeError(
            f"a node cannot hold a value of type {kind.__name__}; it holds None, bool, int, float, "
            "str, bytes, Cid, lists and maps with text keys"
        )
    return value


# Values that msgpack writes and reads as they are, in exactly our form.
_PLAIN = frozenset({type(None), bool, int, str, bytes})


def _ext_of_cid(value: object) -> object:
    assert isinstance(value, Cid), "only CIDs are left to the hook"
    return msgpack.ExtType(CID_EXT, value.to_bytes())


def _cid_of_ext(code: int, data: bytes) -> Cid:
    if code != CID_EXT:
        raise MalformedNodeError(f"a node holds an ext value of type {code}; only 42 (CID) may be")
    try:
        return Cid.from_bytes(data)
    except MalformedCidError as error:
        raise MalformedNodeError(f"a node holds a link that is no CID: {error}") from error


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise _too_deep()


def _too_deep() -> MalformedNodeError:
    return MalformedNodeError(f"a node nests lists and maps deeper than {MAX_DEPTH}; split it")


def _too_large(size_bytes: int) -> MalformedNodeError:
    return MalformedNodeError(
        f"a node of {size_bytes:,} bytes is over the limit of {MAX_NODE_BYTES:,}; split it"
    )


def _named(data: bytes) -> str:
    return f"a node of {len(data):,} bytes"
