"""Effort: what a plan's decoding is held to be worth, and choices of genes that keep to it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cid_store.errors import InputError
from ring0.execution import Limits
from ring0.plan import Plan
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.kernels import Folder, KernelSet
from ring2_orchestrator.planner import BALANCED, FAST, MAX, Sample, Search, Yardstick
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


@pytest.mark.parametrize(("kernel", "percent"), [("lz_mix", 150), ("lzma", 175), ("rans0", 100)])
def test_kernels_that_wait_at_every_step_count_more(
    kernel: str, percent: int, tools: Toolbox
) -> None:
    plan = plan_of(tools, f"input x: u8\nemit x |> {kernel}")
    taken, fuel, carried = effort_of(tools, plan, LINES)
    assert taken == fuel * percent // 100 + 2 * carried


def test_every_kernel_says_itself_how_its_fuel_counts(tools: Toolbox) -> None:
    said = {kernel.name: tools.kernels.fuel_percent(kernel.cid) for kernel in tools.kernels}
    assert said["lz_mix"] == 150
    assert said["delta"] == 100
    # One that somebody brings speaks for nobody's clock.
    foreign = KernelSet([]).knowing([tools.kernels.by_name("lz_mix")])
    assert foreign.fuel_percent(tools.kernels.by_name("lz_mix").cid) == 100


@pytest.mark.parametrize("percent", ["0", "99", "1601", "true", "200.0", '"200"', "[200]"])
def test_a_percentage_out_of_range_is_refused(tmp_path: Path, percent: str) -> None:
    (tmp_path / "kernel.toml").write_text(f"fuel_percent = {percent}\n")
    with pytest.raises(InputError, match="from 100 to 1600"):
        Folder("it", tmp_path).fuel_percent()


def test_of_a_genes_choices_the_smallest_that_fits_is_taken(tools: Toolbox) -> None:
    gene = Gene.parse("input x: u8\nemit x |> (context_mix | rans0 | pass)", tools.palette)
    yardstick = Yardstick(Sample(DATA, len(DATA)), tools.executor, tools.kernels)
    slow = tools.palette["context_mix"].cid

    def taken(fits: Callable[[Plan], bool]) -> Plan | None:
        lowered = resolve(gene, yardstick, fits=fits)
        return None if lowered is None else lowered.plan

    smallest = taken(lambda _: True)
    assert smallest is not None
    assert slow in smallest.kernels
    quick = taken(lambda plan: slow not in plan.kernels)
    assert quick == plan_of(tools, "input x: u8\nemit x |> rans0")
    assert taken(lambda _: False) == smallest


def test_what_codes_too_slowly_is_not_tried(tools: Toolbox) -> None:
    gene = Gene.parse("input x: u8\nemit x |> (context_mix | rans0)", tools.palette)
    yardstick = Yardstick(Sample(DATA, len(DATA)), tools.executor, tools.kernels)
    slow = tools.palette["context_mix"].cid
    quick = resolve(gene, yardstick, codes=lambda plan: slow not in plan.kernels)
    assert quick is not None
    assert quick.plan == plan_of(tools, "input x: u8\nemit x |> rans0")
    assert resolve(gene, yardstick, codes=lambda _: False) is None


def test_a_dear_codec_may_code_a_small_part(tools: Toolbox) -> None:
    data = LINES * 12
    yardstick = Yardstick(Sample(data, 10 * len(data)), tools.executor, tools.kernels)
    mixed = plan_of(tools, "input x: u8\nemit x |> context_mix")
    cut = "input x: u8\na, b, c, d, e, f, g = table(x)\nemit a |> context_mix, b, c, d, e, f, g\n"
    part = plan_of(tools, cut)
    fast = Search(yardstick, profile=FAST)
    assert not fast.codes(mixed)
    assert fast.codes(part)
    assert Search(yardstick, profile=MAX).codes(mixed)


def test_a_search_with_another_limit_finds_no_codec_dear(tools: Toolbox) -> None:
    yardstick = Yardstick(Sample(LINES, 10 * len(LINES)), tools.executor, tools.kernels)
    mixed = plan_of(tools, "input x: u8\nemit x |> context_mix")
    ample = replace(BALANCED, encode_fuel=1 << 40)
    assert Search(yardstick, profile=ample).codes(mixed)
    assert not Search(yardstick, profile=replace(ample, encode_fuel=0)).codes(mixed)


def test_the_effort_of_a_plan_is_known_up_to_a_bound(tools: Toolbox) -> None:
    plan = plan_of(tools, "input x: u8\nemit x |> delta |> rans0")
    taken, _, _ = effort_of(tools, plan, DATA)
    yardstick = Yardstick(Sample(DATA, len(DATA)), tools.executor, tools.kernels)
    assert yardstick.effort(plan, taken) == taken
    assert yardstick.effort(plan, taken - 1) is None
    # What was undone for another plan counts as if it had to be undone.
    longer = plan_of(tools, "input x: u8\nemit x |> delta |> delta |> rans0")
    yardstick.effort(longer, 1 << 40)
    assert yardstick.effort(longer, 1 << 40) == effort_of(tools, longer, DATA)[0]
