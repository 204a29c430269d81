"""Containers of several parts: each under its own plan, read whole or a few bytes at a time."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from cid_store.errors import UsageError
from ring0.plan import Dtype, Plan
from ring2_orchestrator.container import (
    BLOCK_BYTES,
    BytesSource,
    Container,
    Contents,
    DamagedContainerError,
    Header,
    Original,
    Segment,
    encode_header,
    stored_size,
    write_planned,
    write_stored,
)
from ring2_orchestrator.container.header import MAGIC, check_of
from ring2_orchestrator.container.parts import encode_parts
from ring2_orchestrator.container.wire import varint
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.packing import unpack
from ring2_orchestrator.toolbox import Toolbox

PAGE = Path(__file__).parents[2] / "docs" / "formats" / "container.md"
BLOCK = 65_536


def noise(size: int) -> bytes:
    return blake3(b"noise").digest(size)


def ramp(count: int) -> bytes:
    return b"".join((7 * at % 30_000).to_bytes(2, "little") for at in range(count))


def plans(tools: Toolbox) -> list[Plan]:
    texts = (
        "input x: u16\nemit x |> delta |> zigzag |> byte_split |> rans0",
        "input x: u8\nemit x |> rans0",
        "input x: u32\nemit x |> byte_split |> rans0",
    )
    return [Gene.parse(text, tools.palette).plan() for text in texts]


def written(
    tools: Toolbox,
    data: bytes,
    segments: Sequence[Segment],
    block_bytes: int = BLOCK,
    contents: Contents = Contents.FILE,
) -> bytes:
    original = Original.of(BytesSource(data), contents)
    header = original.divided(segments, block_bytes=block_bytes)
    out = io.BytesIO()
    size = write_planned(out, original, header, tools.executor, tools.kernels)
    assert size == len(out.getvalue())
    return out.getvalue()


def opened(tools: Toolbox, blob: bytes) -> Container:
    return Container(BytesSource(blob), tools.kernels)


def unpacked(tools: Toolbox, blob: bytes) -> bytes:
    out = io.BytesIO()
    unpack(opened(tools, blob), out, tools)
    return out.getvalue()


def example(tools: Toolbox) -> tuple[bytes, list[Segment]]:
    """A header, an array of two blocks and a bit, noise, and the same kind of array again."""
    shorts, text, _ = plans(tools)
    parts = [b"HEAD " * 16, ramp(70_001), noise(999), ramp(5_000) + b"!"]
    how = [text, shorts, None, shorts]
    return b"".join(parts), [
        Segment(len(part), plan) for part, plan in zip(parts, how, strict=True)
    ]


def test_each_part_is_under_its_own_plan(tools: Toolbox) -> None:
    data, segments = example(tools)
    blob = written(tools, data, segments)
    container = opened(tools, blob)
    assert blob[4] == 3
    assert container.header.is_divided
    assert list(container.header.segments) == segments
    assert len(container.header.plans) == 2, "equal plans are written once"
    assert unpacked(tools, blob) == data
    assert len(blob) < len(data) // 4
    lengths = [extent.length for extent in container.extents()]
    assert lengths == [80, BLOCK, BLOCK, 140_002 - 2 * BLOCK, 999, 10_001]


def test_one_part_is_not_listed(tools: Toolbox) -> None:
    data = ramp(3_000)
    for plan in plans(tools):
        blob = written(tools, data, [Segment(len(data), plan)])
        assert not opened(tools, blob).header.is_divided
        assert unpacked(tools, blob) == data


def test_what_is_stored_and_adjoins_is_one_part(tools: Toolbox) -> None:
    data = noise(500)
    shorts = plans(tools)[0]
    parts = [Segment(100), Segment(0), Segment(200), Segment(200, shorts), Segment(0, shorts)]
    header = Original.of(BytesSource(data)).divided(parts)
    assert header.segments == (Segment(300), Segment(200, shorts))


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_any_division_gives_any_range_back(tools: Toolbox, data: st.DataObject) -> None:
    known = [None, *plans(tools)]
    sizes = data.draw(st.lists(st.integers(0, 5_000), max_size=6))
    sizes.append(data.draw(st.sampled_from([0, 3, 70_000, 140_001])))
    whole = (ramp(40_000) + noise(100_000) + ramp(40_000))[: sum(sizes)]
    segments = [Segment(size, data.draw(st.sampled_from(known))) for size in sizes]
    if not any(segment.plan for segment in segments if segment.length):
        return
    container = opened(tools, written(tools, whole, segments))
    assert b"".join(container.chunks(tools.executor)) == whole
    for _ in range(5):
        begin = data.draw(st.integers(0, len(whole)))
        end = data.draw(st.integers(begin, len(whole)))
        assert container.read(begin, end - begin, tools.executor) == whole[begin:end]


def test_a_range_decodes_only_the_blocks_it_touches(
    tools: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, segments = example(tools)
    blob = bytearray(written(tools, data, segments))
    extents = [*opened(tools, bytes(blob)).extents()]
    for extent in extents[:2] + extents[3:]:
        blob[extent.offset + extent.size - 1] ^= 1
    container = opened(tools, bytes(blob))
    begin = 80 + BLOCK
    assert container.read(begin, BLOCK, tools.executor) == data[begin : begin + BLOCK]
    for outside in (begin - 1, begin + 1):
        with pytest.raises(DamagedContainerError, match="its check fails"):
            container.read(outside, BLOCK, tools.executor)


def test_many_blocks_are_found_from_remembered_places(tools: Toolbox) -> None:
    data = ramp(BLOCK // 2) * 150
    blob = written(tools, data, [Segment(len(data), plans(tools)[0])])
    container = opened(tools, blob)
    every = [*container.extents()]
    assert len(every) == 150
    for first in (0, 1, 63, 64, 65, 127, 128, 149):
        assert [*container.extents(first)] == every[first:]
    assert [*container.extents(150)] == []


def test_ranges_of_what_is_stored_in_one_piece_are_checked_too(tools: Toolbox) -> None:
    out = io.BytesIO()
    data = noise(3_000)
    write_stored(out, Original.of(BytesSource(data)), tools.kernels)
    blob = bytearray(out.getvalue())
    assert opened(tools, bytes(blob)).read(2_000, 500, tools.executor) == data[2_000:2_500]
    blob[-1] ^= 1
    with pytest.raises(DamagedContainerError):
        opened(tools, bytes(blob)).read(0, 10, tools.executor)


@pytest.mark.parametrize(("begin", "end"), [(-1, 3), (2, 1), (0, 101), (101, 101)])
def test_a_range_that_is_not_there_is_refused(tools: Toolbox, begin: int, end: int) -> None:
    blob = written(tools, ramp(50), [Segment(100, plans(tools)[0])])
    with pytest.raises(UsageError, match="holds 100 bytes"):
        next(opened(tools, blob).range(begin, end, tools.executor))


def test_long_files_that_are_stored_have_blocks(tools: Toolbox) -> None:
    data = noise(BLOCK_BYTES + 5)
    original = Original.of(BytesSource(data))
    out = io.BytesIO()
    assert write_stored(out, original, tools.kernels) == stored_size(original, tools.kernels)
    blob = bytearray(out.getvalue())
    container = opened(tools, bytes(blob))
    assert container.header.block_count == 2
    assert len(blob) - len(data) < 100
    assert b"".join(container.chunks(tools.executor)) == data
    blob[200] ^= 1
    assert opened(tools, bytes(blob)).read(BLOCK_BYTES, 5, tools.executor) == data[-5:]


def test_a_tree_says_that_it_is_one(tools: Toolbox) -> None:
    data = ramp(400)
    segments = [Segment(len(data), plans(tools)[0])]
    blob = written(tools, data, segments, contents=Contents.TREE)
    assert opened(tools, blob).header.contents is Contents.TREE
    assert unpacked(tools, blob) == data


def forged(length: int, section: bytes) -> bytes:
    body = MAGIC + b"\x03" + varint(length) + bytes(32) + varint(len(section)) + section
    return body + check_of(body)


def section(tools: Toolbox, **changed: bytes) -> bytes:
    """A section of two stored segments and no plan, with fields changed."""
    fields = {
        "form": b"\x06",
        "block": b"",
        "carried": b"\0",
        "table": b"\0",
        "plans": b"\0",
        "segments": b"\x02\x03\0\x02\0",
    }
    return b"".join({**fields, **changed}.values())


HOSTILE: dict[str, dict[str, bytes]] = {
    "a form that does not exist": {"form": b"\x16"},
    "blocks of one byte": {"form": b"\x0e", "block": b"\x01"},
    "blocks of no byte": {"form": b"\x0e", "block": b"\0"},
    "a block longer than any part": {"form": b"\x0e", "block": varint(BLOCK)},
    "a thousand kernels brought": {"carried": varint(1000)},
    "a kernel of 2^62 bytes": {"carried": b"\x01" + varint(1 << 62) + b"\x01x"},
    "a kernel that is none": {"carried": b"\x01\x03\x0b" + b"x\x9cKLJ\x06\x00\x02M\x01'"},
    "a kernel cut short": {"carried": b"\x01\x03\x7f"},
    "kernels without end": {"table": varint(1 << 60)},
    "plans without end": {"plans": varint(1 << 60)},
    "a plan that is none": {"plans": b"\x01\x09"},
    "a plan that nobody uses": {"plans": b"\x01\0\0"},
    "parts without end": {"segments": varint(1 << 60)},
    "an empty part": {"segments": b"\x03\x03\0\0\0\x02\0"},
    "parts that are too short": {"segments": b"\x02\x03\0\x01\0"},
    "parts that are too long": {"segments": b"\x02\x03\0\x03\0"},
    "a part of 2^63 bytes": {"segments": b"\x02\x03\0" + varint(1 << 63) + b"\0"},
    "parts that sum to 2^64 more": {"segments": b"\x02" + varint((1 << 64) - 1) + b"\0\x06\0"},
    "a plan that is not there": {"segments": b"\x02\x03\x01\x02\0"},
    "one part that need not be listed": {"segments": b"\x01\x05\0"},
    "something after the end": {"segments": b"\x02\x03\0\x02\0\0"},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_division_is_refused(tools: Toolbox, what: str) -> None:
    with pytest.raises(DamagedContainerError) as caught:
        opened(tools, forged(5, section(tools, **HOSTILE[what])))
    assert "\n" not in str(caught.value)


def test_the_plain_division_is_only_cut_short(tools: Toolbox) -> None:
    with pytest.raises(DamagedContainerError, match="block 0 of"):
        opened(tools, forged(5, section(tools)))


def test_every_flipped_bit_of_a_divided_file_is_found(tools: Toolbox) -> None:
    shorts, text, _ = plans(tools)
    data = b"head" * 5 + ramp(60)
    blob = written(tools, data, [Segment(20, text), Segment(120, shorts)])
    for bit in range(8 * len(blob)):
        damaged = bytearray(blob)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DamagedContainerError):
            unpacked(tools, bytes(damaged))


def test_a_header_is_read_as_it_was_written(tools: Toolbox) -> None:
    data, segments = example(tools)
    header = Header(len(data), blake3(data).digest(), tuple(segments), BLOCK)
    blob = written(tools, data, segments)
    assert opened(tools, blob).header == header
    assert blob.startswith(encode_header(header, tools.kernels))


def test_the_example_of_a_section_on_the_page_is_real(tools: Toolbox) -> None:
    segments = (Segment(4, Plan(Dtype.U8, ())), Segment(5))
    section = bytes.fromhex(
        re.findall(r"^    (06 00 00 .*)$", PAGE.read_text("utf-8"), re.MULTILINE)[0]
    )
    assert encode_parts(Header(9, bytes(32), segments), tools.kernels) == section
