"""Containers give back exactly their bytes, cost at most a fixed header, and fit any block size."""

import io
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from ring0.host import Host
from ring0.plan import Plan
from ring2_orchestrator.container import BytesSource, Container, Original, write_planned
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.packing import STORE, Packed, pack, unpack
from ring2_orchestrator.planner import library
from ring2_orchestrator.toolbox import Toolbox

SAMPLES = Path(__file__).parent / "samples"
NAMES = sorted(path.name for path in SAMPLES.iterdir() if path.suffix != ".md")

AUDIO = "input x: u16\nemit x |> delta(order=2) |> zigzag |> byte_split |> rans0"


def packed(tools: Toolbox, data: bytes, genes: list[Gene] | None = None) -> tuple[Packed, bytes]:
    out = io.BytesIO()
    chosen = library(tools.palette) if genes is None else genes
    return pack(BytesSource(data), out, chosen, tools), out.getvalue()


def unpacked(tools: Toolbox, container: bytes) -> bytes:
    out = io.BytesIO()
    unpack(Container(BytesSource(container), tools.kernels), out, tools)
    return out.getvalue()


def noise(size: int) -> bytes:
    """Bytes that no gene can shorten: the keystream of a hash."""
    return blake3(b"noise").digest(size)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_sample_comes_back_and_shrinks(tools: Toolbox, name: str) -> None:
    data = (SAMPLES / name).read_bytes()
    result, container = packed(tools, data)
    assert unpacked(tools, container) == data
    assert result.container_bytes == len(container) < len(data)
    assert result.plan is not None


def test_kernels_that_came_later_change_no_container(tools: Toolbox) -> None:
    """A container names the kernels it uses, so others may be there or not."""
    data = (SAMPLES / "instrument.i16").read_bytes()[:3000]
    genes = [Gene.parse(AUDIO, tools.palette)]
    few = KernelSet(
        tools.kernels.folder(name) for name in ("byte_split", "delta", "rans0", "zigzag")
    )
    with Host(base=few.cids) as host:
        _, container = packed(Toolbox(few, host), data, genes)
    assert len(tools.kernels) > len(few)
    assert packed(tools, data, genes)[1] == container
    assert unpacked(tools, container) == data


def test_the_same_bytes_always_make_the_same_container(tools: Toolbox) -> None:
    data = (SAMPLES / "instrument.i16").read_bytes()[:3000]
    assert packed(tools, data)[1] == packed(tools, data)[1]


@pytest.mark.parametrize("size", [*range(20), 63, 64, 65, 255, 1000, 70_000])
def test_what_no_gene_shortens_costs_a_fixed_header(tools: Toolbox, size: int) -> None:
    genes = [Gene.parse(AUDIO, tools.palette)]
    result, container = packed(tools, noise(size), genes)
    assert result.gene == STORE
    assert len(container) <= size + 48
    assert unpacked(tools, container) == noise(size)


def test_an_empty_file_is_a_container_of_its_header(tools: Toolbox) -> None:
    result, container = packed(tools, b"")
    assert result.plan is None
    assert len(container) == 43
    assert unpacked(tools, container) == b""


@given(data=st.binary(max_size=200), tail=st.binary(max_size=7))
@settings(max_examples=60, deadline=None)
def test_a_tail_that_fills_no_element_is_kept(tools: Toolbox, data: bytes, tail: bytes) -> None:
    genes = [
        Gene.parse(f"input x: u{width}\nemit x |> byte_split |> rans0", tools.palette)
        for width in (16, 32, 64)
    ]
    whole = bytes(400) + data + tail
    result, container = packed(tools, whole, genes)
    assert result.plan is not None
    assert unpacked(tools, container) == whole


def written(tools: Toolbox, data: bytes, plan: Plan, block_bytes: int) -> bytes:
    original = Original.of(BytesSource(data))
    out = io.BytesIO()
    header = original.header(plan, block_bytes=block_bytes)
    size = write_planned(out, original, header, tools.executor, tools.kernels)
    assert size == len(out.getvalue())
    return out.getvalue()


def test_blocks_are_coded_each_on_its_own(tools: Toolbox) -> None:
    plan = Gene.parse(AUDIO, tools.palette).plan()
    ramp = b"".join((at % 9000).to_bytes(2, "little") for at in range(70_001))
    data = ramp[:65_536] + noise(65_536) + ramp[:9_001]
    blob = written(tools, data, plan, 65_536)
    container = Container(BytesSource(blob), tools.kernels)
    extents = list(container.extents())
    assert [extent.length for extent in extents] == [65_536, 65_536, 9_001]
    assert [extent.streams is None for extent in extents] == [False, True, False]
    assert unpacked(tools, blob) == data
    # Any block can be read without the others.
    assert container.block(extents[2], tools.executor) == ramp[:9_001]


def test_a_plan_that_refuses_the_data_stores_it(tools: Toolbox) -> None:
    gene = Gene.parse("input x: f32\nq, r = mantissa_quant(x, bits=40)\nemit q, r", tools.palette)
    data = b"\0\0\x80\x3f" * 50
    result, container = packed(tools, data, [gene])
    assert result.plan is None
    assert unpacked(tools, container) == data


def test_expected_sizes_of_small_files_are_exact(tools: Toolbox) -> None:
    data = (SAMPLES / "sea_surface.f32").read_bytes()
    result, _ = packed(tools, data)
    best = result.trials[0]
    assert best.expected_bytes == best.container_bytes == result.container_bytes
