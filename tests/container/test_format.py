"""The format page is right: its example is real, and a reader written from it alone agrees."""

import io
import re
from pathlib import Path

import pytest
from blake3 import blake3

from ring2_orchestrator.container import BytesSource, Container
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.packing import pack
from ring2_orchestrator.toolbox import Toolbox

PAGE = Path(__file__).parents[2] / "docs" / "formats" / "container.md"


def packed(tools: Toolbox, data: bytes, gene: str | None = None) -> bytes:
    out = io.BytesIO()
    genes = [] if gene is None else [Gene.parse(gene, tools.palette)]
    pack(BytesSource(data), out, genes, tools)
    return out.getvalue()


def test_the_example_on_the_page_is_real(tools: Toolbox) -> None:
    lines = re.findall(r"^    ((?:[0-9a-f]{2} ?)+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert bytes.fromhex("".join(lines)) == packed(tools, b"abc")


class Stranger:
    """Reads a container from the page, with nothing of this project."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]

    def varint(self) -> int:
        value = shift = 0
        while (byte := self.take(1)[0]) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def check(self, begin: int) -> None:
        section = self.data[begin : self.at]
        assert self.take(4) == blake3(section).digest()[:4]


@pytest.mark.parametrize("width", [16, 32])
def test_a_stranger_finds_the_same_fields(tools: Toolbox, width: int) -> None:
    gene = f"input x: u{width}\nemit x |> delta(order=2) |> zigzag |> byte_split |> rans0"
    data = b"".join((at * at // 8).to_bytes(width // 8, "little") for at in range(700)) + b"x"
    blob = packed(tools, data, gene)
    container = Container(BytesSource(blob), tools.kernels)
    (plan,) = container.header.plans

    reader = Stranger(blob)
    assert reader.take(5) == bytes.fromhex("8952445803")
    assert reader.varint() == len(data)
    assert reader.take(32) == blake3(data).digest()
    method_end = reader.varint() + reader.at
    assert reader.take(1)[0] == {16: 1, 32: 2}[width]
    assert reader.varint() == 4
    assert [reader.take(4) for _ in range(4)] == [cid.digest[:4] for cid in plan.kernels]
    planes = width // 8
    named = [tools.manifests[cid].name for cid in plan.kernels]
    code = {name: bytes([16 + named.index(name)]) for name in named}
    operations = code["delta"] + b"\x02\x01" + code["zigzag"] + code["byte_split"]
    assert reader.take(method_end - reader.at) == (
        operations + code["rans0"] * planes + bytes(planes)
    )
    reader.check(0)
    begin = reader.at
    assert reader.take(1) == b"\x01"
    sizes = [reader.varint() for _ in range(planes - 1)]
    sizes.append(len(blob) - reader.at - sum(sizes) - len(data) % planes - 4)
    whole = data[: len(data) // (width // 8) * (width // 8)]
    streams = tools.executor.forward(plan, whole).outputs
    assert [reader.take(size) for size in sizes] == streams
    assert reader.take(len(data) % (width // 8)) == data[len(whole) :]
    reader.check(begin)
    assert reader.at == len(blob)
