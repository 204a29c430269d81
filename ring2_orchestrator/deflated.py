"""Deflate streams in some bytes: where they may begin, and which of them the kernel makes again.

What formats say of their streams is only a hint: a stream counts where the kernel, in the sandbox,
inflates it and finds the setting under which zlib or gzip made exactly these bytes.
"""

import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cid_store.store import Buffer

# What the kernel's forward operation makes of bytes that may begin with a stream, with the fuel
# that it took; None where it takes too much.
Read = Callable[[bytes], "tuple[list[bytes], int] | None"]

_HEADS = re.compile(rb"PK\x03\x04|\x1f\x8b\x08")
_ZIP_BYTES, _GZIP_BYTES, _ZLIB_BYTES = 30, 10, 2
_DEFLATED, _UNKNOWN = 8, 0xFFFFFFFF
_ENCRYPTED, _SIZE_FOLLOWS = 1, 8
# Flags of gzip: a sum of its header, further fields, a name and a comment.
_SUM, _FURTHER, _NAME, _COMMENT = 2, 4, 8, 16
# A stream of which nobody says how long it is is looked for in so many bytes, then in more.
_FIRST_BYTES, _GROWTH = 1 << 16, 8
# Trying whatever looks like a stream is to take no more than in proportion: bytes that are handed
# over, of which a call counts as some, and fuel.
_MOST_HANDED, _CALL_BYTES = 16, 4096
_MOST_FUEL, _FUEL_PER_BYTE = 40_000_000_000, 200_000
_SPAN = struct.Struct("<3I")


class Split(NamedTuple):
    """The outputs of the kernel: contents one after another, what lies between, and the spans."""

    plain: bytes
    gaps: bytes
    spans: bytes


class _Place(NamedTuple):
    """Where a stream may begin, and how long it is said to be; None if that is not said."""

    begin: int
    size: int | None


def split(data: Buffer, read: Read) -> Split:
    """Every stream in some bytes that a format points at and the kernel makes again."""
    view = memoryview(data)
    tries = _Tries(read, len(view))
    plain: list[bytes] = []
    gaps: list[memoryview] = []
    spans: list[bytes] = []
    at = 0
    for place in _places(bytes(data)):
        if place.begin < at:
            continue
        found = tries.stream(view, place)
        if found is None:
            continue
        contents, used, setting = found
        gaps.append(view[at : place.begin])
        plain.append(contents)
        spans.append(_SPAN.pack(place.begin - at, len(contents), setting))
        at = place.begin + used
    gaps.append(view[at:])
    return Split(b"".join(plain), b"".join(gaps), b"".join(spans))


class _Tries:
    """Hands bytes to the kernel, as long as that is in proportion to them all."""

    def __init__(self, read: Read, size: int) -> None:
        self._read = read
        self._bytes = _MOST_HANDED * (size + _FIRST_BYTES)
        self._fuel = min(_MOST_FUEL, _FUEL_PER_BYTE * (size + _FIRST_BYTES))

    def stream(self, view: memoryview, place: _Place) -> tuple[bytes, int, int] | None:
        """The contents, length and setting of the stream at a place; None if there is none."""
        left = len(view) - place.begin
        size = min(_FIRST_BYTES if place.size is None else place.size, left)
        while (found := self._stream(bytes(view[place.begin : place.begin + size]))) is None:
            if place.size is not None or size == left:
                return None
            size = min(size * _GROWTH, left)
        return found

    def _stream(self, data: bytes) -> tuple[bytes, int, int] | None:
        self._bytes -= len(data) + _CALL_BYTES
        made = self._read(data) if self._bytes > 0 and self._fuel > 0 else None
        if made is None:
            return None
        (plain, gaps, spans), fuel = made
        self._fuel -= fuel
        if len(spans) != _SPAN.size:
            return None
        return plain, len(data) - len(gaps), _SPAN.unpack(spans)[2]


def _places(data: bytes) -> Iterator[_Place]:
    """Where formats say that streams begin, in the order of the bytes."""
    if not _HEADS.match(data):
        if len(data) > _ZLIB_BYTES and data[0] & 15 == 8 and (data[0] << 8 | data[1]) % 31 == 0:
            yield _Place(_ZLIB_BYTES, None)
        yield _Place(0, None)
    for head in _HEADS.finditer(data):
        at = head.start()
        place = _in_zip(data, at) if data[at : at + 1] == b"P" else _in_gzip(data, at)
        if place is not None and place.begin < len(data):
            yield place


def _in_zip(data: bytes, at: int) -> _Place | None:
    if at + _ZIP_BYTES > len(data):
        return None
    flags, method = struct.unpack_from("<2H", data, at + 6)
    packed, _, name, extra = struct.unpack_from("<2I2H", data, at + 18)
    if method != _DEFLATED or flags & _ENCRYPTED:
        return None
    is_said = packed not in (0, _UNKNOWN) and not flags & _SIZE_FOLLOWS
    return _Place(at + _ZIP_BYTES + name + extra, packed if is_said else None)


def _in_gzip(data: bytes, at: int) -> _Place | None:
    flags = data[at + 3] if at + _GZIP_BYTES <= len(data) else 0xFF
    at += _GZIP_BYTES
    if flags > _SUM + _FURTHER + _NAME + _COMMENT + 1:
        return None
    if flags & _FURTHER:
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    for text in (_NAME, _COMMENT):
        if flags & text:
            end = data.find(0, at, at + _CALL_BYTES)
            if end < 0:
                return None
            at = end + 1
    return _Place(at + (2 if flags & _SUM else 0), None)
