"""Genes to plans: the alternatives of every choice that cost least on the sample."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ring0.plan import Plan
from ring2_orchestrator.gene import Gene, Lowered, Offers, Site
from ring2_orchestrator.planner.yardstick import Yardstick

# Up to this many combinations all are tried; beyond, one choice after another.
MAX_COMBINATIONS = 64
_PASSES = 2
# So many of the best combinations are asked whether they fit.
_TRIED = 24
# So many of the smallest on the sample are projected from its halves.
_PROJECTED = 3

# The size of a plan that is not to be tried.
NEVER = 1 << 62

# What is compared of plans: anything that orders them.
Cost = Callable[[Lowered], tuple[Any, ...]]


class Resolving:
    """A gene's plans with what they take on the sample, and the choice among them."""

    def __init__(
        self,
        gene: Gene,
        yardstick: Yardstick,
        offers: Offers | None = None,
        codes: Callable[[Plan], bool] = lambda _: True,
        *,
        most: int = MAX_COMBINATIONS,
    ) -> None:
        """What is not held to code quickly enough is not tried."""
        self.gene = gene
        self._yardstick = yardstick
        costs: dict[Plan, tuple[int, int, bytes]] = {}

        def cost(lowered: Lowered) -> tuple[int, int, bytes]:
            plan = lowered.plan
            if plan not in costs:
                size = yardstick.size_here(plan) if codes(plan) else NEVER
                costs[plan] = (size, len(plan.steps), plan.cid.digest)
            return costs[plan]

        ordered = sorted(explored(gene, cost, offers, most=most), key=cost)
        self._smallest = [each for each in ordered if cost(each)[0] < NEVER]
        # The size of the smallest on the sample; that of none is beyond all.
        self.least = min((cost(each)[0] for each in self._smallest[:1]), default=NEVER)

    def best(self, fits: Callable[[Plan], bool] = lambda _: True) -> Lowered | None:
        """Of the best some, the first that fits; the best where none does.

        None where nothing is left.
        """
        smallest = self._smallest
        nearest = sorted(smallest[:_PROJECTED], key=lambda each: rank(self._yardstick, each.plan))
        ranked = [*nearest, *smallest[_PROJECTED:]]
        return next((each for each in ranked[:_TRIED] if fits(each.plan)), next(iter(ranked), None))


def resolve(
    gene: Gene,
    yardstick: Yardstick,
    offers: Offers | None = None,
    fits: Callable[[Plan], bool] = lambda _: True,
    codes: Callable[[Plan], bool] = lambda _: True,
    *,
    most: int = MAX_COMBINATIONS,
) -> Lowered | None:
    """The gene with its choices taken. Exact up to `most` combinations, else a local optimum."""
    return Resolving(gene, yardstick, offers, codes, most=most).best(fits)


def explored(
    gene: Gene, cost: Cost, offers: Offers | None = None, *, most: int = MAX_COMBINATIONS
) -> list[Lowered]:
    """Plans of a gene, the one of least cost among them: all where they are no more than `most`.

    Of more, those that are met while one choice after another is taken for what costs least.
    """
    lowerings = _Lowerings(gene, offers)
    every = lowerings.every(most)
    return [*_one_by_one(lowerings, cost)] if every is None else every


def resolutions(gene: Gene, offers: Offers | None = None) -> list[Lowered]:
    """Every plan of a gene; where they are too many, its first and those a choice away from it."""
    lowerings = _Lowerings(gene, offers)
    every = lowerings.every(MAX_COMBINATIONS)
    if every is not None:
        return every
    first = lowerings.of({})
    away = ({met.site: at} for met in first.choices for at in range(1, met.alternatives))
    return [first, *map(lowerings.of, itertools.islice(away, MAX_COMBINATIONS - 1))]


def rank(yardstick: Yardstick, plan: Plan) -> tuple[int, int, bytes]:
    """What plans are ordered by: expected size, then steps, then a name that never ties."""
    return (yardstick.size(plan), len(plan.steps), plan.cid.digest)


class _Lowerings:
    """The plans of a gene by what is picked, each lowered once."""

    def __init__(self, gene: Gene, offers: Offers | None) -> None:
        self._gene = gene
        self._offers = offers
        self._known: dict[frozenset[tuple[Site, int]], Lowered] = {}

    def of(self, picks: Mapping[Site, int]) -> Lowered:
        """The gene under these picks."""
        # A first alternative is what is taken without a pick, too.
        taken = frozenset(pick for pick in picks.items() if pick[1])
        if taken not in self._known:
            self._known[taken] = self._gene.lowered(picks, self._offers)
        return self._known[taken]

    def every(self, most: int) -> list[Lowered] | None:
        """The gene with its choices taken in every way, or None when there are too many."""
        found = [*itertools.islice(self._expand({}), most + 1)]
        return None if len(found) > most else found

    def _expand(self, picks: Mapping[Site, int]) -> Iterator[Lowered]:
        # Which choices are met depends on what earlier ones were taken for.
        lowered = self.of(picks)
        for choice in lowered.choices:
            if choice.site not in picks:
                for alternative in range(choice.alternatives):
                    yield from self._expand({**picks, choice.site: alternative})
                return
        yield lowered


def _one_by_one(lowerings: _Lowerings, cost: Cost) -> Iterator[Lowered]:
    picks: dict[Site, int] = {}
    met: dict[Plan, Lowered] = {}

    def cost_of(picks: Mapping[Site, int]) -> tuple[Any, ...]:
        lowered = lowerings.of(picks)
        met[lowered.plan] = lowered
        return cost(lowered)

    for _ in range(_PASSES):
        before = dict(picks)
        at = 0
        while at < len(choices := lowerings.of(picks).choices):
            choice = choices[at]
            trials = [{**picks, choice.site: each} for each in range(choice.alternatives)]
            picks = min(trials, key=cost_of)
            at += 1
        if picks == before:
            break
    yield from met.values()
