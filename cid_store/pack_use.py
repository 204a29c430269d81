"""What a collection of garbage finds in one pack."""

from cid_store.index import PackEnd
from cid_store.pack import HEADER_BYTES


class PackUse:
    """What one pack holds, and how much of it is needed."""

    def __init__(self, end: PackEnd) -> None:
        self.end = end
        self.kept = self.kept_bytes = 0
        self.dead = self.dead_bytes = 0
        self.live_room = 0  # with headers and padding, and with the roots in force
        self.young = self.young_bytes = self.young_room = 0  # not needed, and too young to go
        self.whole = True

    @property
    def room(self) -> int:
        """How much of the file holds records."""
        return self.end.end - HEADER_BYTES
