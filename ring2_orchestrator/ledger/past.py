"""The log as it was: after an entry, or at a time, and what was newest then of every subject."""

from typing import NamedTuple

from ring2_orchestrator.ledger.leaf import Leaf
from ring2_orchestrator.ledger.log import Ledger


class Beginning(NamedTuple):
    """The log as it was at a time, as far as the clocks of its writers tell."""

    size: int
    set_back: int  # later entries dated no later than that time: a clock had jumped


def beginning_at(ledger: Ledger, time_ns: int) -> Beginning:
    """The longest beginning in which nothing is dated later than that time.

    Clocks may jump, and the log keeps its own order: a time alone never reorders entries.
    """
    size = set_back = 0
    passed = False
    for seq, leaf in ledger.leaves():
        if leaf.time_ns > time_ns:
            passed = True
        elif passed:
            set_back += 1
        else:
            size = seq + 1
    return Beginning(size, set_back)


def newest_of_each(ledger: Ledger, size: int) -> list[tuple[int, Leaf]]:
    """The newest of the first `size` entries about every subject, newest first."""
    found: dict[str, tuple[int, Leaf]] = {}
    for seq, leaf in ledger.leaves(newest_first=True):
        if seq < size:
            found.setdefault(leaf.subject, (seq, leaf))
    return list(found.values())
