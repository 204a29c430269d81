"""Distances are found in data that has them, whatever its lanes are; the same ones everywhere."""

import numpy as np
import pytest

from ring0.plan import Dtype
from ring2_orchestrator.planner.entropy import estimate
from ring2_orchestrator.planner.periods import find_periods


def grid(rows: int, columns: int, dtype: str) -> bytes:
    rng = np.random.default_rng(7)
    down = np.cumsum(rng.integers(-3, 4, (rows, columns)), axis=0)
    return (np.cumsum(down, axis=1) // 8).astype(dtype).tobytes()


@pytest.mark.parametrize(("dtype", "lanes"), [("<u2", Dtype.U16), ("<u4", Dtype.U32)])
def test_the_rows_of_a_grid_are_found(dtype: str, lanes: Dtype) -> None:
    assert 217 in find_periods(grid(150, 217, dtype)).lanes(lanes)


def test_records_are_found_in_bytes() -> None:
    rng = np.random.default_rng(3)
    fields = rng.integers(0, 256, 23)
    records = (fields + rng.integers(0, 5, (900, 23))).astype("u1").tobytes()
    assert 23 in find_periods(records).lanes(Dtype.U8)


@pytest.mark.parametrize("data", [b"", b"x", bytes(40), bytes(5000), b"ab" * 9])
def test_what_has_no_period_has_none(data: bytes) -> None:
    periods = find_periods(data)
    for dtype in Dtype:
        assert all(lag > 1 for lag in periods.lanes(dtype))


def test_noise_is_estimated_at_its_own_size_and_constants_at_nothing() -> None:
    noise = np.random.default_rng(1).bytes(40_000)
    for dtype in Dtype:
        assert 0.97 * len(noise) < estimate(dtype, noise) < 1.05 * len(noise)
        assert estimate(dtype, bytes(40_000)) < 20
    assert estimate(Dtype.U8, b"") == 0


def test_small_signed_numbers_are_estimated_as_small() -> None:
    small = np.random.default_rng(2).integers(-4, 4, 20_000).astype("<i8").tobytes()
    assert estimate(Dtype.U64, small) < 20_000 * 4 // 8


@pytest.mark.parametrize("dtype", [*Dtype])
@pytest.mark.parametrize("size", [8, 800, 40_000])
def test_an_estimate_is_that_of_the_planes_or_of_small_numbers(dtype: Dtype, size: int) -> None:
    """By the plain definition, in floats: what a table rounds is little."""
    steps = np.random.default_rng(size).integers(-9, 10, size // dtype.width)
    data = np.cumsum(steps).astype(f"<i{dtype.width}").tobytes()
    lanes = np.frombuffer(data, f"<u{dtype.width}")
    planes = np.frombuffer(data, "<u1").reshape(-1, dtype.width).T
    folded = np.where(lanes.view(f"<i{dtype.width}") < 0, ~(lanes << 1), lanes << 1)
    small = [[int(lane).bit_length() for lane in each] for each in (lanes, folded)]
    rest = [sum(max(each - 1, 0) for each in lengths) for lengths in small]
    bits = min(
        sum(map(entropy, planes)),
        *(entropy(np.array(lengths)) + bits for lengths, bits in zip(small, rest, strict=True)),
    )
    # Long numbers are rounded to floats, which may lengthen one by a bit.
    assert estimate(dtype, data) == pytest.approx(bits / 8, rel=0.01, abs=12)


def entropy(symbols: np.ndarray[tuple[int], np.dtype[np.integer]]) -> float:
    counts = np.unique(symbols, return_counts=True)[1]
    return float((counts * np.log2(len(symbols) / counts)).sum()) + 5 * len(counts)
