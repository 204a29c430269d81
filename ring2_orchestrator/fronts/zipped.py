"""Archives of zip, numpy's `.npz` among them: members that are stored lie in them as they are.

What is deflated stays opaque: to code its contents, a decoder would have to deflate them again to
the very same bytes.
"""

from collections.abc import Iterator

from ring2_orchestrator.fronts.part import MOST_PARTS, Part
from ring2_orchestrator.fronts.reading import Reader, UnlikeError

MAGIC = b"PK\3\4"
_END, _ENTRY = b"PK\5\6", b"PK\1\2"
_END_BYTES, _LONGEST_COMMENT = 22, 65_535
_LONGEST_DIRECTORY = 1 << 24
_ENTRY_BYTES, _LOCAL_BYTES = 46, 30
_STORED, _ENCRYPTED = 0, 1


def find(reader: Reader) -> list[Part]:
    """Every stored member that has any bytes, in the order of the file."""
    at = max(reader.size - _END_BYTES - _LONGEST_COMMENT, 0)
    tail = reader.take(at, reader.size - at)
    end = tail.rfind(_END)
    if end < 0 or end + _END_BYTES > len(tail):
        raise UnlikeError
    size = int.from_bytes(tail[end + 12 : end + 16], "little")
    begin = int.from_bytes(tail[end + 16 : end + 20], "little")
    if size > _LONGEST_DIRECTORY:
        raise UnlikeError
    members = _members(reader, reader.take(begin, size))
    return sorted(members, key=lambda part: part.begin)


def _members(reader: Reader, directory: bytes) -> Iterator[Part]:
    at = 0
    for _ in range(MOST_PARTS):
        entry = directory[at : at + _ENTRY_BYTES]
        if len(entry) < _ENTRY_BYTES or entry[:4] != _ENTRY:
            return
        flags, method = _short(entry, 8), _short(entry, 10)
        packed, size = (int.from_bytes(entry[place : place + 4], "little") for place in (20, 24))
        name = directory[at + _ENTRY_BYTES : at + _ENTRY_BYTES + _short(entry, 28)]
        at += _ENTRY_BYTES + sum(_short(entry, place) for place in (28, 30, 32))
        if method != _STORED or flags & _ENCRYPTED or packed != size or not size:
            continue
        # Lengths of 4 GiB and more stand elsewhere; here all their bits are 1, beyond any file.
        local = reader.take(int.from_bytes(entry[42:46], "little"), _LOCAL_BYTES)
        if local[:4] != MAGIC:
            raise UnlikeError
        begin = int.from_bytes(entry[42:46], "little") + _LOCAL_BYTES
        begin += _short(local, 26) + _short(local, 28)
        if begin + size > reader.size:
            raise UnlikeError
        yield Part(name.decode("utf-8", "replace"), begin, size)


def _short(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")
