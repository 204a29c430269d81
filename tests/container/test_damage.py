"""Whatever happens to a container, it is refused in one sentence or gives the right bytes."""

import io
from collections.abc import Callable

import pytest
from blake3 import blake3

from cid_store.cid import Cid
from ring0.abi import unsigned_leb128 as varint
from ring0.plan import Dtype, Plan, Step
from ring2_orchestrator.container import (
    BytesSource,
    Container,
    DamagedContainerError,
    Method,
    MissingKernelError,
    encode_method,
)
from ring2_orchestrator.container.header import MAGIC, check_of
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.packing import pack, unpack
from ring2_orchestrator.toolbox import Toolbox

PLANNED = "input x: u32\nemit x |> delta |> zigzag |> byte_split |> rans0"


def planned(tools: Toolbox) -> tuple[bytes, bytes]:
    """A small container with a plan, four streams and a tail; and its original."""
    data = b"".join((1000 + at * at).to_bytes(4, "little") for at in range(150)) + b"end"
    return data, packed(tools, data)


def packed(tools: Toolbox, data: bytes) -> bytes:
    out = io.BytesIO()
    pack(BytesSource(data), out, [Gene.parse(PLANNED, tools.palette)], tools)
    return out.getvalue()


def unpacked(tools: Toolbox, container: bytes) -> bytes:
    out = io.BytesIO()
    unpack(Container(BytesSource(container), tools.kernels), out, tools)
    return out.getvalue()


def is_one_sentence(error: BaseException) -> bool:
    text = str(error)
    return 10 < len(text) < 200 and "\n" not in text and "Traceback" not in text


def refused(tools: Toolbox, container: bytes) -> str:
    with pytest.raises(DamagedContainerError) as caught:
        unpacked(tools, container)
    assert is_one_sentence(caught.value)
    assert caught.value.exit_code == 4
    return str(caught.value)


