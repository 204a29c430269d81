"""Finalists: of the plans that the planner proposes, those that are tried on everything."""

from collections.abc import Sequence

from cid_store.cid import Cid
from ring2_orchestrator.container import Advance, Source
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.planner import Periods, Profile, Proposal, propose
from ring2_orchestrator.toolbox import Toolbox
from ring2_orchestrator.winners import Winners

FINALISTS = 3


def finalists_of(
    source: Source,
    genes: Sequence[Gene],
    tools: Toolbox,
    profile: Profile | None,
    *,
    known: Periods | None = None,
    advance: Advance | None = None,
    winners: Winners | None = None,
    is_part: bool = False,
) -> list[Proposal]:
    """The plans that are tried on everything. `known` are distances that need not be found.

    `advance` is told of the best so far. With `winners`, what won before is asked first; `is_part`
    is for them.
    """
    if not source.size:
        return []
    if winners is not None and profile is not None:
        found = winners.propose(
            source, genes, profile, known=known, advance=advance, is_part=is_part
        )
    else:
        found = propose(
            source,
            genes,
            tools.packer,
            tools.kernels,
            profile,
            known=known,
            sketcher=tools.sketcher,
            advance=advance,
        )
    if profile is None:
        return found[:FINALISTS]
    first = _unlike(found, profile.finalists)
    # A sample shows little of what repeats far away: a codec for everything may do better than it
    # promised there.
    bare = [each for each in found if len(each.plan.steps) == 1 and each not in first]
    near = [each for each in bare if each.expected_bytes < 2 * first[0].expected_bytes]
    return [*first, *near[:1]]


def _unlike(found: Sequence[Proposal], count: int) -> list[Proposal]:
    """The best proposals that begin unlike each other, before any that begins alike."""
    ways: dict[tuple[Cid, ...], Proposal] = {}
    for each in found:
        kernels = [step.kernel for step in each.plan.steps if step.kernel is not None]
        ways.setdefault(tuple(kernels[:2]), each)
    chosen = [*ways.values()]
    return (chosen + [each for each in found if each not in chosen])[:count]
