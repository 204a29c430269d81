"""mellin beside the same thing said in numpy, and what a Mellin transform must be."""

from collections.abc import Callable

import numpy as np
import pytest

from ring0.host import Host
from ring2_orchestrator.kernels import KernelSet
from tests.kernels.references import floats, mellin
from tests.kernels.transforms import TYPES, Array, Transform

Call = Callable[[Array, int], tuple[Array, Array]]


@pytest.fixture
def transform(kernels: KernelSet, host: Host) -> Transform:
    return Transform(kernels.by_name("mellin"), host)


@pytest.fixture
def forward(transform: Transform) -> Call:
    """Spectrum and residual, after the inverse gave the lanes back."""
    return lambda data, octave: transform.forward(data, {"octave": octave})


def two_sided(spectrum: Array) -> float:
    """The energy of all numbers of the spectrum, those of negative frequencies included."""
    power = np.abs(spectrum.view(np.complex128)) ** 2
    return float(2 * power.sum() - power[0] - power[-1])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("octave", [1, 2, 3, 16, 61])
def test_the_reference_says_the_same(dtype: str, octave: int, forward: Call) -> None:
    for length in (0, 1, 2, 3, 4, 7, 8, 63, 64, 513, 700):
        for data in (floats.noise(dtype, length), floats.wave(dtype, length)):
            spectrum, residual = mellin.forward(data, octave)
            made = forward(data, octave)
            assert made[0].tobytes() == spectrum.tobytes()
            assert made[1].tobytes() == residual.tobytes()
            assert mellin.inverse(spectrum, residual, octave).tobytes() == data.tobytes()


def test_the_grid_is_geometric() -> None:
    for octave in (1, 5, 16, 256):
        points = mellin.Grid(1000, octave).points
        exact = 2.0 ** (np.arange(len(points)) / octave)
        assert np.abs(points / exact - 1).max() < 6e-16
        assert points[0] == 1
        assert points[-1] == 1024


@pytest.mark.parametrize("octave", [1, 8, 16, 33])
def test_rescaling_time_only_turns_phases(octave: int, forward: Call) -> None:
    """Any signal at half the speed: each frequency is turned by its share of log 2."""
    rng = np.random.default_rng(octave)
    signal = np.concatenate([rng.normal(0, 1, 500), np.zeros(1500)])
    slower = np.concatenate([[0.0], np.repeat(signal[:500], 2), np.zeros(999)]) / np.sqrt(2)
    plain, slow = (forward(each, octave)[0].view(np.complex128) for each in (signal, slower))
    size = mellin.Grid(2000, octave).size
    frequency = 2 * np.pi * np.arange(len(plain)) * octave / size / np.log(2)
    assert np.abs(slow - plain * np.exp(-1j * frequency * np.log(2))).max() < 1e-12
    assert np.abs(np.abs(slow) - np.abs(plain)).max() < 1e-12


def test_it_is_the_mellin_integral(forward: Call) -> None:
    """Of a smooth signal: the integral of f(t) t^(s-1) at s = 1/2 - i w."""
    octave, n = 64, 4095
    edges = np.arange(n) + 1.0
    wave = np.exp(-0.5 * ((np.log(edges + 0.5) - 5.5) / 0.35) ** 2)
    spectrum = forward(wave, octave)[0].view(np.complex128)
    size = mellin.Grid(n, octave).size
    step = np.log(2) / octave
    u = np.linspace(0, np.log(4096), 200_001)
    f = np.exp(-0.5 * ((u - 5.5) / 0.35) ** 2)
    for m in (0, 1, 5, 17):
        w = 2 * np.pi * m / (size * step)
        integral = np.sum(f * np.exp(u / 2) * np.exp(-1j * w * u)) * (u[1] - u[0])
        # A cell stands for its middle, half a step after its beginning.
        got = spectrum[m] * np.sqrt(step * size) * np.exp(-0.5j * w * step)
        assert abs(got - integral) < 1e-3 * abs(integral)


def test_energy_is_kept_as_far_as_the_grid_is_fine(forward: Call) -> None:
    """The spectrum has the energy of the cells, which is that of the lanes or less."""
    data = floats.wave("f64", 1000)
    energy = float((data**2).sum())
    kept: list[float] = []
    for octave in (1, 4, 16, 64, 256):
        spectrum, _ = forward(data, octave)
        cells = mellin.cells(mellin.Grid(len(data), octave), data)
        assert abs(two_sided(spectrum) / float((cells**2).sum()) - 1) < 1e-13
        kept.append(two_sided(spectrum) / energy)
    assert all(share < 1 + 1e-13 for share in kept)
    assert kept == sorted(kept)
    assert kept[-1] > 0.99


def test_a_constant_is_reconstructed_but_for_rounding(forward: Call) -> None:
    """Cells that hold one value hold it wholly; the rest is a matter of a few units."""
    # 1023 lanes end where an octave does; the cells past other lengths are partly empty.
    _, residual = forward(np.full(1023, 12.5), 16)
    assert np.abs(floats.bits(residual).view("<i8")).max() < 64


@pytest.mark.parametrize("dtype", TYPES)
def test_one_lane_that_is_no_number_spoils_nothing(dtype: str, forward: Call) -> None:
    data = floats.wave(dtype, 300)
    data[[7, 150]] = np.nan, -np.inf
    spectrum, _ = forward(data, 16)
    assert np.array_equal(spectrum, forward(np.where(np.isfinite(data), data, 0), 16)[0])
    huge = np.full(64, np.finfo(np.float64).max)
    nan = np.isnan(forward(huge, 2)[0])
    assert set(floats.bits(forward(huge, 2)[0])[nan]) <= {floats.CANONICAL[8]}


def test_streams_that_no_signal_makes_are_refused(transform: Transform) -> None:
    streams = mellin.forward(floats.wave("f64", 60), 4)
    transform.refuses_what_it_never_makes(streams, (0, 1, 20, 33), {"octave": 4})
