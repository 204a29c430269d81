"""Proposing: the plans that are worth trying on all of some data, the most promising first."""

import functools
import itertools
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ring0.execution import Executor
from ring0.plan import Dtype, Plan
from ring2_orchestrator.container import Advance, Source
from ring2_orchestrator.gene import Gene, Lowered, Offers
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.planner.moves import without_leading_bitcast
from ring2_orchestrator.planner.offers import delimiters_of, offers
from ring2_orchestrator.planner.periods import Periods, find_periods
from ring2_orchestrator.planner.profile import BALANCED, Profile
from ring2_orchestrator.planner.resolve import (
    NEVER,
    Resolving,
    explored,
    rank,
    resolutions,
    resolve,
)
from ring2_orchestrator.planner.sample import ALIGNMENT, take_sample, take_stretch
from ring2_orchestrator.planner.search import Frontier, Search, run_search, select_best
from ring2_orchestrator.planner.yardstick import Yardstick

Offered = Callable[[Dtype], Offers]

# The gene that every profile may fall back on, however quickly it decodes: it ends where the best
# compressor for everything does.
FALLBACK = "repeats"
# Of unknown parameters, so many combinations are tried before one parameter is after another.
_TOGETHER = 18
# Of a gene with unknown parameters so many plans are compared with others, of so many tried, if
# they take less than 5/4 of the least that was seen.
_VARIANTS, _TRIED = 2, 10
_NEAR, _NEAR_PART = 5, 4
# Of the plans that are judged so many are projected from their halves.
_PROJECTED = 4
# What takes twice the effort to decode, or more, is to save this part of the bytes.
_WORTH = 128
# Of genes for a tiny file so many are tried in all their alternatives.
_FOREMOST = 4
# What a plan is called that comes from no gene.
SEARCH = "search"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plan worth trying on everything: the gene it comes from, and its expected size."""

    gene: str
    plan: Plan
    expected_bytes: int


def propose(
    source: Source,
    genes: Sequence[Gene],
    executor: Executor,
    kernels: KernelSet,
    profile: Profile | None = None,
    *,
    known: Periods | None = None,
    sketcher: Executor | None = None,
    earlier: Mapping[Plan, str] | None = None,
    advance: Advance | None = None,
) -> list[Proposal]:
    """Plans to try, the most promising first; the same for the same bytes.

    One for each gene; with a profile, also those that a search finds, and none that the profile
    holds to be too slow. `known` are distances that need not be found in the data; a `sketcher`
    compares plans in less time than the executor, in whose place it is used with a profile. Plans
    found `earlier` take the place of a search. `advance` is told of the best so far.
    """
    if profile is None:
        yardstick = Yardstick(take_sample(source), executor, kernels)
        return _ranked(_resolved(genes, yardstick), yardstick)
    sketcher = executor if sketcher is None else sketcher
    search = _search(source, sketcher, kernels, profile, known)
    delimiters = delimiters_of(search.yardstick.sample.data)
    offered = functools.partial(offers, search.periods, delimiters=delimiters)
    closed = [gene for gene in genes if not gene.has_holes]
    if source.size < profile.tiny_bytes:
        closed = _foremost(closed, search.yardstick)
    if earlier is not None:
        found = dict(earlier)
    else:
        found = _found(search, [gene for gene in genes if gene.has_holes], offered)
    plain = [gene for gene in closed if not gene.unknowns]
    found |= _foremost_resolved(plain, offered, search, found)
    stretch = Yardstick(take_stretch(source, profile.judged_bytes), sketcher, kernels)
    ranked = _judged(found, search.yardstick)
    judged = {
        each.plan: each.gene
        for place, each in enumerate(ranked)
        if each.gene == FALLBACK or (place < profile.judged and _fits(search, each.plan, stretch))
    }
    best = [each for each in ranked if each.plan in judged][:1]
    _tell(advance, best, source.size)
    # What is to be found in the data is hardly to be seen in blocks apart.
    glance = Yardstick(take_stretch(source, profile.judged_bytes // 8), sketcher, kernels)
    least = min((glance.size_here(plan) for plan in judged), default=0)
    for gene in closed:
        # One that is slower by far whatever its parameters are is not worth comparing.
        if gene.unknowns and search.fits(gene.plan(), times=2):
            near = _near(gene, offered(gene.program.dtype), glance, least, search)
            variants = _variants(near, search, stretch)
            judged |= dict.fromkeys(variants, gene.name)
            best += [Proposal(gene.name, plan, glance.rough(plan)) for plan in variants]
            _tell(advance, best, source.size)
    return _worth_it(_judged(judged, stretch), search)


def retry(
    source: Source,
    plans: Mapping[Plan, str],
    executor: Executor,
    yardstick: Yardstick,
    profile: Profile,
) -> list[Proposal]:
    """Those of some plans, each with its gene, that the profile allows; the best first.

    The yardstick of a sample compares them, so what is expected of them is rough.
    """
    search = Search(yardstick, profile=profile)
    stretch = Yardstick(take_stretch(source, profile.judged_bytes), executor, yardstick.kernels)
    fitting = [each for each in plans if plans[each] == FALLBACK or _fits(search, each, stretch)]
    ranked = sorted(fitting, key=lambda plan: (yardstick.size_here(plan), plan.cid))
    return [Proposal(plans[plan], plan, yardstick.rough(plan)) for plan in ranked]


def _tell(advance: Advance | None, found: Sequence[Proposal], total: int) -> None:
    if advance is not None and found:
        best = min(found, key=lambda each: each.expected_bytes)
        advance(0, so_far(best.expected_bytes, total, best.gene))


def so_far(size: int, total: int, gene: str) -> str:
    """What a progress bar says of the best plan that is known."""
    return f"best so far {size:,} bytes, ratio {total / max(size, 1):.2f}, {gene}"


def _foremost(genes: Sequence[Gene], yardstick: Yardstick) -> list[Gene]:
    """The genes whose first alternatives take least, and the one that is always tried."""
    ranked = sorted(genes, key=lambda gene: (yardstick.size(gene.plan()), gene.name))
    return [gene for at, gene in enumerate(ranked) if at < _FOREMOST or gene.name == FALLBACK]


def _fits(search: Search, plan: Plan, stretch: Yardstick) -> bool:
    """Whether a plan is quick enough on the sample, or on a longer stretch.

    What learns as it goes is slower on blocks apart than it will be on everything.
    """
    return search.fits(plan) or (search.fits(plan, times=2) and search.fits(plan, seen=stretch))


def _variants(near: Sequence[Plan], search: Search, stretch: Yardstick) -> list[Plan]:
    """The first of some plans that are quick enough."""
    # The smallest are often the slowest alike: they are not to crowd out those that fit.
    tried = itertools.islice((plan for plan in near if search.fits(plan, times=2)), _TRIED)
    fitting = (plan for plan in tried if _fits(search, plan, stretch))
    return [*itertools.islice(fitting, _VARIANTS)]


def _near(gene: Gene, offered: Offers, glance: Yardstick, least: int, search: Search) -> list[Plan]:
    """The plans of a gene that come near to the least seen, the smallest first."""
    sizes: dict[Plan, int] = {}

    def cost(lowered: Lowered) -> tuple[int, bytes]:
        plan = without_leading_bitcast(lowered.plan)
        if plan not in sizes:
            sizes[plan] = glance.size_here(plan) if search.codes(plan) else NEVER
        return sizes[plan], plan.cid.digest

    for each in explored(gene, cost, offered, most=_TOGETHER):
        cost(each)  # where there are few, none was compared yet
    near = [plan for plan in sizes if sizes[plan] * _NEAR_PART < least * _NEAR]
    return sorted(near, key=lambda plan: (sizes[plan], plan.cid.digest))


def _ranked(found: Mapping[Plan, str], yardstick: Yardstick) -> list[Proposal]:
    ranked = sorted(found, key=lambda plan: rank(yardstick, plan))
    return [Proposal(found[plan], plan, yardstick.size(plan)) for plan in ranked]


def _judged(found: Mapping[Plan, str], yardstick: Yardstick) -> list[Proposal]:
    """The same, but what is larger by far on what is judged is not projected any better."""
    smallest = sorted(found, key=lambda plan: (yardstick.size_here(plan), plan.cid))[:_PROJECTED]
    near = {
        plan: found[plan]
        for plan in smallest
        if yardstick.size_here(plan) * _NEAR_PART <= yardstick.size_here(smallest[0]) * _NEAR
    }
    far = sorted(found.keys() - near.keys(), key=lambda plan: (yardstick.rough(plan), plan.cid))
    rest = [Proposal(found[plan], plan, yardstick.rough(plan)) for plan in far]
    return [*_ranked(near, yardstick), *rest]


def _worth_it(found: Sequence[Proposal], search: Search) -> list[Proposal]:
    """Those that are smaller, by a part of their size, than whatever decodes twice as quickly.

    The fallback is always one of them.
    """
    efforts = {each.plan: search.effort(each.plan) for each in found}
    kept: list[Proposal] = []
    # The quickest first, and compared with what is kept alone: were each nearly as small as the
    # next, the quickest of all might be much larger than the smallest.
    for each in sorted(found, key=lambda each: (efforts[each.plan], each.expected_bytes)):
        most = each.expected_bytes + each.expected_bytes // _WORTH
        if each.gene == FALLBACK or not any(
            2 * efforts[other.plan] <= efforts[each.plan] and other.expected_bytes <= most
            for other in kept
        ):
            kept.append(each)
    plans = {each.plan for each in kept}
    return [each for each in found if each.plan in plans]


def _found(search: Search, genes: Sequence[Gene], offered: Offered) -> dict[Plan, str]:
    """What a search finds from nothing, and in the holes of genes."""
    # What is no whole number of lanes is hardly an array of them.
    total = search.yardstick.sample.total
    fitting = [dtype for dtype in Dtype if total % dtype.width == 0]
    starts: list[tuple[Plan, Sequence[int]]] = [(Plan(dtype, ()), [0]) for dtype in fitting]
    for gene in genes:
        lowered = resolutions(gene, offered(gene.program.dtype))
        starts += [(each.plan, each.holes) for each in lowered]
    frontier = search.start(starts)
    assert frontier is not None, "a plan without steps always runs"
    best = run_search(frontier, beam=search.profile.beam)
    return dict.fromkeys((each.plan for each in best.candidates if each.plan.steps), SEARCH)


def _resolved(genes: Sequence[Gene], yardstick: Yardstick) -> dict[Plan, str]:
    """The plans of genes, holes filled."""
    found = [(gene, _plan_of(gene, yardstick)) for gene in genes]
    return _named((gene, plan) for gene, plan in found if plan is not None)


def _foremost_resolved(
    genes: Sequence[Gene], offered: Offered, search: Search, found: Collection[Plan]
) -> dict[Plan, str]:
    """The plans of genes that may be judged beside those `found`, and of the fallback.

    Which of a gene's plans is best, and quick enough, is not asked where even its smallest is
    larger on the sample than as many others as are judged.
    """
    yardstick = search.yardstick
    plans = {*found}
    sizes = sorted(map(yardstick.size_here, plans))
    resolved: dict[int, Plan] = {}
    considered = [_considered(gene, offered, search) for gene in genes]
    for at in sorted(range(len(genes)), key=lambda at: considered[at].least):
        gene, each = genes[at], considered[at]
        smaller = bisect_left(sizes, each.least)
        if gene.name != FALLBACK and smaller >= search.profile.judged:
            continue
        lowered = each.best() if gene.name == FALLBACK else each.best(search.fits)
        if lowered is not None:
            resolved[at] = lowered.plan
            plan = without_leading_bitcast(lowered.plan)
            if plan not in plans:
                plans.add(plan)
                insort(sizes, yardstick.size_here(plan))
    return _named((genes[at], resolved[at]) for at in sorted(resolved))


def _considered(gene: Gene, offered: Offered, search: Search) -> Resolving:
    values = offered(gene.program.dtype)
    if gene.name == FALLBACK:
        return Resolving(gene, search.yardstick, values)
    return Resolving(gene, search.yardstick, values, search.codes, most=_TOGETHER)


def _named(plans: Iterable[tuple[Gene, Plan]]) -> dict[Plan, str]:
    """The plans, each under the name of the gene that was written for its type."""
    found: dict[Plan, str] = {}
    for gene, whole in plans:
        plan = without_leading_bitcast(whole)
        if whole.steps and (plan not in found or gene.program.dtype == plan.input):
            found[plan] = gene.name
    return found


def start(
    source: Source,
    executor: Executor,
    kernels: KernelSet,
    gene: Gene,
    profile: Profile = BALANCED,
) -> Frontier | None:
    """The frontier of a gene with holes on this data, to be ticked; None where it does not fit."""
    search = _search(source, executor, kernels, profile)
    delimiters = delimiters_of(search.yardstick.sample.data)
    offered = offers(search.periods, gene.program.dtype, delimiters)
    return search.start([(each.plan, each.holes) for each in resolutions(gene, offered)])


def _search(
    source: Source,
    executor: Executor,
    kernels: KernelSet,
    profile: Profile,
    known: Periods | None = None,
) -> Search:
    """A search over a sample, with the distances at which the data resembles itself."""
    start_at = max(source.size - profile.window_bytes, 0) // 2 // ALIGNMENT * ALIGNMENT
    periods = find_periods(source.read(start_at, profile.window_bytes))
    if known is not None:
        periods = periods.after(known)
    sample = take_sample(source, profile.sample_bytes)
    yardstick = Yardstick(sample, executor, kernels)
    return Search(yardstick, profile=profile, periods=periods)


def _plan_of(gene: Gene, yardstick: Yardstick) -> Plan | None:
    if not gene.has_holes:
        lowered = resolve(gene, yardstick)
        return None if lowered is None else lowered.plan
    frontier = Search(yardstick).start([(each.plan, each.holes) for each in resolutions(gene)])
    return None if frontier is None else select_best(run_search(frontier))
