"""Room: blocks that count as more bytes than they stand for, in version 4 alone."""

import io
import subprocess
import zlib
from pathlib import Path

import pytest

from ring0.plan import Dtype, Plan, PlanBuilder
from ring0.signature import bind
from ring2_orchestrator.container import (
    BytesSource,
    Container,
    DamagedContainerError,
    Original,
    Segment,
    encode_header,
    write_planned,
)
from ring2_orchestrator.container.header import check_of
from ring2_orchestrator.container.segments import ROOMY, VERSION, Cut
from ring2_orchestrator.toolbox import Toolbox
from tests.container.conftest import node

ROOT = Path(__file__).parents[2]
# What becomes far more than four bytes for each.
CONTENTS = bytes(400_000)
MAKER = zlib.compressobj(6, zlib.DEFLATED, -15)
STREAM = MAKER.compress(CONTENTS) + MAKER.flush()


def plan_of(tools: Toolbox) -> Plan:
    """Inflate, and compress the contents."""
    builder = PlanBuilder(Dtype.U8)
    at = 0
    for name in ("deflate", "zstd"):
        kernel = tools.kernels.by_name(name)
        outputs = bind(kernel.manifest, [Dtype.U8]).outputs
        at = builder.add(kernel.cid, (), [at], outputs)[0]
    return builder.build()


def packed(tools: Toolbox, segments: list[Segment], data: bytes, room: int) -> bytes:
    original, out = Original.of(BytesSource(data)), io.BytesIO()
    header = original.divided(segments, room=room)
    write_planned(out, original, header, tools.packer, tools.kernels)
    return out.getvalue()


def both(tools: Toolbox) -> dict[str, bytes]:
    """A container of one plan, and one of parts."""
    one = Segment(len(STREAM), plan_of(tools))
    return {
        "one plan": packed(tools, [one], STREAM, len(CONTENTS)),
        "parts": packed(tools, [Segment(3), one], b"abc" + STREAM, len(CONTENTS)),
    }


def decoded(tools: Toolbox, data: bytes) -> bytes:
    return b"".join(Container(BytesSource(data), tools.kernels).chunks(tools.executor))


def test_a_block_counts_as_its_room_and_no_more_than_deflate_can_make() -> None:
    assert Cut(0, 0, 10, None).counted == 10
    assert Cut(0, 0, 10, None, room=5).counted == 10
    assert Cut(0, 0, 10, None, room=500).counted == 500
    assert Cut(0, 0, 10, None, room=1 << 26).counted == 10_320


@pytest.mark.parametrize("kind", ["one plan", "parts"])
def test_what_has_room_is_of_version_4_and_comes_back(kind: str, tools: Toolbox) -> None:
    data = both(tools)[kind]
    original = STREAM if kind == "one plan" else b"abc" + STREAM
    assert data[4] == ROOMY
    assert len(data) < len(STREAM)
    assert decoded(tools, data) == original


def test_without_room_the_contents_are_too_many(tools: Toolbox) -> None:
    data = packed(tools, [Segment(len(STREAM), plan_of(tools))], STREAM, 0)
    assert data[4] == VERSION
    assert len(data) > len(STREAM), "the block is stored"
    assert decoded(tools, data) == STREAM


def forged(data: bytes, tools: Toolbox, *, version: int, form: int, room: bytes) -> bytes:
    """The same container with another version, form and room, and its check right."""
    header = Container(BytesSource(data), tools.kernels).header
    front = encode_header(header, tools.kernels)
    section = front.index(bytes([0x10]), 4 + 1 + 2 + 32)
    told = len(b"\x80\xb5\x18")
    assert front[section + 1 : section + 1 + told] == b"\x80\xb5\x18", "400,000 as a varint"
    changed = front[4 + 1 : section] + bytes([form]) + room + front[section + 1 + told : -4]
    grown = len(room) - told
    at = section - 5 - 1
    changed = changed[:at] + bytes([changed[at] + grown]) + changed[at + 1 :]
    head = front[:4] + bytes([version]) + changed
    return head + check_of(head) + data[len(front) :]


@pytest.mark.parametrize(
    ("forgery", "says"),
    [
        ((4, 0x10, b"\x80\xb5\x18"), None),
        ((3, 0x10, b"\x80\xb5\x18"), "of no known form"),
        ((4, 0x00, b""), "of no known form"),
        ((4, 0x30, b"\x80\xb5\x18"), "of no known form"),
        ((4, 0x10, b"\x00"), "not in its one form"),
        ((4, 0x10, b"\x81\x80\x80\x20"), "not in its one form"),
        ((4, 0x10, b"\x01"), "does not decode"),
    ],
)
def test_room_is_said_in_one_form(
    forgery: tuple[int, int, bytes], says: str | None, tools: Toolbox, tmp_path: Path
) -> None:
    version, form, room = forgery
    data = forged(both(tools)["one plan"], tools, version=version, form=form, room=room)
    (tmp_path / "a.rdx").write_bytes(data)
    command = [node(), str(ROOT / "decoder_js" / "cli.mjs"), str(tmp_path / "a.rdx")]
    other = subprocess.run(command, capture_output=True, check=False, cwd=ROOT)
    if says is None:
        assert decoded(tools, data) == STREAM == other.stdout
        return
    with pytest.raises(DamagedContainerError, match=says):
        decoded(tools, data)
    assert other.returncode == 4


def test_room_for_nothing_is_damage(tools: Toolbox) -> None:
    head = b"\x89RDX\x04\x00" + Original.of(BytesSource(b"")).digest + b"\x00"
    with pytest.raises(DamagedContainerError, match="room for nothing"):
        decoded(tools, head + check_of(head))
