"""Pictures of TIFF without compression, in strips or tiles of either byte order."""

from itertools import pairwise
from typing import NamedTuple

from ring2_orchestrator.fronts.part import MOST_PARTS, Kind, Part, kind_of
from ring2_orchestrator.fronts.reading import Order, Reader, UnlikeError

MAGICS = {b"II*\0": "little", b"MM\0*": "big"}
_MOST_PAGES = 1000
_MOST_FIELDS = 512
_SIZES = {3: 2, 4: 4}
_WIDTH, _BITS, _COMPRESSION, _STRIPS, _SAMPLES, _STRIP_SIZES = 256, 258, 259, 273, 277, 279
_PLANAR, _TILE_WIDTH, _TILES, _TILE_SIZES, _FORMAT = 284, 322, 324, 325, 339
_UNCOMPRESSED, _APART, _FLOAT = 1, 2, 3

_Fields = dict[int, tuple[int, ...]]


class _File(NamedTuple):
    reader: Reader
    order: Order


def find(reader: Reader) -> list[Part]:
    """The pixels of every page; strips that adjoin are one part."""
    file = _File(reader, "little" if reader.take(0, 2) == b"II" else "big")
    at = reader.number(4, 4, file.order)
    parts: list[Part] = []
    for page in range(_MOST_PAGES):
        if not at:
            break
        count = reader.number(at, 2, file.order)
        if not 0 < count <= _MOST_FIELDS:
            raise UnlikeError
        fields = _fields(file, at + 2, count)
        parts += _page(fields, f"page {page}" if page else "pixels", big=file.order == "big")
        at = reader.number(at + 2 + 12 * count, 4, file.order)
    return sorted(parts, key=lambda part: part.begin)


def _fields(file: _File, at: int, count: int) -> _Fields:
    """The numbers of every field that has numbers."""
    fields: _Fields = {}
    for place in range(at, at + 12 * count, 12):
        tag, form = (file.reader.number(place + each, 2, file.order) for each in (0, 2))
        many, width = file.reader.number(place + 4, 4, file.order), _SIZES.get(form, 0)
        if not width or many > MOST_PARTS:
            continue
        inside = place + 8
        if many * width > 4:
            inside = file.reader.number(place + 8, 4, file.order)
        data = file.reader.take(inside, many * width)
        fields[tag] = tuple(
            int.from_bytes(data[each : each + width], file.order)
            for each in range(0, len(data), width)
        )
    return fields


def _page(fields: _Fields, name: str, *, big: bool) -> list[Part]:
    if fields.get(_COMPRESSION, (_UNCOMPRESSED,)) != (_UNCOMPRESSED,):
        return []
    begins = fields.get(_STRIPS) or fields.get(_TILES) or ()
    sizes = fields.get(_STRIP_SIZES) or fields.get(_TILE_SIZES) or ()
    kind = _kind(fields, big=big)
    if kind is None or len(begins) != len(sizes):
        return []
    parts = [Part(name, *each, kind) for each in sorted(zip(begins, sizes, strict=True)) if each[1]]
    return _adjoining(parts)


def _adjoining(parts: list[Part]) -> list[Part]:
    """The same bytes, with what adjoins as one part."""
    if not parts:
        return []
    breaks = [at for at, (one, next_) in enumerate(pairwise(parts), 1) if one.end != next_.begin]
    runs = [parts[begin:end] for begin, end in pairwise([0, *breaks, len(parts)])]
    return [
        Part(run[0].name, run[0].begin, run[-1].end - run[0].begin, run[0].kind) for run in runs
    ]


def _kind(fields: _Fields, *, big: bool) -> Kind | None:
    """What the pixels are; None where samples differ in size, or are not whole bytes."""
    bits, samples = set(fields.get(_BITS, (1,))), fields.get(_SAMPLES, (1,))
    width = fields.get(_TILE_WIDTH) or fields.get(_WIDTH)
    if len(bits) != 1 or not width or not width[0] or not samples:
        return None
    (size,) = bits
    if size % 8 or not size:
        row = -(-size * samples[0] * width[0] // 8)
        return kind_of("u", 1, (row,)) if size else None
    channels = 1 if fields.get(_PLANAR) == (_APART,) else max(samples[0], 1)
    row = channels * width[0]
    strides = (channels, row) if channels > 1 else (row,)
    letter = "f" if fields.get(_FORMAT, (1,))[:1] == (_FLOAT,) else "u"
    return kind_of(letter, size // 8, strides, big=big)
