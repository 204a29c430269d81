"""kravchuk beside the same thing said in numpy, and what its matrix must be."""

from collections.abc import Callable
from math import comb

import numpy as np
import pytest

from ring0.host import Host
from ring2_orchestrator.kernels import KernelSet
from tests.kernels.references import floats, kravchuk
from tests.kernels.transforms import TYPES, Array, Transform

Call = Callable[[Array, int], tuple[Array, Array]]
SIZES = (1, 2, 3, 4, 5, 16, 17, 64, 255, 256)
LARGE = (1000, 1024, 2000)


@pytest.fixture
def transform(kernels: KernelSet, host: Host) -> Transform:
    return Transform(kernels.by_name("kravchuk"), host)


@pytest.fixture
def forward(transform: Transform) -> Call:
    """Coefficients and residual, after the inverse gave the lanes back."""
    return lambda data, size: transform.forward(data, {"size": size})


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("size", [1, 2, 3, 8, 15, 64, 101])
def test_the_reference_says_the_same(dtype: str, size: int, forward: Call) -> None:
    for length in (0, 1, 2, 3, 7, 15, 16, 17, 64, 130, 301):
        for data in (floats.noise(dtype, length), floats.wave(dtype, length)):
            coefficients, residual = kravchuk.forward(data, size)
            made = forward(data, size)
            assert made[0].tobytes() == coefficients.tobytes()
            assert made[1].tobytes() == residual.tobytes()
            back = kravchuk.inverse(coefficients, residual, size)
            assert back.tobytes() == data.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("size", [1000, 2000])
def test_the_reference_says_the_same_of_large_blocks(size: int, forward: Call) -> None:
    data = floats.wave("f64", size)
    coefficients, residual = kravchuk.forward(data, size)
    assert forward(data, size)[0].tobytes() == coefficients.tobytes()
    assert forward(data, size)[1].tobytes() == residual.tobytes()


@pytest.mark.parametrize(
    "size", [*SIZES, *(pytest.param(size, marks=pytest.mark.slow) for size in LARGE)]
)
def test_the_matrix_is_symmetric_and_its_own_inverse(size: int) -> None:
    matrix = kravchuk.matrix(size)
    assert np.array_equal(matrix, matrix.T)
    assert np.abs(matrix @ matrix - np.eye(size)).max() < 1e-13


@pytest.mark.parametrize("size", [2, 5, 16, 33])
def test_the_kernel_applies_that_matrix(size: int, forward: Call) -> None:
    made = [forward(column, size)[0] for column in np.eye(size)]
    assert np.array_equal(np.stack(made, axis=1), kravchuk.matrix(size))


def test_the_entries_are_kravchuk_polynomials() -> None:
    """Row i are the coefficients of z^i in (1 - z)^j (1 + z)^(N - j), made orthonormal."""
    for size in (6, 33, 64):
        last, matrix = size - 1, kravchuk.matrix(size)
        for i in range(size):
            for j in range(0, size, 5):
                terms = [(-1) ** a * comb(j, a) * comb(last - j, i - a) for a in range(i + 1)]
                norm = (comb(last, j) / comb(last, i) / 2**last) ** 0.5
                assert abs(matrix[i, j] - sum(terms) * norm) < 1e-14


def test_energy_is_kept_and_mirroring_time_turns_odd_signs(forward: Call) -> None:
    for size in (64, 1024):
        data = floats.wave("f64", size)
        coefficients, residual = forward(data, size)
        assert abs(np.linalg.norm(coefficients) / np.linalg.norm(data) - 1) < 1e-13
        mirrored, _ = forward(data[::-1].copy(), size)
        signs = (-1.0) ** np.arange(size)
        assert np.abs(mirrored - signs * coefficients).max() < 1e-12 * np.linalg.norm(data)
        twice, _ = forward(coefficients, size)
        assert np.abs(twice - data).max() < 1e-13 * np.linalg.norm(data)
        # What rounding took is a few units in the last place of the largest lanes.
        large = np.abs(data) > 1
        places = floats.bits(residual).view("<i8")[large]
        assert np.abs(places).max() < 1024


def test_what_is_not_finite_spoils_nothing_else(forward: Call) -> None:
    data = floats.wave("f64", 64)
    data[[3, 40, 50]] = np.nan, np.inf, -np.inf
    zeroed = np.where(np.isfinite(data), data, 0)
    coefficients, residual = forward(data, 64)
    plain, rest = forward(zeroed, 64)
    assert np.array_equal(coefficients, plain)
    finite = np.isfinite(data)
    assert np.array_equal(floats.bits(residual)[finite], floats.bits(rest)[finite])


@pytest.mark.parametrize("dtype", TYPES)
def test_nans_that_are_computed_have_one_bit_pattern(dtype: str, forward: Call) -> None:
    kind = np.dtype(f"<f{int(dtype[1:]) // 8}")
    huge = np.full(64, np.finfo(np.float64).max if dtype == "f64" else 1.0, kind)
    coefficients, _ = forward(huge, 64)
    nan = np.isnan(coefficients)
    assert set(floats.bits(coefficients)[nan]) <= {floats.CANONICAL[kind.itemsize]}
    assert nan.any() == (dtype == "f64")


def test_streams_that_no_lanes_make_are_refused(transform: Transform) -> None:
    streams = kravchuk.forward(floats.wave("f64", 40), 16)
    transform.refuses_what_it_never_makes(streams, (0, 17, 39), {"size": 16})
