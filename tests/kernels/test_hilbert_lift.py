"""hilbert_lift beside the same thing said in numpy, and what a Hilbert pair must be."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ring0.abi import Op
from ring0.host import Host
from ring0.outcome import Result
from ring2_orchestrator.kernels import KernelSet
from tests.kernels.references import hilbert

Array = np.ndarray[Any, Any]
Call = Callable[..., Array]
TYPES = ("u8", "u16", "u32")
LENGTHS = (0, 1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 34, 47, 64, 65, 255, 1000)
# From here to as much below half the rate, in cycles a lane.
LOWEST = {1: 0.2, 2: 0.12, 3: 0.06, 4: 0.03}


@pytest.fixture
def turned(kernels: KernelSet, host: Host) -> Call:
    """What the kernel makes, after its inverse gave the lanes back."""
    kernel = kernels.by_name("hilbert_lift")

    def call(data: Array, order: int, edge: str) -> Array:
        values = {"order": order, "edge": hilbert.EDGES.index(edge)}
        params = kernel.manifest.encode_parameters(values, dtype=f"u{8 * data.itemsize}")
        outcome = host.call(kernel, Op.FORWARD, params, [data.tobytes()])
        assert isinstance(outcome, Result), outcome
        assert host.call(kernel, Op.INVERSE, params, outcome.outputs) == Result([data.tobytes()])
        return np.frombuffer(outcome.outputs[0], data.dtype)

    return call


def noise(dtype: str, length: int) -> Array:
    rng = np.random.default_rng(length)
    kind = np.dtype(f"<u{int(dtype[1:]) // 8}")
    return rng.integers(0, 256, length * kind.itemsize, dtype=np.uint8).view(kind)


@pytest.mark.parametrize("edge", hilbert.EDGES)
@pytest.mark.parametrize("dtype", TYPES)
def test_the_reference_says_the_same(dtype: str, edge: str, turned: Call) -> None:
    for length in LENGTHS:
        for order in (1, 2, 3, 4):
            data = noise(dtype, length)
            expected = hilbert.turn(data, order, edge)
            assert np.array_equal(turned(data, order, edge), expected)
            assert np.array_equal(hilbert.turn(expected, order, edge, back=True), data)


@pytest.mark.parametrize("order", LOWEST)
def test_a_wave_is_turned_by_90_degrees(order: int, turned: Call) -> None:
    """Within 0.12 degrees, and its size within 0.2 %, in the band that spec.md names."""
    time = np.arange(4000)
    for frequency in np.linspace(LOWEST[order], 0.5 - LOWEST[order], 10):
        phase = 2 * np.pi * frequency * time + 0.3
        wave = np.round(2.0**28 * np.cos(phase)).astype("<i4")
        got = turned(wave.view("<u4"), order, "reflect").view("<i4")
        inner = slice(100, -100)
        both = np.stack([np.cos(phase), np.sin(phase)], axis=1)
        for half in (0, 1):  # even and odd lanes are made by different steps
            fit = np.linalg.lstsq(both[inner][half::2], got[inner][half::2], rcond=None)[0]
            assert abs(np.degrees(np.arctan2(fit[0], fit[1]))) < 0.12
            assert abs(np.hypot(*fit) / 2.0**28 - 1) < 0.002


def test_the_mean_stays(turned: Call) -> None:
    """What does not move is not turned: adding a constant adds it to the result, past any sign."""
    data = noise("u16", 501)
    for edge in ("periodic", "reflect"):
        plain = turned(data, 3, edge)
        assert np.array_equal(turned(data + np.uint16(40_000), 3, edge), plain + np.uint16(40_000))
    constant = np.full(77, 200, np.uint8)
    assert np.array_equal(turned(constant, 4, "reflect"), constant)


def test_turning_twice_is_turning_upside_down(turned: Call) -> None:
    time = np.arange(3000)
    wave = np.round(2.0**20 * np.sin(0.7 * time) + 2.0**19 * np.cos(1.9 * time)).astype("<i4")
    once = turned(wave.view("<u4"), 4, "reflect")
    twice = turned(once, 4, "reflect").view("<i4")
    inner = slice(100, -100)
    assert np.abs(twice + wave)[inner].max() < 2.0**20 * 0.01
    sizes = [np.linalg.norm(part[inner].astype(float)) for part in (once.view("<i4"), wave)]
    assert abs(sizes[0] / sizes[1] - 1) < 0.005


def test_a_periodic_signal_may_begin_anywhere(turned: Call) -> None:
    data = noise("u8", 300)
    plain = turned(data, 2, "periodic")
    assert np.array_equal(turned(np.roll(data, 14), 2, "periodic"), np.roll(plain, 14))


def test_what_is_causal_begins_in_silence(turned: Call) -> None:
    """Zeros before the first lane and none: the same but for the first lanes themselves."""
    data = noise("u16", 200)
    padded = np.concatenate([np.zeros(64, data.dtype), data])
    assert np.array_equal(turned(padded, 3, "causal")[64 + 32 :], turned(data, 3, "causal")[32:])
