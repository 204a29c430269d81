"""residual beside a decoder written from its specification, and beside the entropy of its input."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ring0.abi import Op
from ring0.host import Host
from ring0.outcome import Refused, Result
from ring2_orchestrator.kernel_build import source_root
from ring2_orchestrator.kernel_vectors import Case, read_cases
from ring2_orchestrator.kernels import KernelSet
from tests.kernels.references.residual import MalformedError, decode

CASES = [*read_cases(source_root() / "residual")]
WIDTHS = {1: "u8", 2: "u16", 4: "u32", 8: "u64"}
examined = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def residual(kernels: KernelSet, host: Host) -> "Codec":
    return Codec(kernels, host)


class Codec:
    """The kernel, forward and back."""

    def __init__(self, kernels: KernelSet, host: Host) -> None:
        self.kernel, self.host = kernels.by_name("residual"), host

    def parameters(self, width: int, row: int, channels: int) -> bytes:
        values = {"row": row, "channels": channels}
        return self.kernel.manifest.encode_parameters(values, dtype=WIDTHS[width])

    def coded(self, lanes: bytes, width: int, row: int = 0, channels: int = 1) -> bytes:
        params = self.parameters(width, row, channels)
        made = self.host.call(self.kernel, Op.FORWARD, params, [lanes])
        assert isinstance(made, Result), made
        assert self.host.call(self.kernel, Op.INVERSE, params, made.outputs) == Result([lanes])
        return made.outputs[0]

    def back(self, stream: bytes, width: int, row: int, channels: int) -> bytes | None:
        params = self.parameters(width, row, channels)
        made = self.host.call(self.kernel, Op.INVERSE, params, [stream])
        assert isinstance(made, Result) or (isinstance(made, Refused) and made.code == 3)
        return made.outputs[0] if isinstance(made, Result) else None


def by_specification(stream: bytes, width: int, row: int, channels: int) -> bytes | None:
    try:
        return decode(stream, width, row, channels)
    except MalformedError:
        return None


@st.composite
def calls(draw: Any) -> tuple[bytes, int, int, int]:
    """Lanes whose sizes drift over every magnitude, with a width, a row and channels."""
    width = draw(st.sampled_from(sorted(WIDTHS)))
    exponents = draw(st.lists(st.integers(0, 8 * width), max_size=40))
    lanes = b"".join(
        draw(st.integers(0, (1 << exponent) - 1)).to_bytes(width, "little")
        for exponent in exponents
        for _ in range(3)
    )
    return lanes, width, draw(st.integers(0, 40)), draw(st.integers(1, 5))


@examined
@given(call=calls())
def test_the_specification_decodes_what_it_writes(
    call: tuple[bytes, int, int, int], residual: Codec
) -> None:
    lanes, *shape = call
    assert by_specification(residual.coded(lanes, *shape), *shape) == lanes


@examined
@given(call=calls(), place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_a_damaged_stream_is_read_as_the_specification_says(
    call: tuple[bytes, int, int, int], place: float, value: int, residual: Codec
) -> None:
    lanes, *shape = call
    stream = bytearray(residual.coded(lanes, *shape))
    if stream:
        stream[int(place * len(stream))] = value
    for damaged in (bytes(stream), bytes(stream[:-1]), bytes([*stream, value])):
        assert residual.back(damaged, *shape) == by_specification(damaged, *shape)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_vectors_are_as_the_specification_says(case: Case, residual: Codec) -> None:
    if case.refuse not in (None, 3):
        return
    width, named = residual.kernel.manifest.decode_parameters(case.params)
    assert width is not None
    stream, lanes = case.inputs[0], None if case.refuse else case.outputs[0]
    if case.op is Op.FORWARD:
        stream, lanes = case.outputs[0], case.inputs[0]
    assert by_specification(stream, width, named["row"], named["channels"]) == lanes


def laplacian(n: int, scale: "float | np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    drawn = np.rint(np.random.default_rng(n).laplace(0, scale, n)).astype(np.int64)
    return np.where(drawn < 0, -2 * drawn - 1, 2 * drawn)


def entropy_bytes(lanes: "np.ndarray[Any, Any]") -> float:
    counts = np.unique(lanes, return_counts=True)[1]
    return float(-(counts * np.log2(counts / counts.sum())).sum() / 8)


@pytest.mark.parametrize("scale", [0.5, 4, 30])
def test_one_distribution_costs_little_more_than_its_entropy(scale: float, residual: Codec) -> None:
    lanes = laplacian(100_000, scale)
    size = len(residual.coded(lanes.astype("<u2").tobytes(), 2))
    assert size < 1.04 * entropy_bytes(lanes)


def test_what_is_loud_in_places_costs_less_than_its_entropy(residual: Codec) -> None:
    scales = np.exp(np.repeat(np.random.default_rng(1).normal(2, 1.2, 200), 500))
    lanes = laplacian(100_000, scales)
    size = len(residual.coded(lanes.astype("<u2").tobytes(), 2))
    assert size < 0.95 * entropy_bytes(lanes)


def test_what_is_loud_in_columns_is_cheaper_with_its_row(residual: Codec) -> None:
    scales = np.tile(np.exp(np.random.default_rng(2).normal(2, 1.5, 250)), 200)
    lanes = laplacian(50_000, scales).astype("<u4").tobytes()
    assert len(residual.coded(lanes, 4, row=250)) < 0.97 * len(residual.coded(lanes, 4))


def test_channels_that_differ_are_cheaper_apart(residual: Codec) -> None:
    lanes = laplacian(60_000, np.tile([1.0, 20.0, 200.0], 20_000)).astype("<u2").tobytes()
    assert len(residual.coded(lanes, 2, channels=3)) < 0.93 * len(residual.coded(lanes, 2))
