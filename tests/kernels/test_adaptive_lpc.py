"""adaptive_lpc beside the same thing said in Python, and what it must find in sound."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ring0.abi import Op
from ring0.host import Host
from ring0.outcome import Result
from ring2_orchestrator.kernels import KernelSet
from tests.kernels.references import adaptive_lpc

Array = np.ndarray[Any, Any]
Forward = Callable[..., Array]
TYPES = ("u8", "u16", "u32")
SHAPES = ((1, 1, 9), (2, 1, 6), (7, 1, 14), (16, 2, 9), (5, 3, 8), (32, 1, 9), (31, 8, 7))


@pytest.fixture
def forward(kernels: KernelSet, host: Host) -> Forward:
    """The residual, after the inverse gave the samples back."""
    kernel = kernels.by_name("adaptive_lpc")

    def call(data: Array, order: int, channels: int, window: int) -> Array:
        values = {"order": order, "channels": channels, "window": window}
        params = kernel.manifest.encode_parameters(values, dtype=f"u{8 * data.itemsize}")
        outcome = host.call(kernel, Op.FORWARD, params, [data.tobytes()])
        assert isinstance(outcome, Result), outcome
        assert host.call(kernel, Op.INVERSE, params, outcome.outputs) == Result([data.tobytes()])
        return np.frombuffer(outcome.outputs[0], data.dtype)

    return call


def tone(dtype: str, count: int, channels: int = 1, noise: float = 0.0) -> Array:
    """Two waves in each channel, the channels alike but for their loudness."""
    time = np.arange(count // channels)[:, None]
    loud = 1.0 / (1.0 + np.arange(channels))
    wave = (np.sin(0.05 * time) + 0.4 * np.sin(0.31 * time + 1.0)) * loud
    wave = wave / 1.5 + noise * np.random.default_rng(count).normal(size=wave.shape)
    width = int(dtype[1:]) // 8
    top = float(1 << (8 * width - 1))
    return np.clip(wave * top, -top, top - 1).astype(f"<i{width}").reshape(-1).view(f"<u{width}")


def loudness(residual: Array) -> float:
    """The mean of the residual's absolute numbers."""
    return float(np.abs(residual.view(f"<i{residual.itemsize}").astype(np.float64)).mean())


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("order", "channels", "window"), SHAPES)
def test_the_reference_says_the_same(
    dtype: str, order: int, channels: int, window: int, forward: Forward
) -> None:
    rng = np.random.default_rng(order)
    width = int(dtype[1:]) // 8
    noise = rng.integers(0, 256, 200 * width, dtype=np.uint8).view(f"<u{width}")
    extreme = np.array([1 << (8 * width - 1), (1 << (8 * width - 1)) - 1] * 150, f"<u{width}")
    for data in (tone(dtype, 64 * channels + 100, channels, 0.01), noise, extreme, noise[:0]):
        expected = adaptive_lpc.residual(data, order, channels, window)
        assert forward(data, order, channels, window).tobytes() == expected.tobytes()


@pytest.mark.parametrize("channels", [1, 2, 8])
def test_waves_are_foreseen(channels: int, forward: Forward) -> None:
    residual = forward(tone("u16", 8000 * channels, channels), 4 * channels, channels, 9)
    assert loudness(residual[-4000:]) < 4


def test_what_one_channel_says_helps_the_other(forward: Forward) -> None:
    rng = np.random.default_rng(3)
    left = rng.integers(-9000, 9000, 6000)
    both = np.stack([left, left // 2 + rng.integers(-20, 20, 6000)], axis=1)
    residual = forward(both.astype("<i2").reshape(-1).view("<u2"), 8, 2, 9)
    assert loudness(residual[1::2][-2000:]) < 30


def test_it_follows_a_signal_that_changes(forward: Forward) -> None:
    rng = np.random.default_rng(4)
    parts = [np.sin(0.05 * np.arange(4000)), np.sin(1.3 * np.arange(4000))]
    wave = np.concatenate(parts) * 9000 + rng.normal(size=8000)
    residual = forward(wave.astype("<i2").view("<u2"), 8, 1, 8)
    assert loudness(residual[2000:4000]) < 8
    assert loudness(residual[6000:]) < 8


def test_silence_stays_silent(forward: Forward) -> None:
    assert not forward(np.zeros(1000, "<u2"), 16, 1, 9).any()
