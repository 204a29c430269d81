"""Genes to plans: the alternatives of every choice that cost least on the sample."""

from collections.abc import Iterator, Mapping

from ring0.plan import Plan
from ring2_orchestrator.gene import Gene, Lowered, Offers, Site, lower
from ring2_orchestrator.planner.yardstick import Yardstick

# Up to this many combinations all are tried; beyond, one choice after another.
MAX_COMBINATIONS = 64
_PASSES = 2


def resolve(gene: Gene, yardstick: Yardstick, offers: Offers | None = None) -> Lowered:
    """The gene with its choices taken. Exact for few combinations, else a local optimum."""
    combinations = _combinations(gene, offers)
    if combinations is None:
        combinations = [_one_by_one(gene, yardstick, offers)]
    lowered = [lower(gene.program, picks, offers) for picks in combinations]
    return min(lowered, key=lambda each: rank(yardstick, each.plan))


def resolutions(gene: Gene, offers: Offers | None = None) -> list[Lowered]:
    """Every plan of a gene with few combinations; for one with more, its first."""
    combinations = _combinations(gene, offers) or [{}]
    return [lower(gene.program, picks, offers) for picks in combinations]


def rank(yardstick: Yardstick, plan: Plan) -> tuple[int, int, bytes]:
    """What plans are ordered by: expected size, then steps, then a name that never ties."""
    return (yardstick.size(plan), len(plan.steps), plan.cid.digest)


def _combinations(gene: Gene, offers: Offers | None) -> list[dict[Site, int]] | None:
    """Every way to take the gene's choices, or None when there are too many."""
    found: list[dict[Site, int]] = []
    for picks in _expand(gene, {}, offers):
        found.append(picks)
        if len(found) > MAX_COMBINATIONS:
            return None
    return found


def _expand(
    gene: Gene, picks: Mapping[Site, int], offers: Offers | None
) -> Iterator[dict[Site, int]]:
    # Which choices are met depends on what earlier ones were taken for.
    met = lower(gene.program, picks, offers).choices
    for choice in met:
        if choice.site not in picks:
            for alternative in range(choice.alternatives):
                yield from _expand(gene, {**picks, choice.site: alternative}, offers)
            return
    yield dict(picks)


def _one_by_one(gene: Gene, yardstick: Yardstick, offers: Offers | None) -> dict[Site, int]:
    picks: dict[Site, int] = {}
    for _ in range(_PASSES):
        before = dict(picks)
        at = 0
        while at < len(choices := lower(gene.program, picks, offers).choices):
            choice = choices[at]
            trials = [{**picks, choice.site: each} for each in range(choice.alternatives)]
            picks = min(
                trials, key=lambda trial: rank(yardstick, lower(gene.program, trial, offers).plan)
            )
            at += 1
        if picks == before:
            break
    return picks
