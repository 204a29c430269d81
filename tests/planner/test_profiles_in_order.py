"""A profile that may take longer never makes a larger container than a quicker one."""

import io
import os
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from ring2_orchestrator.container import BytesSource
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.packing import pack
from ring2_orchestrator.planner import (
    BALANCED,
    FAST,
    MAX,
    PROFILES,
    Periods,
    Profile,
    Search,
    Yardstick,
    in_turn,
    library,
    library_gene,
)
from ring2_orchestrator.toolbox import Toolbox
from tests.fronts.files import tensors

KINDS = ("smooth", "noisy", "sparse", "rows")
DTYPES = ("u1", "i2", "u4", "f4", "f8")
SIZES = (600,) if os.environ.get("REDOXA_LONG") == "bounded" else (600, 6000, 30_000)


def array(kind: str, dtype: str, size: int, seed: int) -> npt.NDArray[np.generic]:
    """An array of about so many bytes, in rows of 50."""
    rng = np.random.default_rng(seed)
    rows = max(size // np.dtype(dtype).itemsize // 50, 1)
    shape = (rows, 50)
    if kind == "smooth":
        values = np.cumsum(rng.normal(0, 3, shape).reshape(-1)).reshape(shape) + 100
    elif kind == "noisy":
        values = rng.integers(0, 200, shape).astype(float)
    elif kind == "sparse":
        values = np.where(rng.random(shape) < 0.05, rng.integers(1, 200, shape), 0).astype(float)
    else:
        values = np.arange(50) * 3.0 + rng.integers(0, 4, shape)
    return values.astype(dtype) if dtype[0] == "f" else np.clip(values, 0, 255).astype(dtype)


def sizes(data: bytes, genes: list[Gene], tools: Toolbox, profiles: list[Profile]) -> list[int]:
    """The containers of some bytes under each profile."""
    return [
        pack(BytesSource(data), io.BytesIO(), genes, tools, profile=each).container_bytes
        for each in profiles
    ]


def saved(values: npt.NDArray[np.generic]) -> bytes:
    """The bytes of the .npy file that holds an array."""
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def test_a_slower_profile_takes_what_a_quicker_one_finds(
    tools: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where its own search were to find nothing that is any good."""
    genes = library(tools.palette)
    data = saved(array("smooth", "i2", 3000, 1))
    slow = replace(BALANCED, search_fuel=0, judged=0, finalists=1)
    quick = replace(FAST, search_fuel=0)

    def alone(profile: Profile) -> list[Profile]:
        return [slow, quick] if profile is slow else [profile]

    monkeypatch.setattr("ring2_orchestrator.packing.in_turn", alone)
    first, second = sizes(data, genes, tools, [quick, slow])
    assert second <= first


def test_a_budget_is_shared_by_the_profiles_that_are_searched_for() -> None:
    assert in_turn(FAST) == [FAST]
    assert in_turn(BALANCED) == [BALANCED, FAST]
    assert in_turn(MAX) == [MAX, FAST, BALANCED]
    for profile in PROFILES.values():
        for budget in (0, 1, 7, 800, 10**12):
            own, *others = in_turn(replace(profile, search_fuel=budget))
            assert own.search_fuel + sum(each.search_fuel for each in others) == budget
            assert all(each.search_fuel * 6 <= own.search_fuel for each in others)


@pytest.mark.slow
def test_all_searches_of_a_file_take_no_more_than_the_budget(
    tools: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted: list[int] = []

    def watched(yardstick: Yardstick, *, profile: Profile, periods: Periods) -> Search:
        granted.append(profile.search_limit(yardstick.sample.total))
        return Search(yardstick, profile=profile, periods=periods)

    monkeypatch.setattr("ring2_orchestrator.planner.proposing.Search", watched)
    budget = 8_000_000
    slow = replace(BALANCED, search_fuel=budget)
    genes = [library_gene(name, tools.palette) for name in ("repeats", "bytes")]
    for lengths in ([60], [5_000], [9_000, 8_500], [9_000, 300, 7_000]):
        parts = [
            array("smooth", dtype, size, size) for dtype, size in zip(DTYPES, lengths, strict=False)
        ]
        data = tensors({str(at): part for at, part in enumerate(parts)})
        granted.clear()
        pack(BytesSource(data), io.BytesIO(), genes, tools, profile=slow)
        assert 0 < sum(granted) <= budget


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_profiles_come_in_order(tools: Toolbox, kind: str, dtype: str, size: int) -> None:
    genes = library(tools.palette)
    data = saved(array(kind, dtype, size, seed=size))
    fast, balanced, most = sizes(data, genes, tools, [FAST, BALANCED, MAX])
    assert most <= balanced <= fast
