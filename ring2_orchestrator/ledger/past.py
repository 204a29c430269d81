"""The log as it was: after an entry, or at a time, and what was newest then of every subject."""

from ring2_orchestrator.ledger.leaf import Leaf
from ring2_orchestrator.ledger.log import Ledger


def size_at(ledger: Ledger, time_ns: int) -> int:
    """How many entries the longest beginning has in which nothing is dated later than that time.

    Clocks may jump, and the log keeps its own order: a time alone never reorders entries.
    """
    size = 0
    for seq, leaf in ledger.leaves():
        if leaf.time_ns > time_ns:
            break
        size = seq + 1
    return size


def newest_of_each(ledger: Ledger, size: int) -> list[tuple[int, Leaf]]:
    """The newest of the first `size` entries about every subject, newest first."""
    found: dict[str, tuple[int, Leaf]] = {}
    for seq, leaf in ledger.leaves(newest_first=True):
        if seq < size:
            found.setdefault(leaf.subject, (seq, leaf))
    return list(found.values())
