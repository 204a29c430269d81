"""Arrays of numpy: `.npy`, versions 1 to 3."""

import math
import re

from ring2_orchestrator.fronts.part import Kind, Part, kind_of, strides_of
from ring2_orchestrator.fronts.reading import Reader, UnlikeError

MAGIC = b"\x93NUMPY"
# What numpy itself takes for a header, unless it is told to trust it.
_LONGEST_HEADER = 10_000

_SHAPE = re.compile(rb"'shape': *\(([0-9, ]{0,400})\)")
_ORDER = re.compile(rb"'fortran_order': *(True|False)")
_PLAIN = re.compile(rb"'descr': *'([<>|=]?)([a-zA-Z])([0-9]{0,9})(?:\[[^]']*\])?'")
_RECORD = re.compile(rb"'descr': *\[")
_FIELD = re.compile(rb"'[<>|=]?([a-zA-Z])([0-9]{1,6})'(?:, *\(([0-9, ]{0,99})\))?\)")


def find(reader: Reader) -> list[Part]:
    """The array's data."""
    begin, header = _header(reader)
    shape, order = _SHAPE.search(header), _ORDER.search(header)
    if shape is None or order is None:
        raise UnlikeError
    lengths = tuple(int(text) for text in shape[1].split(b",") if text.strip())
    if order[1] == b"True":
        lengths = lengths[::-1]
    width, kind = _elements(header, strides_of(lengths))
    size = math.prod(lengths) * width
    if not size or begin + size > reader.size:
        raise UnlikeError
    return [Part("data", begin, size, kind)]


def _header(reader: Reader) -> tuple[int, bytes]:
    """Where the data begins, and the header's text."""
    version = reader.number(6, 1)
    if not 1 <= version <= 3:
        raise UnlikeError
    wide = 2 if version == 1 else 4
    length = reader.number(8, wide)
    if length > _LONGEST_HEADER:
        raise UnlikeError
    return 8 + wide + length, reader.take(8 + wide, length)


def _elements(header: bytes, strides: tuple[int, ...]) -> tuple[int, Kind]:
    """How many bytes an element has, and what elements are."""
    plain = _PLAIN.search(header)
    if plain is not None:
        letter, count = plain[2].decode(), int(plain[3] or 1)
        if letter == "O":
            raise UnlikeError
        width = 4 * count if letter == "U" else count
        return width, kind_of(letter, width, strides, big=plain[1] == b">")
    record = _RECORD.search(header)
    if record is None:
        raise UnlikeError
    width = sum(map(_field_bytes, _FIELD.finditer(header, record.end())))
    return width, kind_of("V", width, strides)


def _field_bytes(field: re.Match[bytes]) -> int:
    count = math.prod(int(text) for text in (field[3] or b"").split(b",") if text.strip())
    return int(field[2]) * (4 if field[1] == b"U" else 1) * count
