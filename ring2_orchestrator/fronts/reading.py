"""Headers read from a source: nothing beyond its end, and nothing because a number says so."""

from typing import Literal

from ring2_orchestrator.container import Source

Order = Literal["little", "big"]


class UnlikeError(Exception):
    """The bytes are not of the format that they looked like."""


class Reader:
    """A source of which every read gives all bytes asked for, or says that this is not the format.

    Lengths and places come from the file itself, so they may be anything.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.size = source.size

    def take(self, at: int, size: int) -> bytes:
        """Exactly these bytes. Raises UnlikeError where the file has no such."""
        if at < 0 or size < 0 or at + size > self.size:
            raise UnlikeError
        return self.source.read(at, size)

    def number(self, at: int, size: int, order: Order = "little") -> int:
        """The unsigned number in these bytes."""
        return int.from_bytes(self.take(at, size), order)
