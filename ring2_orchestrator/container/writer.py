"""Containers written: a header, then block after block, never more than a few blocks in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Protocol

from blake3 import blake3

from cid_store.errors import InputError
from ring0.execution import Executor
from ring0.plan import Plan
from ring2_orchestrator.container.block import encode_block
from ring2_orchestrator.container.header import Header, encode_header
from ring2_orchestrator.container.lanes import in_order
from ring2_orchestrator.container.method import Method
from ring2_orchestrator.container.source import CHUNK, Source, chunks
from ring2_orchestrator.kernels import KernelSet

BLOCK_BYTES = 16 * 1024 * 1024


class Advance(Protocol):
    """Told of progress: bytes worked on, and what is being done."""

    def __call__(self, amount: float = 1, note: str | None = None) -> None:
        """So many bytes more."""
        ...


@dataclass(frozen=True, slots=True)
class Original:
    """The bytes to pack, with their hash, so that every container names the same bytes."""

    source: Source
    digest: bytes

    @classmethod
    def of(cls, source: Source) -> "Original":
        """The source, hashed."""
        hasher = blake3()
        for chunk in chunks(source):
            hasher.update(chunk)
        return cls(source, hasher.digest())

    def header(self, plan: Plan | None, *, block_bytes: int = BLOCK_BYTES) -> Header:
        """The header of a container for these bytes; without a plan they are stored."""
        size = self.source.size
        if plan is None or size == 0:
            return Header(size, self.digest, None)
        return Header(size, self.digest, Method(plan, 0 if size <= block_bytes else block_bytes))


def stored_size(original: Original, kernels: KernelSet) -> int:
    """How many bytes the container has that simply stores the bytes."""
    return len(encode_header(original.header(None), kernels)) + original.source.size


def write_stored(out: IO[bytes], original: Original, kernels: KernelSet) -> int:
    """Write the container that stores the bytes as they are; its size."""
    written = _put(out, encode_header(original.header(None), kernels))
    for offset in range(0, original.source.size, CHUNK):
        written += _put(out, original.source.read(offset, CHUNK))
    return written


def write_planned(
    out: IO[bytes],
    original: Original,
    header: Header,
    executor: Executor,
    kernels: KernelSet,
    *,
    below: int | None = None,
    advance: Advance | None = None,
) -> int | None:
    """Write the container of a plan; its size, or None as soon as that is not `below`."""
    assert header.method is not None, "what has a plan is divided into blocks"
    plan = header.method.plan
    written = _put(out, encode_header(header, kernels))
    # A memo keeps what it is told in the order in which it is told.
    lanes = 1 if executor.memo is not None else None

    def encode(data: bytes) -> tuple[int, bytes]:
        return len(data), encode_block(data, plan, executor)

    for length, block in in_order(encode, _blocks(original, header), lanes=lanes):
        written += _put(out, block)
        if below is not None and written >= below:
            return None
        if advance is not None:
            advance(length)
    return written


def _blocks(original: Original, header: Header) -> Iterator[bytes]:
    for index in range(header.block_count):
        data = original.source.read(index * header.block_bytes, header.block_length(index))
        if len(data) != header.block_length(index):
            raise InputError(f"{original.source.name} changed while it was read; try again")
        yield data


def _put(out: IO[bytes], data: bytes) -> int:
    out.write(data)
    return len(data)
