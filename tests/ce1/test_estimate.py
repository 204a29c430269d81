"""Intervals: what they are, when they are unknown, and how often they hold on recorded runs."""

import csv
import math
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring2_orchestrator.ce1.estimate import estimate

costs = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=60)


def test_nothing_observed_is_unknown() -> None:
    found = estimate([])
    assert (found.value, found.low, found.high, found.level) == (None, None, None, None)
    assert (found.observations, found.method, found.value) == (0, "none", None)


def test_one_observation_gives_a_value_without_an_interval() -> None:
    found = estimate([2.5])
    assert found.value == pytest.approx(2.5)
    assert (found.low, found.level, found.observations, found.method) == (None, None, 1, "single")


def test_few_observations_give_the_range_seen_and_its_own_level() -> None:
    found = estimate([3.0, 1.0, 2.0])
    assert (found.low, found.high, found.level, found.method) == (1.0, 3.0, 0.5, "range")
    assert found.value is not None
    assert 1.0 < found.value < 3.0


def test_ten_observations_give_a_conformal_interval_of_eighty_percent() -> None:
    nine, ten = (
        estimate([float(n) for n in range(1, 10)]),
        estimate([float(n) for n in range(1, 11)]),
    )
    assert (nine.method, nine.level) == ("range", 0.8)
    assert (ten.method, ten.level) == ("conformal", pytest.approx(0.8))
    assert ten.observations == 10


def test_equal_costs_give_a_point() -> None:
    found = estimate([4.0] * 30)
    assert found.value == pytest.approx(4.0)
    assert found.low == pytest.approx(4.0)
    assert found.high == pytest.approx(4.0)


@given(costs)
def test_an_estimate_is_ordered_and_finite(seen: list[float]) -> None:
    found = estimate(seen)
    assert found.value is not None
    assert min(seen) * (1 - 1e-9) <= found.value <= max(seen) * (1 + 1e-9)
    assert found.observations == len(seen)
    if found.low is not None:
        assert found.high is not None
        assert 0 < found.low <= found.high < math.inf
        assert found.level is not None
        assert 0 < found.level < 1


@given(costs, st.floats(0.01, 100))
def test_the_unit_of_cost_does_not_matter(seen: list[float], unit: float) -> None:
    plain, scaled = estimate(seen), estimate([cost * unit for cost in seen])
    for one, other in zip(
        (plain.value, plain.low, plain.high), (scaled.value, scaled.low, scaled.high), strict=True
    ):
        assert (one is None) == (other is None)
        if one is not None:
            assert other == pytest.approx(one * unit, rel=1e-6)


def test_a_cost_of_zero_is_no_error() -> None:
    assert estimate([0.0, 0.0]).value == pytest.approx(0.0, abs=1e-5)


def coverage(sequence: list[float], *, at_least: int = 10) -> tuple[int, int]:
    """How many costs fell into the interval stated before them, of how many."""
    hits = total = 0
    for place in range(at_least, len(sequence)):
        found = estimate(sequence[:place])
        assert found.low is not None
        assert found.high is not None
        total += 1
        hits += found.low <= sequence[place] <= found.high
    return hits, total


@pytest.mark.slow
def test_the_stated_level_is_reached_where_costs_come_in_no_order() -> None:
    draw = np.random.Generator(np.random.PCG64(7))
    hits = total = 0
    for _ in range(20):
        more = coverage([float(cost) for cost in draw.lognormal(0, 0.4, 100)])
        hits, total = hits + more[0], total + more[1]
    # Distances share a mean, so they are only nearly exchangeable; 1,800 cases give +-3 %.
    assert 0.77 < hits / total < 0.85


def cpu_s(row: dict[str, str]) -> float:
    return float(row["user_s"]) + float(row["sys_s"])


def wall_s(row: dict[str, str]) -> float:
    return float(row["wall_s"])


def memory_kb(row: dict[str, str]) -> float:
    return float(row["maxrss_kb"])


@pytest.mark.slow
@pytest.mark.skipif("REDOXA_SHARED" not in os.environ, reason="REDOXA_SHARED names no histories")
@pytest.mark.parametrize("name", ["runs_lark", "runs_sqlparse"])
@pytest.mark.parametrize("cost", [cpu_s, wall_s, memory_kb])
def test_coverage_on_recorded_histories_is_reported(
    name: str,
    cost: Callable[[dict[str, str]], float],
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """Reported (`--junit-xml` shows it), not promised: those runs shared a busy machine."""
    path = Path(os.environ["REDOXA_SHARED"]) / "history" / f"{name}.csv"
    sequences: dict[str, list[float]] = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["ran"] == "1":
                sequences[row["script"]].append(cost(row))
    counted = [coverage(sequence) for sequence in sequences.values()]
    total = sum(each for _, each in counted)
    record_testsuite_property(f"{name} {cost.__name__}", sum(hits for hits, _ in counted) / total)
    assert total > 100
