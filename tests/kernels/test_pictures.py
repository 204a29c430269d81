"""predict2d and colour_lift beside the same things written from their specifications."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ring0.abi import Op
from ring0.host import Host
from ring0.outcome import Result
from ring2_orchestrator.kernels import KernelSet
from tests.kernels.references.pictures import lifted, residuals

Forward = Callable[..., list[int]]
examined = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def forward(kernels: KernelSet, host: Host) -> Forward:
    def call(name: str, values: list[int], bits: int, **named: int) -> list[int]:
        kernel = kernels.by_name(name)
        params = kernel.manifest.encode_parameters(named, dtype=f"u{bits}")
        made = host.call(kernel, Op.FORWARD, params, [np.array(values, f"<u{bits // 8}").tobytes()])
        assert isinstance(made, Result), made
        return np.frombuffer(made.outputs[0], f"<u{bits // 8}").tolist()

    return call


@st.composite
def grids(draw: Any, widths: tuple[int, ...]) -> tuple[int, list[int]]:
    """A width in bits, and lanes that are noise, a ramp, or near one another."""
    bits = draw(st.sampled_from(widths))
    lane = st.integers(0, (1 << bits) - 1)
    steps = st.sampled_from([0, 0, 1, 2, 3, 200, (1 << bits) - 1, (1 << bits) - 7])
    walk = st.lists(steps, max_size=120).map(
        lambda some: [sum(some[: i + 1]) % (1 << bits) for i in range(len(some))]
    )
    return bits, draw(st.lists(lane, max_size=120) | walk)


@examined
@given(
    grid=grids((8, 16, 32)),
    row=st.integers(0, 30),
    channels=st.integers(1, 5),
    mode=st.integers(0, 1),
)
def test_predictions_are_as_specified(
    grid: tuple[int, list[int]], row: int, channels: int, mode: int, forward: Forward
) -> None:
    bits, values = grid
    made = forward("predict2d", values, bits, row=row, channels=channels, mode=mode)
    assert made == residuals(values, bits, row, channels, mode)


@examined
@given(grid=grids((8, 16)), channels=st.integers(3, 6), mode=st.integers(0, 3))
def test_colours_are_as_specified(
    grid: tuple[int, list[int]], channels: int, mode: int, forward: Forward
) -> None:
    bits, pixels = grid
    made = forward("colour_lift", pixels, bits, channels=channels, mode=mode)
    assert made == lifted(pixels, bits, channels, mode)


def test_the_examples_of_the_specifications(forward: Forward) -> None:
    values = [10, 12, 15, 11, 14, 17]
    assert forward("predict2d", values, 8, row=3, mode=0) == [20, 4, 6, 7, 4, 4]
    made = [forward("colour_lift", [200, 150, 110], 8, mode=mode) for mode in range(4)]
    assert made == [[150, 178, 88], [150, 178, 63], [150, 218, 123], [152, 218, 123]]


def test_where_the_sign_lies_makes_no_difference_inside(forward: Forward) -> None:
    x, y = np.meshgrid(np.arange(40), np.arange(30))
    grid = np.rint(40 * np.sin(x / 9) + 30 * np.cos(y / 7)).astype(np.int64).ravel()
    plain, moved = (
        forward("predict2d", ((grid + by) % 65536).tolist(), 16, row=40, mode=0)
        for by in (0, 32768)
    )
    assert plain[41:] == moved[41:]
    assert sum(plain[41:]) < 0.2 * np.abs(grid).sum()
