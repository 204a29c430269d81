"""Which of the runs that would be reused are run again to see that they give the same."""

from blake3 import blake3

from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.result import LEDGER_KIND


def is_chosen(fraction: float, home: Home, subject: str) -> bool:
    """Whether this time the command is among the fraction that is verified.

    That hangs on the command and on how many of its runs are in the ledger, so it is the same
    whenever it is asked, and in the long run each command has its share.
    """
    if not 0 < fraction < 1:
        return fraction >= 1
    runs = sum(1 for _ in home.ledger.leaves(LEDGER_KIND, subject))
    drawn = int.from_bytes(blake3(f"{subject} {runs}".encode()).digest(8), "big")
    return drawn < fraction * 2**64
