"""Pictures of Netpbm with binary pixels: P4, P5 and P6, one or several in a file."""

import re

from ring0.plan import Dtype
from ring2_orchestrator.fronts.part import Kind, Part
from ring2_orchestrator.fronts.reading import Reader, UnlikeError

_LONGEST_HEADER = 4096
_MOST_PICTURES = 4096
_SPACE = rb"(?:\s|#[^\n]*\n)+"
_NUMBER = rb"([0-9]{1,9})"
_BITMAP = re.compile(rb"P4" + _SPACE + _NUMBER + _SPACE + _NUMBER + rb"\s")
_PIXELS = re.compile(rb"P([56])" + 3 * (_SPACE + _NUMBER) + rb"\s")


def find(reader: Reader) -> list[Part]:
    """The pixels of every picture."""
    parts: list[Part] = []
    at = 0
    while at < reader.size and len(parts) < _MOST_PICTURES:
        found = _picture(reader, at, len(parts))
        if found is None:
            break
        parts.append(found)
        at = found.end
    return parts


def _picture(reader: Reader, at: int, number: int) -> Part | None:
    front = reader.take(at, min(_LONGEST_HEADER, reader.size - at))
    bitmap, pixels = _BITMAP.match(front), _PIXELS.match(front)
    if bitmap is not None:
        end, row, height = bitmap.end(), -(-int(bitmap[1]) // 8), int(bitmap[2])
        kind, width = Kind(Dtype.U8, (row,)), 1
    elif pixels is not None:
        end, height = pixels.end(), int(pixels[3])
        channels = 3 if pixels[1] == b"6" else 1
        row, most = channels * int(pixels[2]), int(pixels[4])
        strides = (channels, row) if channels > 1 else (row,)
        width = 2 if most > 255 else 1
        kind = Kind(Dtype.U16, strides, big_endian=True) if width > 1 else Kind(Dtype.U8, strides)
    else:
        return None
    size = row * height * width
    if not size or at + end + size > reader.size:
        if not number:
            raise UnlikeError
        return None
    return Part(f"pixels {number}" if number else "pixels", at + end, size, kind)