@pytest.mark.slow
def test_every_flipped_bit_is_found(tools: Toolbox) -> None:
    _, container = planned(tools)
    assert Container(BytesSource(container), tools.kernels).header.plans
    for bit in range(8 * len(container)):
        damaged = bytearray(container)
        damaged[bit // 8] ^= 1 << bit % 8
        refused(tools, bytes(damaged))


def test_every_flipped_bit_of_a_stored_file_is_found(tools: Toolbox) -> None:
    container = packed(tools, b"abc")
    for bit in range(8 * len(container)):
        damaged = bytearray(container)
        damaged[bit // 8] ^= 1 << bit % 8
        refused(tools, bytes(damaged))


@pytest.mark.parametrize("data", [b"", b"abc", None])
def test_every_truncation_and_extension_is_found(tools: Toolbox, data: bytes | None) -> None:
    container = planned(tools)[1] if data is None else packed(tools, data)
    for size in range(len(container)):
        refused(tools, container[:size])
    # The last stream ends where the container does, so what is too much is part of it.
    says = "block 0 of" if data is None else "1 bytes too many"
    assert says in refused(tools, container + b"\0")
    refused(tools, container + container)


@pytest.mark.parametrize(
    ("garbage", "says"),
    [
        (b"", "is not a Redoxa container"),
        (b"PK\x03\x04" + bytes(60), "is not a Redoxa container"),
        (MAGIC, "ends too early"),
        (MAGIC + b"\x05" + bytes(60), "a container of version 5"),
        (MAGIC + b"\x01" + b"\xff" * 60, "not in its one form"),
        (MAGIC + b"\x01\x80\x00" + bytes(60), "not in its one form"),
    ],
)
def test_garbage_is_refused(tools: Toolbox, garbage: bytes, says: str) -> None:
    assert says in refused(tools, garbage)


def forged(length: int, method: bytes, blocks: bytes = b"", original: bytes = b"") -> bytes:
    """A container whose checks hold, whatever it claims."""
    body = MAGIC + b"\x03" + varint(length) + blake3(original).digest()
    body += varint(len(method)) + method
    return body + check_of(body) + blocks


def block(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + body + check_of(bytes([kind]) + body)


def method_of(tools: Toolbox, gene: str, block_bytes: int = 0) -> bytes:
    plan = Gene.parse(gene, tools.palette).plan()
    return encode_method(Method(plan, block_bytes), tools.kernels)


RANS = "input x: u8\nemit x |> rans0"
SPLIT = "input x: u16\nemit x |> byte_split"


def operations(tools: Toolbox, tail: bytes) -> bytes:
    """A method section on u8 that names only rans0, with these operations."""
    whole = method_of(tools, RANS)
    return whole[:-2] + tail


HOSTILE: dict[str, Callable[[Toolbox], bytes]] = {
    "a claimed length of 2^62": lambda tools: forged(1 << 62, method_of(tools, RANS)),
    "a claimed length of 2^63": lambda _: forged(1 << 63, b""),
    "a stored length of 2^61": lambda _: forged(1 << 61, b""),
    "2^46 blocks": lambda tools: forged(1 << 62, method_of(tools, RANS, 65_536)),
    "a block of 2^40 bytes": lambda _: forged(1 << 50, b"\x08" + varint(1 << 40) + b"\0\0"),
    "a block of one byte": lambda _: forged(1 << 20, b"\x08\x01\0\0"),
    "a block size of 0": lambda _: forged(5, b"\x08\0\0\0"),
    "a form that does not exist": lambda _: forged(5, b"\x10\0\0"),
    "a block as long as the file": lambda tools: forged(65_536, method_of(tools, RANS, 65_536)),
    "no bytes under a plan": lambda tools: forged(0, method_of(tools, RANS)),
    "a plan of 2^40 bytes": lambda _: MAGIC + b"\x01\x05" + bytes(32) + varint(1 << 40),
    "an element type cast to an unknown one": lambda _: forged(5, b"\0\0\x08\0"),
    "240 kernels too many": lambda _: forged(5, b"\0" + varint(999)),
    "a plan that ends early": lambda tools: forged(5, operations(tools, b"\x10")),
    "a plan that goes on": lambda tools: forged(5, operations(tools, b"\x10\0\0")),
    "a kernel that is not named": lambda tools: forged(5, operations(tools, b"\x11\0")),
    "a kernel that is named and not used": lambda tools: forged(5, operations(tools, b"\0")),
    "a value held for ever": lambda tools: forged(5, operations(tools, b"\x01")),
    "a bitcast to a wider type": lambda tools: forged(5, operations(tools, b"\x03\x10\0")),
    "a bitcast to the same type": lambda tools: forged(5, operations(tools, b"\x02\x10\0")),
    "a bitcast to nowhere": lambda tools: forged(5, operations(tools, b"\x0f\x10\0")),
    "a plan without end": lambda tools: forged(5, operations(tools, b"\x10" * 5000)),
    "a parameter outside its range": lambda tools: forged(
        5, method_of(tools, "input x: u8\nemit x |> delta(lag=5)")[:-3] + b"\x09\x01\0"
    ),
    "a block of no known kind": lambda tools: forged(5, method_of(tools, RANS), block(7, bytes(9))),
    "a stream of 2^63 bytes": lambda tools: forged(
        6, method_of(tools, SPLIT), block(1, varint(1 << 63))
    ),
    "a stream longer than its block": lambda tools: forged(
        5, method_of(tools, RANS), block(1, bytes(200_000))
    ),
    "a first stream longer than its block": lambda tools: forged(
        6, method_of(tools, SPLIT), block(1, varint(200_000) + bytes(200_000))
    ),
    "a stream that no kernel made": lambda tools: forged(
        5, method_of(tools, RANS), block(1, bytes(range(20)))
    ),
    "other bytes than it names": lambda tools: forged(
        5, method_of(tools, RANS), block(0, b"other"), original=b"these"
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_container_is_refused(tools: Toolbox, what: str) -> None:
    refused(tools, HOSTILE[what](tools))


def test_a_stream_that_decodes_to_more_than_its_block_is_refused(tools: Toolbox) -> None:
    zeros = tools.executor.forward(Gene.parse(RANS, tools.palette).plan(), bytes(1 << 20)).outputs
    bomb = forged(5, method_of(tools, RANS), block(1, zeros[0]))
    assert len(bomb) < 500
    assert "block 0" in refused(tools, bomb)


def test_a_plan_of_endless_work_is_refused_in_time(tools: Toolbox) -> None:
    plan = Gene.parse("input x: u8\nemit x" + " |> delta(order=8)" * 1000, tools.palette).plan()
    data = bytes(60_000)
    method = encode_method(Method(plan, 0), tools.kernels)
    claim = forged(len(data), method, block(1, data))
    assert "works on more than" in refused(tools, claim)


def test_a_kernel_that_is_not_here_is_named(tools: Toolbox) -> None:
    method = bytearray(method_of(tools, RANS))
    method[2] ^= 1
    with pytest.raises(MissingKernelError, match="that this installation lacks") as caught:
        unpacked(tools, forged(5, bytes(method)))
    assert caught.value.exit_code == 5
    assert is_one_sentence(caught.value)


def test_a_plan_of_an_unknown_kernel_cannot_be_written(tools: Toolbox) -> None:
    plan = Plan(Dtype.U8, (Step(Cid.of(b"elsewhere"), (), (0,), (Dtype.U8,)),))
    with pytest.raises(AssertionError):
        encode_method(Method(plan, 0), tools.kernels)
