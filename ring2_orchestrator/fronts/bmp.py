"""Pictures of Windows: BMP without compression, its rows padded to whole words."""

from ring0.plan import Dtype
from ring2_orchestrator.fronts.part import Kind, Part
from ring2_orchestrator.fronts.reading import Reader, UnlikeError

_OLD_HEADER, _HEADER = 12, 40
_PLAIN, _BITFIELDS = 0, 3


def find(reader: Reader) -> list[Part]:
    """The pixels."""
    begin, header = reader.number(10, 4), reader.number(14, 4)
    if header == _OLD_HEADER:
        width, height = reader.number(18, 2), reader.number(20, 2)
        bits, packing = reader.number(24, 2), _PLAIN
    elif header >= _HEADER:
        width, height = reader.number(18, 4), reader.number(22, 4)
        bits, packing = reader.number(28, 2), reader.number(30, 4)
    else:
        raise UnlikeError
    # A negative height says that the first row is the upper one.
    height = min(height, (1 << 32) - height)
    if packing not in (_PLAIN, _BITFIELDS) or bits not in (1, 4, 8, 16, 24, 32):
        raise UnlikeError
    row = -(-bits * width // 32) * 4
    size = row * height
    if not size or begin < 14 + header or begin + size > reader.size:
        raise UnlikeError
    if bits == 16:
        return [Part("pixels", begin, size, Kind(Dtype.U16, (row // 2,)))]
    strides = (bits // 8, row) if bits > 8 else (row,)
    return [Part("pixels", begin, size, Kind(Dtype.U8, strides))]
