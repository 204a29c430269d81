"""Winners in the shadow ledger: read before a search, and entered after it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice

from cid_store.cid import Cid
from cid_store.errors import RedoxaError
from ring0.manifest import Manifest
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.ledger import Batch, Ledger
from ring2_orchestrator.planner import Profile
from ring2_orchestrator.toolbox import Toolbox
from ring2_orchestrator.winners.searching import Winners
from ring2_orchestrator.winners.winner import Winner

LEDGER_KIND = "plan"

# So many batches are read, the newest, and so many entries of one.
_BATCHES, _ENTRIES = 256, 1024


def open_winners(
    ledger: Callable[[], Ledger] | None,
    tools: Toolbox,
    genes: Sequence[Gene],
    profile: Profile,
    *,
    in_parts: bool,
) -> tuple[Winners, str | None]:
    """What won before as a ledger tells, and a sentence on what of it had to be ignored, if any.

    None is a ledger that was not begun yet.
    """
    winners = Winners(tools, genes, profile, in_parts=in_parts)
    if ledger is None:
        return winners, None
    try:
        found, ignored = _winners(ledger(), profile.name, tools.manifests)
    except (RedoxaError, OSError) as error:
        return winners, f"what won before is not known: {error}"
    winners.know(found)
    if not ignored:
        return winners, None
    return winners, f"earlier winners in the ledger were ignored, malformed or lost: {ignored:,}"


def keep_winners(ledger: Callable[[], Ledger], winners: Winners) -> str | None:
    """Enter what is new, for later searches; a sentence where that cannot be done."""
    if not winners.fresh:
        return None
    entries = [each.to_node() for each in winners.fresh]
    try:
        ledger().append(entries, kind=LEDGER_KIND, subject=winners.profile.name)
    except (RedoxaError, OSError) as error:
        return f"what won could not be entered in the ledger: {error}"
    winners.fresh.clear()
    return None


def _winners(
    ledger: Ledger, profile: str, manifests: Mapping[Cid, Manifest]
) -> tuple[list[Winner], int]:
    """The winners under a profile, the newest first, and how many entries are none."""
    found: list[Winner] = []
    ignored = 0
    leaves = ledger.leaves(LEDGER_KIND, profile, newest_first=True)
    for seq, _ in islice(leaves, _BATCHES):
        batch: Batch | None = None
        with suppress(RedoxaError):
            batch = ledger.read(seq)
        for node in () if batch is None else reversed(batch.entries[:_ENTRIES]):
            try:
                found.append(Winner.from_node(node, manifests))
            except RedoxaError:
                ignored += 1
        ignored += batch is None
    return found, ignored
