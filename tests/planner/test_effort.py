"""Effort: what a plan's decoding is held to be worth, and choices of genes that keep to it."""

from dataclasses import replace

from ring0.execution import Limits
from ring0.plan import Plan
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.planner import Sample, Yardstick
from ring2_orchestrator.planner.effort import effort
from ring2_orchestrator.planner.resolve import resolve
from ring2_orchestrator.toolbox import Toolbox

DATA = bytes(at * at % 251 % (1 + at % 7) for at in range(4000))
LINES = b"".join(b"%d,%d,same\n" % (at, at % 7) for at in range(300))


def plan_of(tools: Toolbox, text: str) -> Plan:
    return Gene.parse(text, tools.palette).plan()


def effort_of(tools: Toolbox, plan: Plan, data: bytes) -> tuple[int, int, int]:
    metered = tools.executor.with_limits(replace(Limits(), fuel=1 << 40))
    back = metered.inverse(plan, metered.forward(plan, data).outputs)
    return effort(back, tools.kernels), back.fuel or 0, back.work_bytes


def test_bytes_that_are_carried_count_beside_fuel(tools: Toolbox) -> None:
    taken, fuel, carried = effort_of(tools, plan_of(tools, "input x: u8\nemit x |> delta"), DATA)
    assert carried == 2 * len(DATA)
    assert taken == fuel + 2 * carried


def test_kernels_that_wait_for_memory_count_twice(tools: Toolbox) -> None:
    taken, fuel, carried = effort_of(tools, plan_of(tools, "input x: u8\nemit x |> lz_mix"), LINES)
    assert taken == 2 * fuel + 2 * carried


def test_of_a_genes_choices_the_smallest_that_fits_is_taken(tools: Toolbox) -> None:
    gene = Gene.parse("input x: u8\nemit x |> (context_mix | rans0 | pass)", tools.palette)
    yardstick = Yardstick(Sample(DATA, len(DATA)), tools.executor, tools.kernels)
    slow = tools.palette["context_mix"].cid
    smallest = resolve(gene, yardstick).plan
    assert slow in smallest.kernels
    quick = resolve(gene, yardstick, fits=lambda plan: slow not in plan.kernels).plan
    assert quick == plan_of(tools, "input x: u8\nemit x |> rans0")
    assert resolve(gene, yardstick, fits=lambda _: False).plan == smallest
