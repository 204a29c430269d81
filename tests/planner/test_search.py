"""The search for a plan: what it finds, what it costs to decode, and that it is always the same."""

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cid_store.errors import UsageError
from ring0.execution import Executor
from ring0.plan import Dtype, Plan
from ring2_orchestrator.container import BytesSource, Container, limits
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.packing import pack, unpack
from ring2_orchestrator.planner import (
    BALANCED,
    FAST,
    PROFILES,
    Sample,
    Search,
    Yardstick,
    find_profile,
    propose,
    run_search,
    tick,
)
from ring2_orchestrator.planner.node import Way, best_ways
from ring2_orchestrator.planner.resolve import resolutions
from ring2_orchestrator.toolbox import Toolbox

ROOT = Path(__file__).resolve().parents[2]


def series(count: int, dtype: str = "<u2") -> bytes:
    steps = np.random.default_rng(5).integers(-9, 10, count)
    return (np.cumsum(steps) + 30_000).astype(dtype).tobytes()


def search_of(tools: Toolbox, data: bytes) -> Search:
    return Search(Yardstick(Sample(data, len(data)), tools.executor, tools.kernels))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["<u2", "<u8"])
def test_a_series_is_told_from_noise(tools: Toolbox, dtype: str) -> None:
    data = series(1500, dtype)
    found = propose(BytesSource(data), [], tools.executor, tools.kernels, BALANCED)
    assert found[0].expected_bytes < 1500 * 6 // 8 + 200
    assert found[0].plan.input.width == int(dtype[-1])


@pytest.mark.slow
def test_what_one_step_makes_simple_is_found_from_nothing(tools: Toolbox) -> None:
    """Its estimate is no better than another codec on the whole: only a codec tells."""
    at = np.arange(2000)
    data = (at * (2000 - at) // 200).astype("<u2").tobytes()
    search = search_of(tools, data)
    start = search.start([(Plan(Dtype.U16, ()), [0])])
    assert start is not None
    assert start.search.next_node(start.roots, start.opened) is not None
    grown = search.tick(start, 1)
    (first,) = (root.nodes[0] for root in grown.roots)
    children = [child for edge in first.edges for child in edge.children]
    assert children
    # Every stream that was made, if it is any longer than a few numbers, was given to a codec.
    assert all(len(child.endings) > 1 for child in children if len(child.stream.data) > 500)
    assert grown.best.size < len(data) // 20


@pytest.mark.slow
def test_no_plan_decodes_more_slowly_than_the_profile_says(tools: Toolbox) -> None:
    data = series(140_000)
    found = propose(BytesSource(data), [], tools.executor, tools.kernels, FAST)
    assert found
    for proposal in found:
        fuel = fuel_of(tools.executor, proposal.plan, data)
        assert fuel <= 1.1 * FAST.decode_fuel * len(data), "what was judged was a sample"


def fuel_of(executor: Executor, plan: Plan, data: bytes) -> int:
    metered = executor.with_limits(replace(limits(len(data)), fuel=1 << 60))
    return metered.inverse(plan, metered.forward(plan, data).outputs).fuel or 0


@pytest.mark.slow
def test_a_budget_of_nothing_still_gives_a_plan(tools: Toolbox) -> None:
    broke = replace(BALANCED, search_fuel=0)
    assert propose(BytesSource(series(600)), [], tools.executor, tools.kernels, broke)


def test_ticking_one_frontier_twice_gives_the_same(tools: Toolbox) -> None:
    search = search_of(tools, series(300))
    frontier = search.start([(Plan(Dtype.U16, ()), [0])])
    assert frontier is not None
    first = tick(frontier, 2)
    tick(first, 2)
    assert tick(frontier, 2).candidates == first.candidates
    assert run_search(frontier, ticks=1, beam=2).candidates == first.candidates


def test_of_ways_those_stay_that_none_beats() -> None:
    plan = Plan(Dtype.U8, ())
    ways = [Way(plan, (), size, fuel) for size, fuel in [(5, 9), (6, 9), (7, 3), (8, 4), (9, 0)]]
    assert [(way.size, way.fuel) for way in best_ways(ways, 100)] == [(5, 9), (7, 3), (9, 0)]
    assert [(way.size, way.fuel) for way in best_ways(ways, 8)] == [(7, 3), (9, 0)]


def test_a_profile_that_is_none_is_answered_with_a_suggestion() -> None:
    assert all(find_profile(name).name == name for name in PROFILES)
    with pytest.raises(UsageError, match="no profile named 'fats'; did you mean 'fast'"):
        find_profile("fats")


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 1, 7, 64, 1001])
def test_small_files_come_back(tools: Toolbox, size: int) -> None:
    data = series(size)[:size]
    out, back = io.BytesIO(), io.BytesIO()
    pack(BytesSource(data), out, [], tools, profile=BALANCED)
    unpack(Container(BytesSource(out.getvalue()), tools.kernels), back, tools)
    assert back.getvalue() == data
    assert len(out.getvalue()) <= size + 48


@pytest.mark.slow
def test_the_plan_does_not_depend_on_the_order_of_sets() -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests/planner')\n"
        "from ring2_orchestrator.container import BytesSource\n"
        "from ring2_orchestrator.planner import FAST, propose\n"
        "from ring2_orchestrator.toolbox import open_toolbox\n"
        "data = b''.join((n * n // 7 % 60000).to_bytes(2, 'little') for n in range(700))\n"
        "with open_toolbox() as tools:\n"
        "    found = propose(BytesSource(data), [], tools.executor, tools.kernels, FAST)\n"
        "print([str(each.plan.cid) for each in found])\n"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            cwd=ROOT,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(answers) == 1


@pytest.mark.slow
def test_what_the_sample_chooses_is_within_a_hundredth_of_the_best(tools: Toolbox) -> None:
    """Bounded: every proposal is executed on all of a file some times as large as the sample."""
    data = series(150_000)
    source = BytesSource(data)
    found = propose(source, [], tools.executor, tools.kernels, FAST)
    whole = Yardstick(Sample(data, len(data)), tools.executor, tools.kernels)
    sizes = [whole.size(each.plan) for each in found]
    assert min(sizes[: FAST.finalists]) <= 1.01 * min(sizes)


def test_streams_that_are_too_slow_together_are_not_all_ended_in_the_smallest_way(
    tools: Toolbox,
) -> None:
    """A plan of several streams is found within any limit that its own steps leave."""
    split = Gene.parse("input x: u32\nemit x |> byte_split |> ?\n", tools.palette)
    data = series(2000, "<u4")
    yardstick = Yardstick(Sample(data, len(data)), tools.executor, tools.kernels)
    for decode_fuel in (0, 100, 1000, 100_000):
        search = Search(yardstick, profile=replace(FAST, decode_fuel=decode_fuel))
        frontier = search.start([(each.plan, each.holes) for each in resolutions(split)])
        assert frontier is not None
        assert 0 < frontier.best.fuel <= search.limit
