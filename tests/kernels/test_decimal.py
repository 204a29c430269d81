"""decimal beside the same said in numpy: every bit pattern comes back, decimals as integers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring0.abi import Op
from ring0.host import Host
from ring0.outcome import Result
from ring2_orchestrator.kernels import KernelSet
from tests.kernels.references import floats
from tests.kernels.references.table import numbers

Array = np.ndarray[Any, Any]
Forward = Callable[[Array], tuple[Array, bytes]]
TYPES = ("f32", "f64")


@pytest.fixture
def forward(kernels: KernelSet, host: Host) -> Forward:
    """Whole numbers and the rest, after the inverse gave the lanes back."""
    return lambda data: there_and_back(data, kernels, host)


def there_and_back(data: Array, kernels: KernelSet, host: Host) -> tuple[Array, bytes]:
    """Whole numbers and the rest, after the inverse gave the lanes back."""
    kernel = kernels.by_name("decimal")
    params = kernel.manifest.encode_parameters({}, dtype=f"f{8 * data.itemsize}")
    outcome = host.call(kernel, Op.FORWARD, params, [data.tobytes()])
    assert isinstance(outcome, Result), outcome
    assert host.call(kernel, Op.INVERSE, params, outcome.outputs) == Result([data.tobytes()])
    scaled, rest = outcome.outputs
    return np.frombuffer(scaled, f"<i{data.itemsize}"), rest


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("places", range(5))
def test_decimals_are_whole_numbers(dtype: str, places: int, forward: Forward) -> None:
    whole = np.cumsum(np.random.default_rng(places).integers(-99, 100, 3000))
    scaled, rest = forward((whole / 10**places).astype(f"<f{int(dtype[1:]) // 8}"))
    assert rest == bytes([places, 0])
    assert np.array_equal(scaled, whole)


def test_what_is_no_decimal_is_kept_beside_them(forward: Forward) -> None:
    values = np.arange(400) / 100
    strange = np.array([np.nan, np.inf, -np.inf, -0.0, np.pi, 5e-324, 1e300])
    values[10:80:10] = strange
    scaled, rest = forward(values)
    assert numbers(rest[:9]) == [2, 7, 10, *[9] * 6]
    assert rest[9:] == strange.tobytes()
    # What stands in the place of an exception is the lane before it.
    assert np.array_equal(scaled[10:80:10], scaled[9:79:10])


@pytest.mark.parametrize("dtype", TYPES)
def test_noise_comes_back(dtype: str, forward: Forward) -> None:
    forward(floats.noise(dtype, 3000))


@given(
    lanes=st.lists(st.integers(0, 2**64 - 1)),
    places=st.integers(0, 24),
    dtype=st.sampled_from(TYPES),
)
def test_any_lanes_come_back(
    lanes: list[int], places: int, dtype: str, kernels: KernelSet, host: Host
) -> None:
    width = int(dtype[1:]) // 8
    bits = np.array(lanes, "<u8")
    near = ((bits >> np.uint64(40)).astype("<f8") / 10.0**places).astype(f"<f{width}")
    any_bits = bits.astype(f"<u{width}").view(f"<f{width}")
    for data in (any_bits, near, np.concatenate([near, any_bits, near])):
        there_and_back(data, kernels, host)


@given(drawn=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), places=st.integers(0, 22))
def test_the_inverse_divides_as_the_page_says(
    drawn: list[int], places: int, kernels: KernelSet, host: Host
) -> None:
    kernel = kernels.by_name("decimal")
    for width in (4, 8):
        scaled = np.array(drawn, "<i8").astype(f"<i{width}")
        expected = (scaled.astype("<f8") / 10.0**places).astype(f"<f{width}")
        streams = [scaled.tobytes(), bytes([places, 0])]
        assert host.call(kernel, Op.INVERSE, bytes([width]), streams) == Result(
            [expected.tobytes()]
        )
