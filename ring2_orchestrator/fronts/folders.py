"""Directories as they are packed: a list of files, and their contents."""

from ring2_orchestrator.container import DamagedContainerError
from ring2_orchestrator.fronts.part import MOST_PARTS, Part
from ring2_orchestrator.fronts.reading import Reader, UnlikeError
from ring2_orchestrator.tree.listing import (
    FRONT,
    MAGIC,
    Listing,
    decode_front,
    decode_listing,
    places,
)

__all__ = ["MAGIC", "find"]

_LONGEST_LISTING = 1 << 25


def find(reader: Reader) -> list[Part]:
    """The list, and every file that has any bytes of its own."""
    end, listing = _listing(reader)
    parts = [Part("the list of files", 0, end)]
    for place in places(listing.contents, end):
        content = listing.contents[place.content]
        name = content.path.decode("utf-8", "replace")
        parts.append(Part(name, place.begin, content.length))
        if len(parts) == MOST_PARTS:
            break
    return parts


def _listing(reader: Reader) -> tuple[int, Listing]:
    try:
        begin, end = decode_front(reader.take(0, min(FRONT, reader.size)))
        if end - begin > _LONGEST_LISTING:
            raise UnlikeError
        return end, decode_listing(reader.take(begin, end - begin))
    except DamagedContainerError as error:
        raise UnlikeError from error
