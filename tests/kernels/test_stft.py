"""stft beside the same thing said in numpy, beside numpy's own transform, and its laws."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ring0.host import Host
from ring2_orchestrator.kernels import KernelSet
from tests.kernels.references import floats, fourier, stft
from tests.kernels.transforms import TYPES, Array, Transform

Call = Callable[..., tuple[Array, Array]]
HANN, REFLECT = "hann", "reflect"


def parameters(log_size: int, overlap: int, window: str, edge: str) -> dict[str, int]:
    return {
        "log_size": log_size,
        "overlap": overlap,
        "window": stft.WINDOWS.index(window),
        "edge": stft.EDGES.index(edge),
    }


@pytest.fixture
def transform(kernels: KernelSet, host: Host) -> Transform:
    return Transform(kernels.by_name("stft"), host)


@pytest.fixture
def forward(transform: Transform) -> Call:
    """Spectra and residual, after the inverse gave the lanes back."""

    def call(data: Array, *how: Any) -> tuple[Array, Array]:
        return transform.forward(data, parameters(*how))

    return call


@pytest.mark.parametrize("edge", stft.EDGES)
@pytest.mark.parametrize("window", stft.WINDOWS)
def test_the_reference_says_the_same(window: str, edge: str, forward: Call) -> None:
    for dtype, log_size, overlap in itertools.product(TYPES, (1, 2, 4), (0, 1, 3)):
        how = (log_size, overlap, window, edge)
        for length in (0, 1, 2, 7, 45):
            data = (floats.noise if length % 2 else floats.wave)(dtype, length)
            spectra, residual = stft.forward(data, how)
            made = forward(data, *how)
            assert made[0].tobytes() == spectra.tobytes()
            assert made[1].tobytes() == residual.tobytes()
            assert stft.inverse(spectra, residual, how).tobytes() == data.tobytes()


@pytest.mark.parametrize("log_size", [8, 12])
def test_the_reference_says_the_same_of_long_frames(log_size: int, forward: Call) -> None:
    data = floats.wave("f64", 5000)
    how = (log_size, 2, HANN, REFLECT)
    spectra, residual = stft.forward(data, how)
    made = forward(data, *how)
    assert made[0].tobytes() == spectra.tobytes()
    assert made[1].tobytes() == residual.tobytes()


def test_sines_are_right_to_the_last_bits() -> None:
    turns = np.arange(4097) / 8192
    cosine, sine = fourier.cos_sin(turns)
    # In extended precision where there is one; elsewhere the bound leaves room for numpy's error.
    angle = 2 * np.pi * turns.astype(np.longdouble)
    assert np.abs(cosine - np.cos(angle)).max() < 3e-16
    assert np.abs(sine - np.sin(angle)).max() < 3e-16
    assert cosine[0] == sine[2048] == 1
    assert cosine[2048] == sine[0] == sine[4096] == 0
    assert np.array_equal(cosine, -cosine[::-1])


@pytest.mark.parametrize("log_size", range(1, 13))
def test_the_transform_is_numpys_within_a_bound(log_size: int) -> None:
    size = 1 << log_size
    data = np.random.default_rng(log_size).normal(0, 1, size)
    expected = np.fft.rfft(data)
    re, im = fourier.forward(data)
    bound = 2e-16 * (log_size + 2) * np.linalg.norm(data)
    assert np.abs(re - expected.real).max() < bound
    assert np.abs(im - expected.imag).max() < bound
    assert np.abs(fourier.inverse(re, im) * (2 / size) - data).max() < bound
    energy = 2 * (re**2 + im**2).sum() - re[0] ** 2 - re[-1] ** 2
    assert abs(energy / size - (data**2).sum()) < 1e-14 * size  # Parseval


def test_frames_are_windowed_spectra_where_they_should_be(forward: Call) -> None:
    data = floats.wave("f64", 1000)
    spectra, _ = forward(data, 6, 2, HANN, REFLECT)
    got = spectra.view(np.complex128).reshape(-1, 33)
    padded = np.pad(data, 32, mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(64) / 64)
    frames = np.stack([padded[at : at + 64] * hann for at in range(0, 1000, 16)])
    assert np.abs(got[: len(frames)] - np.fft.rfft(frames)).max() < 1e-12


@pytest.mark.parametrize("edge", stft.EDGES)
@pytest.mark.parametrize("window", stft.WINDOWS)
def test_signals_are_reconstructed_but_for_rounding(window: str, edge: str, forward: Call) -> None:
    data = floats.wave("f64", 777) + 100
    for overlap in (1, 2, 3):
        shape = stft.Shape(len(data), 7, overlap, window, edge)
        near = stft.synthesise(shape, stft.analyse(shape, data))
        # The newest lanes of a causal frame lie where windows end, near 0.
        inner = slice(None, -2 * shape.hop if edge == "causal" else None)
        assert np.abs(near - data)[inner].max() < 1e-12
        _, residual = forward(data, 7, overlap, window, edge)
        assert np.abs(floats.bits(residual).view("<i8")[inner]).max() < 64


def test_windows_add_up() -> None:
    """The squares of overlapping windows have a constant sum, so no lane counts more."""
    for window, overlap in ((HANN, 2), (HANN, 3), ("sine", 1), ("sine", 2), ("rectangle", 3)):
        weights = stft.Shape(0, 8, overlap, window, "zero").weights
        total = (weights**2).reshape(1 << overlap, -1).sum(axis=0)
        assert np.abs(total - total[0]).max() < 1e-14


def test_causal_frames_know_nothing_of_what_follows(forward: Call) -> None:
    data = floats.wave("f64", 640)
    whole, _ = forward(data, 6, 2, HANN, "causal")
    part, _ = forward(data[:320], 6, 2, HANN, "causal")
    assert np.array_equal(whole[: len(part)], part)


def test_a_periodic_signal_may_begin_anywhere(forward: Call) -> None:
    data = floats.wave("f64", 512)
    plain, _ = forward(data, 6, 2, HANN, "periodic")
    turned, _ = forward(np.roll(data, 32), 6, 2, HANN, "periodic")
    rows, moved = plain.reshape(-1, 66)[:-1], turned.reshape(-1, 66)[:-1]
    assert np.array_equal(np.roll(rows, 2, axis=0), moved)


@pytest.mark.parametrize("dtype", TYPES)
def test_one_lane_that_is_no_number_spoils_nothing(dtype: str, forward: Call) -> None:
    data = floats.wave(dtype, 300)
    data[[7, 150]] = np.nan, np.inf
    spectra, _ = forward(data, 5, 1, HANN, REFLECT)
    plain, _ = forward(np.where(np.isfinite(data), data, 0), 5, 1, HANN, REFLECT)
    assert np.array_equal(spectra, plain)
    huge = np.full(64, np.finfo(data.dtype).max)
    spectra, _ = forward(huge, 4, 1, HANN, REFLECT)
    nan = floats.bits(spectra)[np.isnan(spectra)]
    assert set(nan) <= {floats.CANONICAL[data.itemsize]}


def test_streams_that_no_signal_makes_are_refused(transform: Transform) -> None:
    how = (4, 1, HANN, REFLECT)
    streams = stft.forward(floats.wave("f64", 60), how)
    transform.refuses_what_it_never_makes(streams, (0, 1, 20, 59), parameters(*how))
