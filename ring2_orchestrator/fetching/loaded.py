"""What became of a wish."""

from dataclasses import dataclass, field
from typing import BinaryIO

from cid_store.cid import Cid
from ring2_orchestrator.net.exchange import Exchange
from ring2_orchestrator.net.target import Target


@dataclass(slots=True)
class Ask:
    """One request that was made. No credentials stand in its address."""

    url: str
    status: int | None = None  # None: nothing was answered
    latency_s: float | None = None  # to the head of the answer
    moved_bytes: int = 0
    trouble: str = ""


@dataclass(slots=True)
class Account:
    """All requests of one wish."""

    asks: list[Ask] = field(default_factory=list[Ask])
    retries: int = 0
    last: Target | None = None  # the last address on the way, with all that is in it

    @property
    def moved_bytes(self) -> int:
        """How many bytes of bodies came."""
        return sum(ask.moved_bytes for ask in self.asks)


@dataclass(slots=True)
class Found:
    """An answer in full.

    `source` says how it was had: `network`, `resumed`, `confirmed` (the server said that what is
    kept still holds), `cache` (nobody was asked); `checked` against what: `digest`, `length`,
    `end` (of a body in pieces) or `nothing`, as an old server's that ends by closing.
    """

    exchange: Exchange
    source: str
    checked: str
    begun_ns: int
    resumed_from: int = 0
    file: BinaryIO | None = None  # the bytes, where they may not be kept
    why_not_kept: str = ""

    @property
    def content(self) -> Cid | None:
        """The name of the bytes, None where they may not be kept."""
        return self.exchange.content
