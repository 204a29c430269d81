"""Sound: WAVE files of whole numbers or floats, also longer than 4 GiB (RF64)."""

from ring2_orchestrator.fronts.part import Kind, Part, kind_of
from ring2_orchestrator.fronts.reading import Reader, UnlikeError

_PCM, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
# A writer that did not know the length yet: the data goes on to the end, or ds64 has it.
_UNKNOWN = 0xFFFFFFFF
_MOST_CHUNKS = 1000
_MOST_CHANNELS = 256


def find(reader: Reader) -> list[Part]:
    """The samples."""
    if reader.take(8, 4) != b"WAVE":
        raise UnlikeError
    at, kind, long_size = 12, None, 0
    for _ in range(_MOST_CHUNKS):
        name, size = reader.take(at, 4), reader.number(at + 4, 4)
        if name == b"ds64":
            long_size = reader.number(at + 16, 8)
        elif name == b"fmt ":
            kind = _kind(reader, at + 8, size)
        elif name == b"data":
            return _samples(at + 8, long_size if size == _UNKNOWN else size, kind, reader.size)
        # Chunks begin at even places.
        at += 8 + size + size % 2
    raise UnlikeError


def _samples(begin: int, size: int, kind: Kind | None, total: int) -> list[Part]:
    left = total - begin
    # 0 is what a writer leaves that was cut off before it could say more.
    size = size if 0 < size <= left else left
    if kind is None or not size:
        raise UnlikeError
    return [Part("samples", begin, size, kind)]


def _kind(reader: Reader, at: int, size: int) -> Kind:
    tag, channels = reader.number(at, 2), reader.number(at + 2, 2)
    frame, bits = reader.number(at + 12, 2), reader.number(at + 14, 2)
    if tag == _EXTENSIBLE and size >= 26:
        # The first bytes of the format's GUID are the tag that it had before there were GUIDs.
        tag = reader.number(at + 24, 2)
    width = -(-bits // 8)
    if tag not in (_PCM, _FLOAT, _A_LAW, _MU_LAW) or not 0 < channels <= _MOST_CHANNELS:
        raise UnlikeError
    if not width or frame != channels * width:
        raise UnlikeError
    strides = (channels,) if channels > 1 else ()
    return kind_of("f" if tag == _FLOAT else "i", width, strides)
