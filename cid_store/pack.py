"""The bytes of a pack: a header, then self-describing records, then room still unused.

The format is fixed in docs/formats/store.md. This file knows bytes and no files.
"""

import enum
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

from cid_store.cid import Cid, Codec
from cid_store.encoding import decode, encode
from cid_store.errors import MalformedNodeError

ALIGN = 64  # a cache line, so a view of a payload suits any vector load
HEADER_BYTES = 64
ID_BYTES = 16
RECORD_MAGIC = b"RDXo"

_PACK_MAGIC = b"RDXPACK"
VERSION = 3  # of the packs that are begun now
READABLE_VERSIONS = (1, 2, 3)

_PACK = struct.Struct("<7sBI16s32s")
_RECORD = struct.Struct("<4sBBHQ32sIII")
_CHECK = struct.Struct("<I")


class Kind(enum.IntEnum):
    """What a record carries."""

    OBJECT = 1
    ROOTS = 2  # a node: names, each with the CID it is bound to or None
    CHUNKS = 3  # the list of the chunks that one object was cut into
    PENUMBRA = 4  # in place of an object: how it is rebuilt from a container
    UMBRA = 5  # in place of an object: how what made it is run again

    @property
    def is_object(self) -> bool:
        """Whether the record is how an object is kept."""
        return self is not Kind.ROOTS

    @property
    def is_demoted(self) -> bool:
        """Whether the object's bytes are in no record, and must be rebuilt."""
        return self >= Kind.PENUMBRA

    @property
    def is_sealed(self) -> bool:
        """Whether the payload is not what its digest names, but sealed to that name."""
        return self >= Kind.CHUNKS

    @property
    def since(self) -> int:
        """The first version whose packs may hold such records."""
        return 3 if self.is_demoted else 2 if self is Kind.CHUNKS else 1


# By number: a pack may hold millions of records, and calling the class takes half a microsecond.
_KINDS = {int(kind): kind for kind in Kind}
_CODECS = {int(codec): codec for codec in Codec}


class PackHead(NamedTuple):
    """Who a pack is: its place in the store's order, and an id no other pack has."""

    number: int
    identity: bytes
    version: int = VERSION


class Head(NamedTuple):
    """The header of one record."""

    kind: Kind
    cid: Cid
    length: int
    pack: int
    offset: int
    group: int  # where the append began that this record was a part of

    @property
    def payload(self) -> int:
        """Where the payload starts."""
        return self.offset + HEADER_BYTES

    @property
    def end(self) -> int:
        """Where the next record starts."""
        return self.offset + record_bytes(self.length)


class Record(NamedTuple):
    """What shall be appended."""

    kind: Kind
    cid: Cid
    payload: bytes | memoryview


class UnknownVersionError(ValueError):
    """A pack of a later format."""


def record_bytes(length: int) -> int:
    """The room that a payload of that length takes, with its header and padding."""
    return HEADER_BYTES + length + (-length % ALIGN)


def pack_header(head: PackHead) -> bytes:
    """The first 64 bytes of a pack."""
    body = _PACK.pack(_PACK_MAGIC, head.version, head.number, head.identity, b"")
    return body + _CHECK.pack(zlib.crc32(body))


def parse_pack_header(data: bytes) -> PackHead | None:
    """Who the pack says it is; None for damaged bytes. Raises UnknownVersionError."""
    if len(data) != HEADER_BYTES or not _sound(data):
        return None
    magic, version, number, identity, _ = cast(
        "tuple[bytes, int, int, bytes, bytes]", _PACK.unpack_from(data)
    )
    if magic != _PACK_MAGIC:
        return None
    if version not in READABLE_VERSIONS:
        raise UnknownVersionError(version)
    return PackHead(number, identity, version)


def record_header(record: Record, pack: int, offset: int, group: int) -> bytes:
    """The 64 bytes before a payload; they hold only for that place in that pack."""
    body = _RECORD.pack(
        RECORD_MAGIC,
        record.kind,
        0,
        record.cid.codec,
        len(record.payload),
        record.cid.digest,
        pack,
        offset // ALIGN,
        group // ALIGN,
    )
    return body + _CHECK.pack(zlib.crc32(body))


def parse_record_header(data: bytes, pack: int, offset: int) -> Head | None:
    """The record that starts there, or None where none does."""
    if len(data) != HEADER_BYTES or not data.startswith(RECORD_MAGIC) or not _sound(data):
        return None
    _, number, zero, code, length, digest, in_pack, at, group = cast(
        "tuple[bytes, int, int, int, int, bytes, int, int, int]", _RECORD.unpack_from(data)
    )
    # A pack kept as an object in a pack holds sound headers, too: they name other places.
    if zero or in_pack != pack or at * ALIGN != offset or group > at:
        return None
    kind, codec = _KINDS.get(number), _CODECS.get(code)
    if kind is None or codec is None:
        return None
    return Head(kind, Cid(codec, digest), length, pack, offset, group * ALIGN)


def laid_out(
    records: Sequence[Record], pack: int, offset: int, group: int | None = None
) -> list[bytes | memoryview]:
    """The bytes in parts of one append: the records as they shall stand from `offset` on.

    `group` is where the append began, if these are not its first records.
    """
    assert offset % ALIGN == 0, "records start at multiples of 64"
    group = offset if group is None else group
    parts: list[bytes | memoryview] = []
    for record in records:
        length = len(record.payload)
        parts.append(record_header(record, pack, offset, group))
        if length:
            parts.append(record.payload)
        if length % ALIGN:
            parts.append(bytes(-length % ALIGN))
        offset += record_bytes(length)
    return parts


def roots_record(roots: Mapping[str, Cid | None]) -> Record:
    """The record that binds (or, with None, unbinds) names, all or none of them."""
    payload = encode(roots)
    return Record(Kind.ROOTS, Cid.of(payload, Codec.NODE), payload)


def parse_roots(payload: bytes) -> dict[str, Cid | None] | None:
    """The bindings in a roots record; None where it is not one."""
    try:
        node = decode(payload)
    except MalformedNodeError:
        return None
    if type(node) is not dict:
        return None
    if not all(value is None or type(value) is Cid for value in node.values()):
        return None
    return cast("dict[str, Cid | None]", node)


def _sound(data: bytes) -> bool:
    return zlib.crc32(data[:-4]) == _CHECK.unpack_from(data, HEADER_BYTES - 4)[0]
