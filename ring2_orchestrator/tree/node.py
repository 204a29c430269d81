"""The nodes of a tree: names, and what stands under them, checked whenever they are read."""

import os
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias, cast

from cid_store.cid import Cid, Codec
from cid_store.encoding import Node, NodeLike
from cid_store.errors import InputError, MalformedNodeError
from cid_store.nodes import get_node, put_node
from cid_store.store import Store

MAX_DEPTH = 256  # folders in one another: each takes a descriptor while a tree is written
MAX_NAME_BYTES = 255
MAX_TARGET_BYTES = 4095
MAX_SIZE = (1 << 63) - 1
MODE_BITS = 0o777
_VERSION = 1


class Extent(NamedTuple):
    """A stretch of a file and the object with its bytes."""

    offset: int
    length: int
    data: Cid


class File(NamedTuple):
    """A regular file; outside of its extents it reads as zeros."""

    mode: int
    size: int
    extents: tuple[Extent, ...]


class Folder(NamedTuple):
    """A folder and the node that lists it."""

    mode: int
    tree: Cid


class Link(NamedTuple):
    """A symbolic link."""

    target: bytes


Entry: TypeAlias = File | Folder | Link


def put_tree(store: Store, entries: Mapping[bytes, Entry]) -> Cid:
    """Keep the list of one folder and return its name."""
    listed = [_encoded(name, entries[name]) for name in sorted(entries)]
    return put_node(store, {"type": "tree", "v": _VERSION, "entries": listed})


def get_tree(store: Store, cid: Cid) -> dict[bytes, Entry]:
    """What stands in a folder, in the order of the names' bytes.

    Raises MalformedNodeError unless every name is one plain name that occurs once.
    """
    node = get_node(store, cid) if cid.codec is Codec.NODE else None
    match node:
        case {"type": "tree", "v": 1, "entries": list(listed)} if len(node) == 3:
            pass
        case {"type": "tree", "v": int(version)} if version > _VERSION:
            raise MalformedNodeError(
                f"{cid} is a tree of version {version}, this program knows {_VERSION}; install a "
                "newer Redoxa"
            )
        case _:
            raise MalformedNodeError(f"{cid} is no tree; `redoxa store add` makes one")
    entries: dict[bytes, Entry] = {}
    last: bytes | None = None
    for item in listed:
        name, entry = _decoded(item, cid)
        check_name(name)
        if last is not None and name <= last:
            raise _malformed(cid, f"the name {shown(name)} is out of order or there twice")
        entries[name] = entry
        last = name
    return entries


def check_name(name: bytes) -> None:
    """Raise MalformedNodeError unless that can be the name of something in a folder."""
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
        raise MalformedNodeError(
            f"{shown(name)} is no name for a file in a tree: it is empty, '.' or '..', or holds "
            "'/' or NUL"
        )
    if len(name) > MAX_NAME_BYTES:
        raise MalformedNodeError(
            f"the name {shown(name[:40])}… has {len(name):,} bytes; a file's has at most "
            f"{MAX_NAME_BYTES}"
        )


def too_deep(where: bytes) -> InputError:
    """The error for folders too deep in one another."""
    return InputError(f"{shown(where)} lies deeper than {MAX_DEPTH} folders in one another")


def shown(name: bytes) -> str:
    """A name for a message: quoted, and cut to what fits a sentence."""
    return repr(os.fsdecode(name if len(name) <= 120 else name[:60] + b"..." + name[-57:]))


def _encoded(name: bytes, entry: Entry) -> NodeLike:
    check_name(name)
    match entry:
        case Folder(mode, tree):
            return [name, "folder", mode, tree]
        case Link(target):
            return [name, "link", target]
        case File(mode, size, (Extent(0, length, data),)) if length == size:
            return [name, "file", mode, size, data]
        case File(mode, size, extents):
            return [name, "sparse", mode, size, [list(extent) for extent in extents]]


def _decoded(item: Node, cid: Cid) -> tuple[bytes, Entry]:
    match item:
        case [bytes(), "folder", int(mode), Cid() as tree] if _is_mode(mode):
            return cast("bytes", item[0]), Folder(mode, tree)
        case [bytes(), "link", bytes(target)] if _is_target(target):
            return cast("bytes", item[0]), Link(target)
        case [bytes(), "file", int(mode), int(size), Cid() as data] if (
            _is_mode(mode) and _is_size(size) and data.codec is Codec.RAW
        ):
            return cast("bytes", item[0]), File(mode, size, (Extent(0, size, data),))
        case [bytes(), "sparse", int(mode), int(size), list(stretches)] if _is_mode(
            mode
        ) and _is_size(size):
            return cast("bytes", item[0]), File(mode, size, _extents(stretches, size, cid))
        case _:
            raise _malformed(cid, _fault(item))


def _fault(item: Node) -> str:
    """What is wrong with an entry that is none, and with which."""
    match item:
        case [bytes(name), "folder" | "file" | "sparse", int(mode), *_] if not _is_mode(mode):
            fact = f"the mode of {shown(name)} is none that a file can have"
        case [bytes(name), "file" | "sparse", int(), int(size), *_] if not _is_size(size):
            fact = f"the size of {shown(name)} is none that a file can have"
        case [bytes(name), "file", int(), int(), Cid()]:
            fact = f"the contents of {shown(name)} are a node, not raw bytes"
        case [bytes(name), "link", bytes(target)] if not _is_target(target):
            fact = f"what the link {shown(name)} names is empty, too long, or holds NUL"
        case [bytes(name), "folder" | "file" | "sparse" | "link" as kind, *_]:
            fact = f"the {kind} {shown(name)} does not have the parts of one"
        case [bytes(name), *_]:
            fact = f"{shown(name)} is neither folder, file nor link"
        case _:
            fact = "one of its entries has no name"
    return fact


def _extents(stretches: list[Node], size: int, cid: Cid) -> tuple[Extent, ...]:
    extents: list[Extent] = []
    end = 0
    for stretch in stretches:
        match stretch:
            case [int(offset), int(length), Cid() as data] if (
                type(offset) is type(length) is int
                and end <= offset
                and 0 < length <= size - offset
                and data.codec is Codec.RAW
            ):
                extents.append(Extent(offset, length, data))
                end = offset + length
            case _:
                raise _malformed(cid, "the stretches of a file overlap or pass its end")
    return tuple(extents)


def _is_mode(mode: int) -> bool:
    return type(mode) is int and 0 <= mode <= MODE_BITS


def _is_size(size: int) -> bool:
    return type(size) is int and 0 <= size <= MAX_SIZE


def _is_target(target: bytes) -> bool:
    return 0 < len(target) <= MAX_TARGET_BYTES and b"\0" not in target


def _malformed(cid: Cid, fact: str) -> MalformedNodeError:
    return MalformedNodeError(f"{cid} is no sound tree: {fact}")
