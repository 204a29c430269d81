"""Archives of tar: files lie in them as they are."""

from ring2_orchestrator.fronts.part import MOST_PARTS, Part
from ring2_orchestrator.fronts.reading import Reader, UnlikeError

MAGIC_AT, MAGIC = 257, b"ustar"
_BLOCK = 512
_FILES = b"0\07"


def find(reader: Reader) -> list[Part]:
    """Every file that has any bytes."""
    members: list[Part] = []
    at = 0
    while at + _BLOCK <= reader.size and len(members) < MOST_PARTS:
        header = reader.take(at, _BLOCK)
        if not any(header):
            break
        size, begin = _size(header), at + _BLOCK
        if begin + size > reader.size:
            raise UnlikeError
        if header[156] in _FILES and size:
            name = header[:100].partition(b"\0")[0].decode("utf-8", "replace")
            members.append(Part(name, begin, size))
        at = begin + -(-size // _BLOCK) * _BLOCK
    return members


def _size(header: bytes) -> int:
    """The size that a header states, if its sum is right."""
    if sum(header) - sum(header[148:156]) + 8 * ord(" ") != _octal(header[148:156]):
        raise UnlikeError
    if header[124] & 0x80:
        return int.from_bytes(header[125:136], "big")
    return _octal(header[124:136])


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not all(digit in b"01234567" for digit in digits):
        raise UnlikeError
    return int(digits or b"0", 8)
