"""The planner: which plan makes the smallest container of some data."""

from collections.abc import Sequence
from dataclasses import dataclass

from ring0.execution import Executor
from ring0.plan import Dtype, Plan
from ring2_orchestrator.container import Source
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.planner.library import find_gene, library, library_gene, library_names
from ring2_orchestrator.planner.moves import without_leading_bitcast
from ring2_orchestrator.planner.periods import WINDOW_BYTES, find_periods
from ring2_orchestrator.planner.profile import (
    BALANCED,
    FAST,
    MAX,
    PROFILES,
    Profile,
    find_profile,
)
from ring2_orchestrator.planner.resolve import rank, resolutions, resolve
from ring2_orchestrator.planner.sample import ALIGNMENT, Sample, take_sample
from ring2_orchestrator.planner.search import (
    BEAM,
    Frontier,
    Search,
    run_search,
    select_best,
    tick,
)
from ring2_orchestrator.planner.yardstick import Yardstick

__all__ = [
    "BALANCED",
    "BEAM",
    "FAST",
    "MAX",
    "PROFILES",
    "SEARCH",
    "Frontier",
    "Profile",
    "Proposal",
    "Sample",
    "Search",
    "Yardstick",
    "find_gene",
    "find_profile",
    "library",
    "library_gene",
    "library_names",
    "propose",
    "run_search",
    "select_best",
    "start",
    "take_sample",
    "tick",
]

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
) -> list[Proposal]:
    """Plans to try, the most promising first; the same for the same bytes.

    One for each gene; with a profile, also those that a search finds, and none that the profile
    holds to be too slow.
    """
    found: dict[Plan, str] = {}
    if profile is None:
        yardstick = Yardstick(take_sample(source), executor, kernels)
        fits = None
    else:
        search = _search(source, executor, kernels, profile)
        yardstick, fits = search.yardstick, search.fits
        frontier = search.start([(Plan(dtype, ()), [0]) for dtype in Dtype])
        assert frontier is not None, "a plan without steps always runs"
        best = run_search(frontier, beam=profile.beam)
        found = dict.fromkeys((each.plan for each in best.candidates if each.plan.steps), SEARCH)
    for gene in genes:
        plan = _plan_of(gene, yardstick)
        if plan is not None and plan.steps:
            plan = without_leading_bitcast(plan)
            # Of genes that come to one plan, the one written for its element type lends its name.
            if plan not in found or found[plan] == SEARCH or gene.program.dtype == plan.input:
                found[plan] = gene.name
    ranked = sorted(found, key=lambda plan: rank(yardstick, plan))
    return [
        Proposal(found[plan], plan, yardstick.size(plan))
        for plan in ranked
        if fits is None or fits(plan)
    ]


def start(
    source: Source,
    executor: Executor,
    kernels: KernelSet,
    gene: Gene,
    profile: Profile = BALANCED,
) -> Frontier | None:
    """The frontier of a gene with holes on this data, to be ticked; None where it does not fit."""
    search = _search(source, executor, kernels, profile)
    return search.start([(each.plan, each.holes) for each in resolutions(gene)])


def _search(source: Source, executor: Executor, kernels: KernelSet, profile: Profile) -> Search:
    """A search over a sample that shows the distances at which the data resembles itself."""
    start_at = max(source.size - WINDOW_BYTES, 0) // 2 // ALIGNMENT * ALIGNMENT
    periods = find_periods(source.read(start_at, WINDOW_BYTES))
    sample = take_sample(source, profile.sample_bytes, reach=periods.reach)
    yardstick = Yardstick(sample, executor, kernels)
    return Search(yardstick, profile=profile, periods=periods)


def _plan_of(gene: Gene, yardstick: Yardstick) -> Plan | None:
    if not gene.has_holes:
        return resolve(gene, yardstick).plan
    frontier = Search(yardstick).start([(each.plan, each.holes) for each in resolutions(gene)])
    return None if frontier is None else select_best(run_search(frontier))
