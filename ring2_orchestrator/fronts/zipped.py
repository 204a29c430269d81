"""Archives of zip, numpy's `.npz` among them: members lie in them as they are, or deflated."""

from collections.abc import Iterator

from ring2_orchestrator.fronts.part import MOST_PARTS, Layer, Part
from ring2_orchestrator.fronts.reading import Reader, UnlikeError

MAGIC = b"PK\3\4"
_END, _ENTRY = b"PK\5\6", b"PK\1\2"
_END_BYTES, _LONGEST_COMMENT = 22, 65_535
_LONGEST_DIRECTORY = 1 << 24
_ENTRY_BYTES, _LOCAL_BYTES = 46, 30
_STORED, _DEFLATED, _ENCRYPTED = 0, 8, 1
# Members whose contents are worth a plan of their own: arrays, and whatever is long.
_LEAST_ARRAY, _LONG = 1 << 12, 1 << 20


def find(reader: Reader) -> list[Part]:
    """Every member that has any bytes, in the order of the file; deflated ones with a header."""
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
        is_stored = method == _STORED and packed == size
        if not (is_stored or method == _DEFLATED) or flags & _ENCRYPTED or not packed:
            continue
        # Lengths of 4 GiB and more stand elsewhere; here all their bits are 1, beyond any file.
        header = int.from_bytes(entry[42:46], "little")
        local = reader.take(header, _LOCAL_BYTES)
        if local[:4] != MAGIC:
            raise UnlikeError
        begin = header + _LOCAL_BYTES + _short(local, 26) + _short(local, 28)
        if begin + packed > reader.size:
            raise UnlikeError
        shown = name.decode("utf-8", "replace")
        if is_stored:
            yield Part(shown, begin, size)
        else:
            yield _deflated(shown, header, begin + packed, size)


def _deflated(name: str, begin: int, end: int, size: int) -> Part:
    is_array = name.endswith(".npy") and size >= _LEAST_ARRAY
    coat = (Layer("deflate"),)
    return Part(name, begin, end - begin, coat=coat, inside=size, alone=is_array or size >= _LONG)


def _short(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")
