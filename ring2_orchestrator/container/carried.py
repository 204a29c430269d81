"""Kernels that travel inside a container, because nobody else may have them."""

import zlib
from dataclasses import dataclass

from ring0.errors import KernelError
from ring0.kernel import Kernel
from ring2_orchestrator.container.errors import DamagedContainerError
from ring2_orchestrator.container.wire import Fields, varint
from ring2_orchestrator.kernels import KernelSet

MAX_CARRIED = 16
MAX_MODULE = 1 << 20

_WHAT = "a kernel that the container brings"


@dataclass(frozen=True, slots=True)
class Carried:
    """A kernel with the packed form in which it travels."""

    kernel: Kernel
    packed: bytes

    @classmethod
    def of(cls, kernel: Kernel) -> "Carried":
        """The kernel, packed."""
        return cls(kernel, zlib.compress(kernel.wasm, 9))


def encode_carried(carried: tuple[Carried, ...]) -> bytes:
    """The kernels' list; docs/formats/container.md describes it."""
    assert len(carried) <= MAX_CARRIED, "who carries kernels counts them"
    out = bytearray(varint(len(carried)))
    for one in carried:
        out += varint(len(one.kernel.wasm)) + varint(len(one.packed)) + one.packed
    return bytes(out)


def decode_carried(fields: Fields) -> tuple[Carried, ...]:
    """The kernels of a list: inspected, none of them run. Raises DamagedContainerError."""
    count = fields.varint()
    if count > MAX_CARRIED:
        raise DamagedContainerError(f"the container brings more than {MAX_CARRIED} kernels")
    carried = tuple(_decode(fields) for _ in range(count))
    cids = [one.kernel.cid for one in carried]
    if cids != sorted(set(cids)):
        raise DamagedContainerError("the container brings its kernels in another order than theirs")
    return carried


def _decode(fields: Fields) -> Carried:
    size, packed = fields.varint(), fields.take(fields.varint())
    if size > MAX_MODULE:
        raise DamagedContainerError(f"{_WHAT} has {size:,} bytes, which is too much")
    try:
        opened = zlib.decompressobj()
        # Never more than it says: what unpacks to more is refused before it does.
        wasm = opened.decompress(packed, size + 1)
        if len(wasm) != size or not opened.eof or opened.unused_data:
            raise DamagedContainerError(f"{_WHAT} does not unpack to its own length")
        return Carried(Kernel.from_wasm(wasm), packed)
    except zlib.error as error:
        raise DamagedContainerError(f"{_WHAT} does not unpack") from error
    except KernelError as error:
        raise DamagedContainerError(f"{_WHAT} is none: {error}") from error


def with_carried(kernels: KernelSet, carried: tuple[Carried, ...]) -> KernelSet:
    """The same kernels, and those that are carried."""
    return kernels.knowing(one.kernel for one in carried) if carried else kernels
