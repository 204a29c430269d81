"""Files of gzip, of one member or several: one part, whose contents are deflated."""

from ring2_orchestrator.fronts.part import Layer, Part
from ring2_orchestrator.fronts.reading import Reader, UnlikeError

MAGIC = b"\x1f\x8b\x08"
# A header of ten bytes, a stream of two, and two sums.
_LEAST_BYTES = 20


def find(reader: Reader) -> list[Part]:
    """The whole file: its headers are told apart when it is inflated."""
    if reader.size < _LEAST_BYTES:
        raise UnlikeError
    inside = reader.number(reader.size - 4, 4)
    return [Part("contents", 0, reader.size, coat=(Layer("deflate"),), inside=inside, alone=True)]
