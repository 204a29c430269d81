"""The planner: which plan makes the smallest container of some data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ring0.execution import Executor
from ring0.plan import Plan
from ring2_orchestrator.container import Source
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.planner.library import find_gene, library, library_gene, library_names
from ring2_orchestrator.planner.resolve import rank, resolutions, resolve
from ring2_orchestrator.planner.sample import Sample, take_sample
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
    "BEAM",
    "Frontier",
    "Proposal",
    "Sample",
    "Search",
    "Yardstick",
    "find_gene",
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


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plan worth trying on everything: the gene it comes from, and its expected size."""

    gene: str
    plan: Plan
    expected_bytes: int


def propose(
    source: Source, genes: Sequence[Gene], executor: Executor, kernels: KernelSet
) -> list[Proposal]:
    """One proposal for each gene, the most promising first; the same for the same bytes."""
    yardstick = Yardstick(take_sample(source), executor, kernels)
    found: dict[Plan, str] = {}
    for gene in genes:
        plan = _plan_of(gene, yardstick)
        if plan is not None and plan.steps:
            plan = _without_leading_bitcast(plan)
            # Of genes that come to one plan, the one written for its element type lends its name.
            if plan not in found or gene.program.dtype == plan.input:
                found[plan] = gene.name
    ranked = sorted(found, key=lambda plan: rank(yardstick, plan))
    return [Proposal(found[plan], plan, yardstick.size(plan)) for plan in ranked]


def start(source: Source, executor: Executor, kernels: KernelSet, gene: Gene) -> Frontier | None:
    """The frontier of a gene with holes on this data, to be ticked; None where it does not fit."""
    search = Search(Yardstick(take_sample(source), executor, kernels))
    return search.start([(each.plan, each.holes) for each in resolutions(gene)])


def _without_leading_bitcast(plan: Plan) -> Plan:
    """The same plan for bytes that have no type of their own, which a file's have not."""
    first = plan.steps[0]
    if first.kernel is not None:
        return plan
    rest = [
        replace(step, inputs=tuple(value - 1 for value in step.inputs)) for step in plan.steps[1:]
    ]
    return Plan(first.outputs[0], tuple(rest))


def _plan_of(gene: Gene, yardstick: Yardstick) -> Plan | None:
    if not gene.has_holes:
        return resolve(gene, yardstick).plan
    frontier = Search(yardstick).start([(each.plan, each.holes) for each in resolutions(gene)])
    return None if frontier is None else run_search(frontier)
