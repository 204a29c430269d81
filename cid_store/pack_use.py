"""What a collection of garbage finds in one pack."""

from typing import TypeGuard

from cid_store.cid import digest_of
from cid_store.extent import sealed_extent
from cid_store.folder import Place
from cid_store.index import PackEnd
from cid_store.pack import HEADER_BYTES, Head


class PackUse:
    """What one pack holds, and how much of it is needed."""

    def __init__(self, end: PackEnd) -> None:
        self.end = end
        self.kept = self.kept_bytes = 0
        self.dead = self.dead_bytes = 0
        self.live_room = 0  # with headers and padding, and with the roots in force
        self.young = self.young_bytes = self.young_room = 0  # not needed, and too young to go
        self.older: list[Head] = []  # records of objects that the index finds elsewhere, or not
        self.whole = True

    @property
    def room(self) -> int:
        """How much of the file holds records."""
        return self.end.end - HEADER_BYTES


def is_elsewhere(place: Place | None, head: Head) -> TypeGuard[Place]:
    """Whether the index finds the object, and not where that record stands."""
    return place is not None and (place.pack, place.offset) != (head.pack, head.offset)


def is_payload(head: Head, payload: memoryview) -> bool:
    """Whether these bytes are what that header names."""
    if head.kind.is_sealed:
        return sealed_extent(head.kind, head.cid, bytes(payload)) is not None
    return digest_of(payload) == head.cid.digest
