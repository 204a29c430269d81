"""What is proposed: genes under their names, unknowns found, and always the fallback."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ring2_orchestrator.container import BytesSource, limits
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.planner import (
    FAST,
    MAX,
    Profile,
    Proposal,
    Sample,
    Search,
    Yardstick,
    library_gene,
    propose,
)
from ring2_orchestrator.planner.effort import effort
from ring2_orchestrator.planner.resolve import Resolving
from ring2_orchestrator.toolbox import Toolbox

WIDTH = 217
# Nothing is searched for: what is proposed comes from the genes.
GENES_ALONE = replace(FAST, search_fuel=0, decode_fuel=10_000)


def grid(rows: int = 150) -> bytes:
    rng = np.random.default_rng(7)
    down = np.cumsum(rng.integers(-3, 4, (rows, WIDTH)), axis=0)
    return (np.cumsum(down, axis=1) // 8 + 9000).astype("<u2").tobytes()


@pytest.mark.slow
def test_the_row_that_a_gene_asks_for_is_found(tools: Toolbox) -> None:
    gene = library_gene("grid_u16", tools.palette)
    found = propose(BytesSource(grid()), [gene], tools.packer, tools.kernels, GENES_ALONE)
    assert found[0].gene == "grid_u16"
    assert all(step.parameters[0] == WIDTH for step in found[0].plan.steps)
    by_gene = [each for each in found if each.gene == "grid_u16"]
    assert len(by_gene) <= 2, "the best of a gene, not all that is offered"


@pytest.mark.slow
@pytest.mark.parametrize("decode_fuel", [0, 72])
def test_the_fallback_is_proposed_however_quickly_it_decodes(
    tools: Toolbox, decode_fuel: int
) -> None:
    genes = [library_gene(name, tools.palette) for name in ("repeats", "bytes", "grid_u16")]
    profile = replace(GENES_ALONE, decode_fuel=decode_fuel, judged=1)
    found = propose(BytesSource(grid()), genes, tools.packer, tools.kernels, profile)
    assert "repeats" in [each.gene for each in found]


def test_a_plan_fits_within_so_many_times_the_limit(tools: Toolbox) -> None:
    data = grid(40)
    sample = Sample(data, 10 * len(data))
    plan = Gene.parse("input x: u16\nemit x |> zigzag |> residual\n", tools.palette).plan()
    yardstick = Yardstick(sample, tools.executor, tools.kernels)
    metered = tools.executor.with_limits(replace(limits(len(data)), fuel=1 << 60))
    back = metered.inverse(plan, metered.forward(plan, data).outputs)
    per_byte = effort(back, tools.kernels) // len(data)
    tight = Search(yardstick, profile=replace(FAST, decode_fuel=per_byte * 2 // 3))
    assert not tight.fits(plan)
    assert tight.fits(plan, times=2)
    assert Search(yardstick, profile=replace(FAST, decode_fuel=per_byte + 1)).fits(plan)


def log(lines: int) -> bytes:
    rng = np.random.default_rng(8)
    rows = (
        b'10.0.%d.%d - - [01/May/2015:10:05:%02d] "GET /some/page%d.html" 200 %d "Agent (like%s)"\n'
        % (n % 7, a, b, c, 1000 + 37 * c, b" x" * (a % 5))
        for n, (a, b, c) in enumerate(rng.integers(0, 60, (lines, 3)))
    )
    return b"".join(rows)


@pytest.mark.slow
def test_small_plans_that_are_too_slow_do_not_crowd_out_those_that_fit(tools: Toolbox) -> None:
    genes = [library_gene(name, tools.palette) for name in ("repeats", "table")]
    profile = replace(FAST, search_fuel=0)
    # Larger than what is planned on whole, where a plan may cost more for its tables.
    data = log(4000)
    found = propose(BytesSource(data), genes, tools.packer, tools.kernels, profile)
    assert found[0].gene == "table"


@pytest.mark.slow
def test_a_plan_is_smaller_by_a_part_than_what_decodes_twice_as_quickly(tools: Toolbox) -> None:
    names = ("planes_u32", "records_mixed_big_endian", "repeats")
    genes = [library_gene(name, tools.palette) for name in names]
    weights = np.random.default_rng(9).normal(0, 0.1, 4000).astype("<f4").tobytes()
    profile = replace(MAX, search_fuel=0)
    found = propose(BytesSource(weights), genes, tools.packer, tools.kernels, profile)
    yardstick = Yardstick(Sample(weights, len(weights)), tools.sketcher, tools.kernels)
    efforts = [yardstick.effort(each.plan, 1 << 60) or 0 for each in found]
    for each, taken in zip(found, efforts, strict=True):
        least = min(
            (
                one.expected_bytes
                for one, less in zip(found, efforts, strict=True)
                if 2 * less <= taken
            ),
            default=len(weights) * 2,
        )
        assert each.gene == "repeats" or each.expected_bytes * 129 // 128 < least
    assert found[0].gene == "planes_u32", "mixed models save next to nothing of noise"


def test_of_a_tiny_file_the_fallback_is_proposed_with_the_foremost(tools: Toolbox) -> None:
    names = ("bytes", "byte_series", "series_u16", "series_u32", "audio_mono", "repeats")
    genes = [library_gene(name, tools.palette) for name in names]
    found = propose(BytesSource(grid(1)), genes, tools.packer, tools.kernels, GENES_ALONE)
    assert "repeats" in [each.gene for each in found]
    assert len({each.gene for each in found}) > 1


def test_a_profile_says_what_is_tiny(tools: Toolbox, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("bytes", "byte_series", "series_u16", "series_u32", "audio_mono", "repeats")
    genes = [library_gene(name, tools.palette) for name in names]
    asked: list[str] = []

    def noted(gene: Gene, *more: Any, **bounds: Any) -> Resolving:
        asked.append(gene.name)
        return Resolving(gene, *more, **bounds)

    monkeypatch.setattr("ring2_orchestrator.planner.proposing.Resolving", noted)
    data = grid()

    def considered(profile: Profile) -> set[str]:
        asked.clear()
        propose(BytesSource(data), genes, tools.packer, tools.kernels, profile)
        return {*asked}

    assert considered(GENES_ALONE) == {*names}
    few = considered(replace(GENES_ALONE, tiny_bytes=len(data) + 1))
    assert "repeats" in few
    assert len(few) < len(names)


@pytest.mark.slow
@pytest.mark.parametrize("data", [grid(), log(900)])
def test_what_is_not_asked_of_genes_would_change_nothing(
    tools: Toolbox, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    names = ("repeats", "bytes", "byte_series", "series_u16", "audio_mono", "planes_u32", "table")
    genes = [library_gene(name, tools.palette) for name in names]

    def proposed() -> list[Proposal]:
        profile = replace(FAST, search_fuel=0, judged=2)
        return propose(BytesSource(data), genes, tools.packer, tools.kernels, profile)

    found = proposed()

    def none_is_smaller(sizes: list[int], least: int) -> int:
        return 0 * len(sizes) * least

    monkeypatch.setattr("ring2_orchestrator.planner.proposing.bisect_left", none_is_smaller)
    assert proposed() == found
