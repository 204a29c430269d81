"""raster beside a decoder written from its specification, and beside the kernels that do less."""

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
from tests.kernels.references.raster import MalformedError, decode

FEW_BYTES = 800
CASES = [
    case
    for case in read_cases(source_root() / "raster")
    if case.refuse in (None, 3) and max(map(len, (*case.inputs, *case.outputs))) <= FEW_BYTES
]
examined = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def by_specification(stream: bytes, width: int, row: int, channels: int) -> bytes | None:
    try:
        return decode(stream, width, row, channels)
    except MalformedError:
        return None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_vectors_are_as_the_specification_says(case: Case, kernels: KernelSet) -> None:
    width, named = kernels.by_name("raster").manifest.decode_parameters(case.params)
    assert width is not None
    stream, lanes = case.inputs[0], None if case.refuse else case.outputs[0]
    if case.op is Op.FORWARD:
        stream, lanes = case.outputs[0], case.inputs[0]
    assert by_specification(stream, width, named["row"], named["channels"]) == lanes


@st.composite
def pictures(draw: Any) -> tuple[bytes, int, int, int]:
    """Waves with noise of any size, with a width, a row and channels."""
    width, channels = draw(st.sampled_from([1, 2])), draw(st.integers(1, 5))
    row = channels * draw(st.integers(1, 8))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    at = np.arange(row * draw(st.integers(1, 9)))
    loud = draw(st.sampled_from([0.0, 2.0, 30.0, 2000.0]))
    lanes = 60 * np.sin(at % row / 5) + 40 * np.cos(at // row / 3) + random.normal(0, loud, at.size)
    return np.rint(lanes).astype(np.int64).astype(f"<i{width}").tobytes(), width, row, channels


@examined
@given(picture=pictures(), place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_streams_are_read_as_the_specification_says(
    picture: tuple[bytes, int, int, int],
    place: float,
    value: int,
    kernels: KernelSet,
    host: Host,
) -> None:
    lanes, width, row, channels = picture
    kernel = kernels.by_name("raster")
    named = {"row": row, "channels": channels}
    params = kernel.manifest.encode_parameters(named, dtype=f"u{8 * width}")
    made = host.call(kernel, Op.FORWARD, params, [lanes])
    assert isinstance(made, Result), made
    assert by_specification(made.outputs[0], width, row, channels) == lanes
    damaged, head = bytearray(made.outputs[0]), 3
    at = head + int(place * (len(damaged) - head))
    damaged[min(at, len(damaged) - 1)] = value
    back = host.call(kernel, Op.INVERSE, params, [bytes(damaged)])
    expected = by_specification(bytes(damaged), width, row, channels)
    assert isinstance(back, Refused) if expected is None else back == Result([expected])


def test_a_picture_is_smaller_than_after_one_prediction(kernels: KernelSet, host: Host) -> None:
    x, y = np.meshgrid(np.arange(120), np.arange(90))
    random = np.random.default_rng(3)
    planes = [
        90 + 60 * np.sin(x / 11 + y / 17) + k * np.cos(x / 5) + random.normal(0, 2 + y / 30)
        for k in (0, 9, 14)
    ]
    common = random.normal(0, 4, x.shape)
    pixels = np.rint(np.stack(planes, -1) + common[..., None]).astype("u1").tobytes()

    def forward(name: str, data: bytes, **named: int) -> bytes:
        kernel = kernels.by_name(name)
        params = kernel.manifest.encode_parameters(named, dtype="u8")
        made = host.call(kernel, Op.FORWARD, params, [data])
        assert isinstance(made, Result)
        assert host.call(kernel, Op.INVERSE, params, made.outputs) == Result([data])
        return made.outputs[0]

    lifted = forward("colour_lift", pixels)
    simple = forward("predict2d", lifted, row=360, channels=3)
    simple = forward("residual", simple, row=360, channels=3)
    assert len(forward("raster", lifted, row=360, channels=3)) < 0.97 * len(simple)
