"""What moved between tiers, as the ledger keeps it: what leaves one account enters another."""

from collections.abc import Sequence
from typing import NamedTuple

from cid_store.cid import Cid
from cid_store.encoding import NodeLike
from cid_store.tiers import Account, Books, Tier
from ring2_orchestrator.ledger import Ledger

KIND = "tier"
SUBJECT = "store"
FORGOTTEN = "forgotten"


class Move(NamedTuple):
    """An object that went from one tier to another; `stored` is what it takes in the packs.

    What went with it counts as stored after: its recipe, its container, kernels that were new.
    """

    cid: Cid
    origin: Tier
    target: Tier
    size_bytes: int
    stored_before: int
    stored_after: int
    cost_s: float

    @property
    def saved_bytes(self) -> int:
        """What the packs need no more, once garbage is collected."""
        return self.stored_before - self.stored_after

    def to_node(self) -> dict[str, NodeLike]:
        """The move as the ledger keeps it."""
        return {
            # As text, and no link: the ledger would keep alive what it only tells of.
            "cid": str(self.cid),
            "from": self.origin.value,
            "to": self.target.value,
            "objects": 1,
            "bytes": self.size_bytes,
            "stored_before": self.stored_before,
            "stored_after": self.stored_after,
            "cost_s": self.cost_s,
        }


def book_moves(ledger: Ledger, act: str, moves: Sequence[Move], books: Books) -> int:
    """Enter moves, and the books after them; the number of the batch."""
    return _append(ledger, act, [move.to_node() for move in moves], books)


def book_forgotten(ledger: Ledger, forgotten: Books, after: Books) -> int | None:
    """Enter what a collection of garbage forgot; None where that is nothing."""
    moves: list[dict[str, NodeLike]] = [
        {
            "from": tier.value,
            "to": FORGOTTEN,
            "objects": account.objects,
            "bytes": account.object_bytes,
            "stored_before": account.stored_bytes,
            "stored_after": 0,
            "cost_s": account.debt_s,
        }
        for tier in Tier
        if (account := forgotten.of(tier)).objects
    ]
    return _append(ledger, "gc", moves, after) if moves else None


def _append(ledger: Ledger, act: str, moves: Sequence[dict[str, NodeLike]], books: Books) -> int:
    entry: dict[str, NodeLike] = {
        "act": act,
        "moves": list[NodeLike](moves),
        "books": {tier.value: _account(books.of(tier)) for tier in Tier},
    }
    return ledger.append([entry], kind=KIND, subject=SUBJECT).seq


def _account(account: Account) -> dict[str, NodeLike]:
    return {
        "objects": account.objects,
        "bytes": account.object_bytes,
        "stored_bytes": account.stored_bytes,
        "debt_s": account.debt_s,
    }
