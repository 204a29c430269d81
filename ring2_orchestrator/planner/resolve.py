"""Genes to plans: the alternatives of every choice that cost least on the sample."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ring0.plan import Plan
from ring2_orchestrator.gene import Gene, Lowered, Offers, Site, lower
from ring2_orchestrator.planner.yardstick import Yardstick

# Up to this many combinations all are tried; beyond, one choice after another.
MAX_COMBINATIONS = 64
_PASSES = 2
# So many of the best combinations are asked whether they fit.
_TRIED = 24
# So many of the smallest on the sample are projected from its halves.
_PROJECTED = 8

# What is compared of plans: anything that orders them.
Cost = Callable[[Lowered], tuple[Any, ...]]


def resolve(
    gene: Gene,
    yardstick: Yardstick,
    offers: Offers | None = None,
    fits: Callable[[Plan], bool] = lambda _: True,
) -> Lowered:
    """The gene with its choices taken. Exact for few combinations, else a local optimum.

    Of the best some, the first that fits; the best where none does.
    """

    def cost(lowered: Lowered) -> tuple[int, int, bytes]:
        plan = lowered.plan
        return (yardstick.size_here(plan), len(plan.steps), plan.cid.digest)

    smallest = sorted(explored(gene, cost, offers), key=cost)
    nearest = sorted(smallest[:_PROJECTED], key=lambda each: rank(yardstick, each.plan))
    ranked = [*nearest, *smallest[_PROJECTED:]]
    return next((each for each in ranked[:_TRIED] if fits(each.plan)), ranked[0])


def explored(
    gene: Gene, cost: Cost, offers: Offers | None = None, *, most: int = MAX_COMBINATIONS
) -> list[Lowered]:
    """Plans of a gene, the one of least cost among them: all where they are no more than `most`.

    Of more, those that are met while one choice after another is taken for what costs least.
    """
    every = _combinations(gene, offers, most)
    return [*_one_by_one(gene, cost, offers)] if every is None else every


def resolutions(gene: Gene, offers: Offers | None = None) -> list[Lowered]:
    """Every plan of a gene; where they are too many, its first and those a choice away from it."""
    every = _combinations(gene, offers, MAX_COMBINATIONS)
    if every is not None:
        return every
    first = lower(gene.program, {}, offers)
    away = ({met.site: at} for met in first.choices for at in range(1, met.alternatives))
    nearest = itertools.islice(away, MAX_COMBINATIONS - 1)
    return [first, *(lower(gene.program, picks, offers) for picks in nearest)]


def rank(yardstick: Yardstick, plan: Plan) -> tuple[int, int, bytes]:
    """What plans are ordered by: expected size, then steps, then a name that never ties."""
    return (yardstick.size(plan), len(plan.steps), plan.cid.digest)


def _combinations(gene: Gene, offers: Offers | None, most: int) -> list[Lowered] | None:
    """The gene with its choices taken in every way, or None when there are too many."""
    found: list[Lowered] = []
    for lowered in _expand(gene, {}, offers):
        found.append(lowered)
        if len(found) > most:
            return None
    return found


def _expand(gene: Gene, picks: Mapping[Site, int], offers: Offers | None) -> Iterator[Lowered]:
    # Which choices are met depends on what earlier ones were taken for.
    lowered = lower(gene.program, picks, offers)
    for choice in lowered.choices:
        if choice.site not in picks:
            for alternative in range(choice.alternatives):
                yield from _expand(gene, {**picks, choice.site: alternative}, offers)
            return
    yield lowered


def _one_by_one(gene: Gene, cost: Cost, offers: Offers | None) -> Iterator[Lowered]:
    picks: dict[Site, int] = {}
    known: dict[frozenset[tuple[Site, int]], Lowered] = {}

    def lowered(picks: Mapping[Site, int]) -> Lowered:
        taken = frozenset(picks.items())
        if taken not in known:
            known[taken] = lower(gene.program, picks, offers)
        return known[taken]

    for _ in range(_PASSES):
        before = dict(picks)
        at = 0
        while at < len(choices := lowered(picks).choices):
            choice = choices[at]
            trials = [{**picks, choice.site: each} for each in range(choice.alternatives)]
            picks = min(trials, key=lambda trial: cost(lowered(trial)))
            at += 1
        if picks == before:
            break
    yield from known.values()
