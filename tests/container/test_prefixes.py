"""Four bytes name a kernel: shipped ones go first, and what is in doubt is refused."""

import io
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from blake3 import blake3

from cid_store.errors import InputError
from ring0.host import Host
from ring0.kernel import Kernel
from ring2_orchestrator.container import (
    AmbiguousKernelError,
    BytesSource,
    Container,
    DamagedContainerError,
    Original,
    Segment,
    write_planned,
)
from ring2_orchestrator.container.operations import encode_table
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.kernels import Folder, KernelSet
from ring2_orchestrator.toolbox import Toolbox

VECTORS = Path(__file__).parent / "vectors"
DATA = b"abcdefgh" * 9


def test_no_two_shipped_kernels_share_a_prefix() -> None:
    prefixes = {kernel.cid.digest[:4] for kernel in KernelSet.shipped()}
    assert len(prefixes) == len(KernelSet.shipped())


@pytest.fixture(scope="module")
def twins() -> tuple[Kernel, Kernel]:
    """`gray` and `zigzag`, their digests alike in front: a section nobody reads holds a number."""
    shipped = KernelSet.shipped()
    gray, zigzag = (shipped.by_name(name).wasm for name in ("gray", "zigzag"))
    seen: tuple[dict[bytes, bytes], dict[bytes, bytes]] = ({}, {})
    for number in count():
        numbered = [wasm + b"\0\6\1n" + number.to_bytes(4, "little") for wasm in (gray, zigzag)]
        for wasm, mine, theirs in zip(numbered, seen, reversed(seen), strict=True):
            prefix = blake3(wasm).digest(4)
            mine[prefix] = wasm
            if prefix in theirs:
                return Kernel.from_wasm(seen[0][prefix]), Kernel.from_wasm(seen[1][prefix])
    raise AssertionError


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host() as opened:
        yield opened


def shipping(kernel: Kernel, folder: Path) -> KernelSet:
    """A set in which this kernel ships."""
    (folder / "gray").mkdir()
    (folder / "gray" / "gray.wasm").write_bytes(kernel.wasm)
    return KernelSet([Folder("gray", folder / "gray")])


def packed(tools: Toolbox) -> bytes:
    """A container of DATA whose plan is `gray`, which ships."""
    plan = Gene.parse("input x: u8\nemit x |> gray", tools.palette).plan()
    original, out = Original.of(BytesSource(DATA)), io.BytesIO()
    header = original.divided([Segment(len(DATA), plan)])
    write_planned(out, original, header, tools.executor, tools.kernels)
    return out.getvalue()


def test_a_shipped_kernel_goes_before_others(
    twins: tuple[Kernel, Kernel], host: Host, tmp_path: Path
) -> None:
    one, other = twins
    kernels = shipping(one, tmp_path)
    blob = packed(Toolbox(kernels, host))
    container = Container(BytesSource(blob), kernels.knowing([other]))
    assert container.header.kernels == (one.cid,)


def test_two_that_fit_are_a_doubt(twins: tuple[Kernel, Kernel], host: Host, tmp_path: Path) -> None:
    one, other = twins
    blob = packed(Toolbox(shipping(one, tmp_path), host))
    with pytest.raises(AmbiguousKernelError, match="2 that are here begin so") as caught:
        Container(BytesSource(blob), KernelSet(()).knowing([one, other]))
    assert caught.value.exit_code == 5


def test_the_hash_is_the_judge_where_another_kernel_fits(
    twins: tuple[Kernel, Kernel], host: Host, tmp_path: Path
) -> None:
    one, other = twins
    blob = packed(Toolbox(shipping(one, tmp_path), host))
    wrong = Toolbox(KernelSet(()).knowing([other]), host)
    container = Container(BytesSource(blob), wrong.kernels)
    assert container.header.kernels == (other.cid,)
    with pytest.raises(DamagedContainerError, match="other bytes than were packed"):
        list(container.chunks(wrong.executor))


def test_no_container_names_a_kernel_that_others_hide(
    twins: tuple[Kernel, Kernel], tmp_path: Path
) -> None:
    one, other = twins
    kernels = shipping(one, tmp_path).knowing([other])
    assert encode_table([one.cid], kernels, 3) == b"\1" + one.cid.digest[:4]
    with pytest.raises(InputError, match=r"no container can name the kernel .*build it again"):
        encode_table([other.cid], kernels, 3)
