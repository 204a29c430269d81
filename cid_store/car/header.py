"""The headers of CARv1 and CARv2, and the little DAG-CBOR that they are written in."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from cid_store.car import varint
from cid_store.car.names import BlockName
from cid_store.car.varint import VarintError

MAX_HEADER_BYTES = 4 << 20  # about 95,000 roots of ours

PRAGMA = bytes.fromhex("0aa16776657273696f6e02")  # a CARv1 header that says {"version": 2}
V2_BYTES = 40
FULLY_INDEXED = 1 << 127  # the first bit of the characteristics
_V2 = struct.Struct("<16sQQQ")

_UINT, _BYTES, _TEXT, _LIST, _MAP, _TAG = 0, 2, 3, 4, 5, 6  # CBOR's major types
_CID_TAG = 42


class HeaderError(ValueError):
    """Bytes that are no header of a CAR."""


class HeaderV2(NamedTuple):
    """Where the parts of a CARv2 lie."""

    characteristics: int
    data_offset: int
    data_size: int
    index_offset: int  # 0: there is no index

    def to_bytes(self) -> bytes:
        """The 40 bytes after the pragma."""
        characteristics = self.characteristics.to_bytes(16, "big")
        return _V2.pack(characteristics, self.data_offset, self.data_size, self.index_offset)

    @classmethod
    def from_bytes(cls, data: bytes) -> "HeaderV2":
        """The header in those 40 bytes."""
        characteristics, data_offset, data_size, index_offset = _V2.unpack(data)
        return cls(int.from_bytes(characteristics, "big"), data_offset, data_size, index_offset)


def header_v1(roots: Sequence[BlockName]) -> bytes:
    """The header of a CARv1 with its length in front: {"roots": [...], "version": 1}."""
    links = b"".join(
        _head(_TAG, _CID_TAG) + _head(_BYTES, len(root.data) + 1) + b"\0" + root.data
        for root in roots
    )
    # Shorter keys come first in DAG-CBOR.
    body = (
        _head(_MAP, 2)
        + (_head(_TEXT, 5) + b"roots" + _head(_LIST, len(roots)) + links)
        + (_head(_TEXT, 7) + b"version" + _head(_UINT, 1))
    )
    return varint.encode(len(body)) + body


def read_header_v1(body: bytes) -> tuple[int, list[BlockName]]:
    """Version and roots of a header, without its length. Raises HeaderError."""
    reader = _Reader(body)
    roots: list[BlockName] = []
    version = None
    seen: list[bytes] = []
    for _ in range(reader.head(_MAP)):
        key = reader.take(reader.head(_TEXT))
        if seen and (len(key), key) <= (len(seen[-1]), seen[-1]):
            raise HeaderError("its keys are not in order, each once")
        seen.append(key)
        if key == b"roots":
            roots = [reader.link() for _ in range(reader.head(_LIST))]
        elif key == b"version":
            version = reader.head(_UINT)
        else:
            raise HeaderError(f"it has a field {key[:40]!r}, which no version has")
    if version is None:
        raise HeaderError("it names no version")
    if reader.at != len(body):
        raise HeaderError("bytes stand after it")
    if version == 1 and b"roots" not in seen:
        raise HeaderError("it names no roots")
    return version, roots


class _Reader:
    """A place in DAG-CBOR: definite lengths and shortest heads only."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, length: int) -> bytes:
        if length > len(self._data) - self.at:
            raise HeaderError("it is cut short")
        self.at += length
        return self._data[self.at - length : self.at]

    def head(self, major: int) -> int:
        """The number in the next head, which must be of that major type."""
        first = self.take(1)[0]
        low = first & 0x1F
        if first >> 5 != major or low > 27:
            raise HeaderError("it is not the DAG-CBOR that a CAR begins with")
        number = low if low < 24 else int.from_bytes(self.take(1 << low - 24), "big")
        if len(_head(major, number)) != (1 if low < 24 else 1 + (1 << low - 24)):
            raise HeaderError("it is not canonical DAG-CBOR")
        if major in (_LIST, _MAP) and number > len(self._data) - self.at:
            raise HeaderError("it promises more entries than it has bytes")
        return number

    def link(self) -> BlockName:
        if self.head(_TAG) != _CID_TAG:
            raise HeaderError("a root in it is no link")
        data = self.take(self.head(_BYTES))
        if not data.startswith(b"\0"):
            raise HeaderError("a root in it does not begin as a link does")
        try:
            return BlockName.from_bytes(data[1:])
        except VarintError as error:
            raise HeaderError(f"a root in it is no CID ({error})") from error


def _head(major: int, number: int) -> bytes:
    first = major << 5
    if number < 24:
        return bytes([first | number])
    for low, size in ((24, 1), (25, 2), (26, 4)):
        if number < 1 << 8 * size:
            return bytes([first | low]) + number.to_bytes(size, "big")
    return bytes([first | 27]) + number.to_bytes(8, "big")
