"""haar and cdf53 beside the same thing said in numpy, and the laws of wavelets."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ring0.abi import Op
from ring0.host import Host
from ring0.outcome import Result
from ring2_orchestrator.kernels import KernelSet
from tests.kernels.references import wavelets

Array = np.ndarray[Any, Any]
Call = Callable[..., tuple[Array, Array]]
TYPES = ("u8", "u16", "u32", "u64")
LENGTHS = (0, 1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 34, 35, 64, 65, 255, 1000)
CASES = [("haar", "zero"), *(("cdf53", edge) for edge in wavelets.EDGES)]


@pytest.fixture
def forward(kernels: KernelSet, host: Host) -> Call:
    """The kernel's two streams, after its inverse gave the lanes back."""

    def call(name: str, data: Array, levels: int, edge: str = "zero") -> tuple[Array, Array]:
        kernel = kernels.by_name(name)
        values = {"levels": levels}
        if name == "cdf53":
            values["edge"] = wavelets.EDGES.index(edge)
        params = kernel.manifest.encode_parameters(values, dtype=f"u{8 * data.itemsize}")
        outcome = host.call(kernel, Op.FORWARD, params, [data.tobytes()])
        assert isinstance(outcome, Result), outcome
        assert host.call(kernel, Op.INVERSE, params, outcome.outputs) == Result([data.tobytes()])
        low, high = (np.frombuffer(stream, data.dtype) for stream in outcome.outputs)
        return low, high

    return call


def noise(dtype: str, length: int) -> Array:
    rng = np.random.default_rng(length)
    kind = np.dtype(f"<u{int(dtype[1:]) // 8}")
    return rng.integers(0, 256, length * kind.itemsize, dtype=np.uint8).view(kind)


def walk(dtype: str, length: int) -> Array:
    rng = np.random.default_rng(length)
    return (100 + np.cumsum(rng.integers(-2, 3, length))).astype(f"<u{int(dtype[1:]) // 8}")


@pytest.mark.parametrize(("name", "edge"), CASES)
@pytest.mark.parametrize("dtype", TYPES)
def test_the_reference_says_the_same(name: str, edge: str, dtype: str, forward: Call) -> None:
    for length in LENGTHS:
        for levels in (1, 2, 3, 16):
            for data in (noise(dtype, length), walk(dtype, length)):
                low, high = wavelets.forward(name, data, levels, edge)
                made = forward(name, data, levels, edge)
                assert np.array_equal(made[0], low)
                assert np.array_equal(made[1], high)
                assert np.array_equal(wavelets.inverse(name, low, high, levels, edge), data)


@pytest.mark.parametrize("name", ["haar", "cdf53"])
def test_signs_make_no_difference(name: str, forward: Call) -> None:
    """Adding a constant to all lanes moves the low ones by it and no other, past any sign."""
    data = walk("u16", 999)
    low, high = forward(name, data, 4, "reflect")
    for offset in (1, 30_000, 65_000):
        moved = forward(name, data + np.uint16(offset), 4, "reflect")
        assert np.array_equal(moved[0], low + np.uint16(offset))
        assert np.array_equal(moved[1], high)


def test_haar_keeps_means_and_nothing_of_a_constant(forward: Call) -> None:
    data = np.repeat(np.arange(64, dtype="<u4") * 1000, 8)
    low, high = forward("haar", data, 3)
    assert np.array_equal(low, data[::8])
    assert not high.any()
    even = np.arange(0, 4096, 4, dtype="<u4")  # every mean is a whole number
    assert int(forward("haar", even, 2)[0].sum()) * 4 == int(even.sum())


def test_cdf53_leaves_nothing_of_a_line(forward: Call) -> None:
    """Two vanishing moments: what is straight has no high lanes, but for the ends."""
    line = (10 + 4 * np.arange(257)).astype("<u4")
    for edge in wavelets.EDGES:
        low, high = forward("cdf53", line, 1, edge)
        assert not high[:-1].any()
        assert np.array_equal(low[1:-1], line[2:-2:2])
    assert not forward("cdf53", line, 5, "reflect")[1][-128:].any()


def test_periodic_lanes_turn_with_their_input(forward: Call) -> None:
    data = noise("u8", 512)
    low, high = forward("cdf53", data, 3, "periodic")
    turned = forward("cdf53", np.roll(data, 8), 3, "periodic")
    assert np.array_equal(turned[0], np.roll(low, 1))
    assert np.array_equal(turned[1][-256:], np.roll(high[-256:], 4))


def test_causal_lanes_do_not_depend_on_what_follows(forward: Call) -> None:
    """With zeros before and the newest lane held, a beginning is transformed like all of it."""
    data = walk("u16", 400)
    whole = forward("cdf53", data, 1, "causal")
    part = forward("cdf53", data[:201], 1, "causal")
    assert np.array_equal(part[0][:-1], whole[0][:100])
    assert np.array_equal(part[1], whole[1][:100])


def test_cdf53_is_the_filter_bank_but_for_rounding(forward: Call) -> None:
    """(-1, 2, 6, 2, -1) / 8 and (-1, 2, -1) / 2, as in JPEG 2000."""
    data = walk("u32", 1001).astype(np.float64)
    low, high = forward("cdf53", data.astype("<u4"), 1, "reflect")
    padded = np.pad(data, 2, mode="reflect")
    smooth = np.convolve(padded, np.array([-1, 2, 6, 2, -1]) / 8, "valid")[::2]
    detail = np.convolve(padded[1:-1], np.array([-1, 2, -1]) / 2, "valid")[1::2]
    assert np.abs(low - smooth).max() <= 1
    assert np.abs(high.view("<i4") - detail).max() <= 1
