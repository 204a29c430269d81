"""context_mix and record_mix beside decoders written from their specifications."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ring0.abi import Op
from ring0.host import Host
from ring0.host.engine import Engine
from ring0.host.library import find
from ring0.outcome import Refused, Result
from ring2_orchestrator.kernel_build import source_root
from ring2_orchestrator.kernel_speed import native, sandbox
from ring2_orchestrator.kernel_vectors import Case, read_cases
from ring2_orchestrator.kernels import KernelSet
from tests.kernels.references import context_mix, record_mix
from tests.kernels.references.mixing import MalformedError

NAMES = ("context_mix", "record_mix")
CASES = [(name, case) for name in NAMES for case in read_cases(source_root() / name)]
examined = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

# A kernel's name, its parameters, and data: words and numbers by turns, and things met before.
Call = tuple[str, dict[str, int], bytes]


def by_specification(name: str, stream: bytes, values: dict[str, int]) -> bytes | None:
    try:
        if name == "context_mix":
            return context_mix.decode(stream)
        return record_mix.decode(stream, values["record"], values["row"])
    except MalformedError:
        return None


class Kernels:
    """Both kernels, forward and back."""

    def __init__(self, kernels: KernelSet, host: Host) -> None:
        self.kernels, self.host = kernels, host

    def call(self, name: str, op: Op, values: dict[str, int], data: bytes) -> bytes | None:
        kernel = self.kernels.by_name(name)
        params = kernel.manifest.encode_parameters(values, dtype=None)
        made = self.host.call(kernel, op, params, [data])
        assert isinstance(made, Result) or (isinstance(made, Refused) and made.code == 3), made
        return made.outputs[0] if isinstance(made, Result) else None

    def coded(self, name: str, data: bytes, **values: int) -> bytes:
        made = self.call(name, Op.FORWARD, values, data)
        assert made is not None
        assert self.call(name, Op.INVERSE, values, made) == data
        return made


@pytest.fixture(scope="module")
def mixing(kernels: KernelSet, host: Host) -> Kernels:
    return Kernels(kernels, host)


@st.composite
def calls(draw: Any) -> Call:
    name = draw(st.sampled_from(NAMES))
    pieces = st.sampled_from([b'"key": ', b"value,", b"\n", b"{", b"}", bytes(9), b"\xff\xfe"])
    some = draw(st.lists(pieces | st.binary(max_size=6), max_size=24))
    data = b"".join(some) + b"".join(some[: draw(st.integers(0, 24))]) * draw(st.integers(1, 4))
    if name == "context_mix":
        return name, {}, data
    return name, {"record": draw(st.integers(1, 9)), "row": draw(st.integers(0, 40))}, data


@examined
@given(call=calls())
def test_the_specification_decodes_what_it_writes(call: Call, mixing: Kernels) -> None:
    name, values, data = call
    assert by_specification(name, mixing.coded(name, data, **values), values) == data


@examined
@given(call=calls(), place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_a_damaged_stream_is_read_as_the_specification_says(
    call: Call, place: float, value: int, mixing: Kernels
) -> None:
    name, values, data = call
    stream = bytearray(mixing.coded(name, data, **values))
    if stream:
        stream[int(place * len(stream))] = value
    for damaged in (bytes(stream), bytes(stream[:-1]), bytes([*stream, value])):
        back = mixing.call(name, Op.INVERSE, values, damaged)
        assert back == by_specification(name, damaged, values)


@pytest.mark.parametrize(("name", "case"), CASES, ids=lambda one: getattr(one, "name", one))
def test_the_vectors_are_as_the_specification_says(name: str, case: Case, mixing: Kernels) -> None:
    if case.refuse not in (None, 3):
        return
    values = mixing.kernels.by_name(name).manifest.decode_parameters(case.params)[1]
    stream, data = case.inputs[0], None if case.refuse else case.outputs[0]
    if case.op is Op.FORWARD:
        stream, data = case.outputs[0], case.inputs[0]
    assert by_specification(name, stream, values) == data


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if sys.platform != "linux":
        pytest.skip("native code is compared with on Linux only")
    return tmp_path_factory.mktemp("native")


@pytest.mark.parametrize("name", NAMES)
def test_vector_instructions_say_what_plain_loops_say(
    name: str, library: Path, kernels: KernelSet
) -> None:
    kernel = kernels.by_name(name)
    source = source_root() / name / f"{name}.c"
    engine = Engine(find(), metered=False, canonical_nan=False)
    sides = (sandbox(engine, kernel), native(source, library / f"{name}.so"))
    rng = np.random.default_rng(3)
    data = np.repeat(rng.integers(0, 256, 900).astype(np.uint8), rng.integers(1, 30, 900))
    made: list[list[bytes]] = []
    for side in sides:
        params = kernel.manifest.encode_parameters({}, dtype=None)
        code, outputs = side.prepare(Op.FORWARD, params, [data.tobytes()], 1).answer()
        assert code == 0
        made.append(outputs)
    assert made[0] == made[1]


def lines(count: int) -> bytes:
    rng = np.random.default_rng(4)
    names = [f"name{rng.integers(1000)}" for _ in range(40)]
    rows = (f"{at},{names[rng.integers(40)]},{rng.integers(100)}\n" for at in range(count))
    return "".join(rows).encode()


def test_lines_of_fields_come_near_what_they_tell(mixing: Kernels) -> None:
    told = 4000 * (np.log2(40) + np.log2(100)) / 8
    assert len(mixing.coded("context_mix", lines(4000))) < 1.15 * told


def test_a_repetition_costs_next_to_nothing(mixing: Kernels) -> None:
    once = lines(400)
    assert len(mixing.coded("context_mix", once * 9)) < len(mixing.coded("context_mix", once)) + 90


def test_a_record_says_where_alike_values_stand(mixing: Kernels) -> None:
    rng = np.random.default_rng(5)
    columns = [rng.integers(0, 4, 3000), rng.integers(100, 104, 3000), np.arange(3000) % 256]
    data = np.stack(columns, axis=1).astype(np.uint8).tobytes()
    told = 3000 * 4 / 8
    assert len(mixing.coded("record_mix", data, record=3, row=0)) < 1.3 * told


def test_a_row_shows_what_stands_above(mixing: Kernels) -> None:
    row = np.random.default_rng(6).integers(0, 256, 500).astype(np.uint8)
    noise = np.random.default_rng(7).integers(0, 2, (40, 500)).astype(np.uint8)
    data = ((row & 0xFE) | noise).tobytes()
    with_row = len(mixing.coded("record_mix", data, record=1, row=500))
    assert with_row < 0.92 * len(mixing.coded("record_mix", data, record=1, row=0))


def test_noise_costs_one_byte(mixing: Kernels) -> None:
    noise = np.random.default_rng(8).integers(0, 256, 5000).astype(np.uint8).tobytes()
    for name, values in (("context_mix", {}), ("record_mix", {"record": 4, "row": 0})):
        assert len(mixing.coded(name, noise, **values)) == len(noise) + 1
