"""A container of one zstd frame is at most 60 bytes longer than the frame."""

import io
from pathlib import Path

import pytest
import zstandard
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from ring2_orchestrator.container import BytesSource, Container
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.packing import pack, unpack
from ring2_orchestrator.toolbox import Toolbox

SAMPLES = Path(__file__).parent / "samples"
NAMES = sorted(path.name for path in SAMPLES.iterdir())
PLAN = "input x: u8\nemit x |> zstd"
# Header 42 bytes and the length's varint, plan 8, block 5: at most 59 for files below 2^28 bytes.
MOST, PROMISED = 60, 64


def packed(tools: Toolbox, data: bytes) -> bytes:
    out = io.BytesIO()
    pack(BytesSource(data), out, [Gene.parse(PLAN, tools.palette)], tools)
    back = io.BytesIO()
    unpack(Container(BytesSource(out.getvalue()), tools.kernels), back, tools)
    assert back.getvalue() == data
    return out.getvalue()


def frame(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=19).compress(data)


def some_bytes(size: int, kind: int) -> bytes:
    """Nothing to gain, everything to gain, or text with numbers."""
    if kind == 0:
        return blake3(size.to_bytes(4, "little")).digest(size)
    if kind == 1:
        return bytes(size)
    lines = b"".join(b"%d: line of %d\n" % (at, at * at % 97) for at in range(size // 10 + 1))
    return lines[:size]


@given(size=st.integers(0, 200_000), kind=st.integers(0, 2))
@settings(max_examples=12, deadline=None)
def test_it_is_never_much_larger_than_a_frame(tools: Toolbox, size: int, kind: int) -> None:
    data = some_bytes(size, kind)
    assert len(packed(tools, data)) <= len(frame(data)) + MOST < len(frame(data)) + PROMISED


@given(data=st.binary(max_size=400))
@settings(max_examples=40, deadline=None)
def test_nor_is_that_of_a_few_bytes(tools: Toolbox, data: bytes) -> None:
    assert len(packed(tools, data)) <= len(frame(data)) + MOST


@pytest.mark.parametrize("size", [127, 128, 16_383, 16_384, 199_999, 200_000])
def test_nor_where_a_length_takes_a_byte_more(tools: Toolbox, size: int) -> None:
    for kind in range(3):
        data = some_bytes(size, kind)
        assert len(packed(tools, data)) <= len(frame(data)) + MOST


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_nor_that_of_a_sample(tools: Toolbox, name: str) -> None:
    data = (SAMPLES / name).read_bytes()
    assert len(packed(tools, data)) <= len(frame(data)) + MOST


def test_four_mebibytes_take_one_byte_more(tools: Toolbox) -> None:
    data = bytes(4 << 20)
    assert len(packed(tools, data)) == len(frame(data)) + 59
