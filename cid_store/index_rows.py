"""The rows of the index as values; a flipped bit may have put anything into a column."""

from collections.abc import Sequence
from typing import NamedTuple, cast

from cid_store.cid import Cid, Codec
from cid_store.errors import MalformedCidError
from cid_store.folder import Place
from cid_store.pack import Kind

_KINDS = [kind for kind in Kind if kind.is_object]


class IndexDamagedError(Exception):
    """The index cannot be believed. Nothing is lost: the packs hold everything it held."""


class PackEnd(NamedTuple):
    """How far the index knows a pack, and which pack that was."""

    number: int
    identity: bytes
    end: int


def place_in(row: Sequence[object]) -> Place:
    """Where an object lies. Raises IndexDamagedError."""
    if not all(type(value) is int and value >= 0 for value in row):
        raise IndexDamagedError
    place = Place(*cast("Sequence[int]", row))
    if place.kind not in _KINDS:
        raise IndexDamagedError
    return place


def pack_end_in(row: Sequence[object]) -> PackEnd:
    """How far a pack is known. Raises IndexDamagedError."""
    number, identity, end = row
    if type(number) is int and type(identity) is bytes and type(end) is int and end >= 0:
        return PackEnd(number, identity, end)
    raise IndexDamagedError


def cid_in(row: Sequence[object]) -> Cid:
    """The name of an object, from its digest and codec. Raises IndexDamagedError."""
    digest, codec = row
    try:
        if type(digest) is bytes and len(digest) == 32:
            return Cid(Codec(codec), digest)
    except ValueError as error:
        raise IndexDamagedError from error
    raise IndexDamagedError


def bound_in(value: object) -> Cid:
    """What a root is bound to. Raises IndexDamagedError."""
    if type(value) is not bytes:
        raise IndexDamagedError
    try:
        return Cid.from_bytes(value)
    except MalformedCidError as error:
        raise IndexDamagedError from error


def text_in(value: object) -> str:
    """The name of a root. Raises IndexDamagedError."""
    if type(value) is not bytes:
        raise IndexDamagedError
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise IndexDamagedError from error
