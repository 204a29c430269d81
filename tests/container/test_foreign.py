"""Kernels that travel in a container run only where somebody allows it, and then apart."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ring0.host import Host
from ring0.kernel import Kernel
from ring2_orchestrator import mdl
from ring2_orchestrator.commands import main
from ring2_orchestrator.container import (
    BytesSource,
    Container,
    DamagedContainerError,
    ForeignKernelError,
    Original,
    encode_header,
)
from ring2_orchestrator.container.header import check_of
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.packing import pack, unpack
from ring2_orchestrator.toolbox import Toolbox

GENE = "input x: u8\nemit x |> grey |> rans0\n"
DATA = bytes(at // 64 % 7 for at in range(3_000))


def stranger() -> Kernel:
    """A kernel that nobody ships: `gray` under another name."""
    wasm = KernelSet.shipped().by_name("gray").wasm
    assert wasm.count(b"gray") == 1
    return Kernel.from_wasm(wasm.replace(b"gray", b"grey"))


@pytest.fixture(scope="module")
def plain() -> Iterator[Toolbox]:
    kernels = KernelSet.shipped()
    with Host(base=kernels.cids) as host:
        yield Toolbox(kernels, host)


def packed(tools: Toolbox) -> bytes:
    wider = tools.finding(tools.kernels.knowing([stranger()]))
    out = io.BytesIO()
    result = pack(BytesSource(DATA), out, [Gene.parse(GENE, wider.palette)], wider)
    assert result.plan is not None
    assert mdl.measure(result.plan, DATA, wider.executor, wider.kernels).container == len(
        out.getvalue()
    ), "the kernel is counted"
    return out.getvalue()


def test_a_kernel_travels_and_runs_where_that_is_allowed(plain: Toolbox) -> None:
    blob = packed(plain)
    container = Container(BytesSource(blob), plain.kernels, allow_foreign=True)
    assert [one.kernel for one in container.header.carried] == [stranger()]
    assert not plain.host.is_base(stranger())
    out = io.BytesIO()
    unpack(container, out, plain)
    assert out.getvalue() == DATA


def test_nobody_runs_it_unasked(plain: Toolbox) -> None:
    with pytest.raises(ForeignKernelError, match=r"the kernel 'grey'.*--allow-foreign-kernels"):
        Container(BytesSource(packed(plain)), plain.kernels)


def test_who_has_the_kernel_needs_no_leave(plain: Toolbox) -> None:
    knowing = plain.kernels.knowing([stranger()])
    assert Container(BytesSource(packed(plain)), knowing).header.plans


def test_shipped_kernels_do_not_travel(plain: Toolbox) -> None:
    gene = Gene.parse("input x: u8\nemit x |> gray |> rans0\n", plain.palette)
    out = io.BytesIO()
    pack(BytesSource(DATA), out, [gene], plain.finding(plain.kernels.knowing([stranger()])))
    assert not Container(BytesSource(out.getvalue()), plain.kernels).header.carried


def carrying(kernel: Kernel, gene: str, tools: Toolbox) -> bytes:
    """A container of one block with that kernel inside, and the numbers that wake `slow_once`."""
    wider = tools.finding(tools.kernels.knowing([kernel]))
    data = b"\xef\xbe" * 40
    plan = Gene.parse(gene, wider.palette).plan()
    header = Original.of(BytesSource(data)).header(plan, carried=[kernel])
    block = b"\1" + data
    return encode_header(header, wider.kernels) + block + check_of(block)


@pytest.mark.slow
def test_one_that_never_ends_is_ended_by_what_it_executed(plain: Toolbox) -> None:
    wasm = (Path(__file__).parents[1] / "liars" / "slow_once" / "slow_once.wasm").read_bytes()
    blob = carrying(Kernel.from_wasm(wasm), "input x: u16\nemit x |> slow_once\n", plain)
    container = Container(BytesSource(blob), plain.kernels, allow_foreign=True)
    with pytest.raises(DamagedContainerError, match="out of fuel"):
        unpack(container, io.BytesIO(), plain)


def narrow() -> Kernel:
    """`grey` in a module whose memory stays as it is: no call of it has room anywhere."""
    wasm, memory = stranger().wasm, b"\x05\x06\x01\x01\x01"  # one, of one page and at most
    assert wasm.count(memory + b"\xff\xff\x03") == 1
    return Kernel.from_wasm(wasm.replace(memory + b"\xff\xff\x03", memory + b"\x81\x80\x00"))


def test_one_that_asks_for_more_memory_than_any_machine_gives_is_damage(plain: Toolbox) -> None:
    blob = carrying(narrow(), "input x: u8\nemit x |> grey\n", plain)
    container = Container(BytesSource(blob), plain.kernels, allow_foreign=True)
    with pytest.raises(DamagedContainerError, match="out of memory"):
        unpack(container, io.BytesIO(), plain)


@pytest.mark.slow
def test_the_commands_ask_for_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").write_bytes(DATA)
    Path("grey.wasm").write_bytes(stranger().wasm)
    Path("mine.gene").write_text(GENE)
    assert main(["pack", "data", "-g", "mine.gene", "-o", "a.rdx", "-q"]) == 3
    assert "no kernel named 'grey'" in capsys.readouterr().err
    assert main(["pack", "data", "-g", "mine.gene", "-k", "grey.wasm", "-o", "a.rdx", "-q"]) == 0
    assert main(["inspect", "a.rdx", "--json"]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert seen["carried_kernels"] == [str(stranger().cid)]
    assert "grey" in seen["gene"]
    assert main(["unpack", "a.rdx", "-o", "b", "-q"]) == 5
    assert "nobody allowed" in capsys.readouterr().err
    assert not Path("b").exists()
    assert main(["unpack", "a.rdx", "-o", "b", "-q", "--allow-foreign-kernels"]) == 0
    assert Path("b").read_bytes() == DATA
