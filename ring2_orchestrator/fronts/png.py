"""Pictures of PNG: the chunks with their pixels, deflated row by row."""

from ring0.plan import Dtype
from ring2_orchestrator.fronts.part import Coat, Kind, Layer, Part
from ring2_orchestrator.fronts.reading import Reader, UnlikeError

MAGIC = b"\x89PNG\r\n\x1a\n"
_HEADER, _HEADER_BYTES = b"\0\0\0\rIHDR", 33
_PIXELS = b"IDAT"
# What a chunk has beside its data: a length and a name before it, a sum after it.
_NAMED, _FRAME = 8, 12
_MOST_CHUNKS = 1 << 16
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_BITS = (1, 2, 4, 8, 16)


def find(reader: Reader) -> list[Part]:
    """The chunks of pixels, which stand side by side."""
    if reader.take(8, 8) != _HEADER:
        raise UnlikeError
    width, height = reader.number(16, 4, "big"), reader.number(20, 4, "big")
    bits, colour, _, _, interlaced = reader.take(24, 5)
    channels = _CHANNELS.get(colour, 0)
    if bits not in _BITS or not channels or not width or not height:
        raise UnlikeError
    begin, end = _chunks(reader)
    row = -(-channels * bits * width // 8)
    coat: Coat = (Layer("idat", port=1), Layer("deflate"))
    kind = None
    if not interlaced:
        # What is left of a pixel are whole bytes, one at least.
        coat += (Layer("scanlines", (row, max(channels * bits // 8, 1)), 1),)
        kind = _kind(channels, bits, row)
    inside = min(height * (row + 1), 1 << 62)
    return [Part("pixels", begin, end - begin, kind, coat=coat, inside=inside, alone=True)]


def _kind(channels: int, bits: int, row: int) -> Kind:
    if bits < 8:
        return Kind(Dtype.U8, (row,))
    lanes = row // (bits // 8)
    strides = (channels, lanes) if channels > 1 else (lanes,)
    return Kind(Dtype.U16, strides, big_endian=True) if bits > 8 else Kind(Dtype.U8, strides)


def _chunks(reader: Reader) -> tuple[int, int]:
    """Where the chunks of pixels begin and end."""
    at, begin = _HEADER_BYTES, 0
    for _ in range(_MOST_CHUNKS):
        if at + _NAMED > reader.size:
            break
        size, name = reader.number(at, 4, "big"), reader.take(at + 4, 4)
        if name == _PIXELS and not begin:
            begin = at
        if (begin and name != _PIXELS) or at + _FRAME + size > reader.size:
            break
        at += _FRAME + size
    if not begin or at == begin:
        raise UnlikeError
    return begin, at
