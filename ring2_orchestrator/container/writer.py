"""Containers written: a header, then block after block, never more than a few blocks in memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Protocol

from blake3 import blake3

from cid_store.errors import InputError
from ring0.execution import Executor
from ring0.kernel import Kernel
from ring0.plan import Plan
from ring2_orchestrator.container.block import encode_block, framed_size, stored_block
from ring2_orchestrator.container.carried import Carried
from ring2_orchestrator.container.header import encode_header
from ring2_orchestrator.container.lanes import in_order, lanes_for
from ring2_orchestrator.container.segments import (
    ROOMY,
    VERSION,
    Contents,
    Cut,
    Header,
    Segment,
    joined,
)
from ring2_orchestrator.container.source import Source, chunks
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
    contents: Contents = Contents.FILE

    @classmethod
    def of(cls, source: Source, contents: Contents = Contents.FILE) -> "Original":
        """The source, hashed; `contents` says what it is."""
        hasher = blake3()
        for chunk in chunks(source):
            hasher.update(chunk)
        return cls(source, hasher.digest(), contents)

    def header(
        self,
        plan: Plan | None,
        *,
        block_bytes: int = BLOCK_BYTES,
        carried: Iterable[Kernel] = (),
    ) -> Header:
        """The header of a container for these bytes under one plan, or stored without one."""
        whole = Segment(self.source.size, plan)
        return self.divided([whole], block_bytes=block_bytes, carried=carried)

    def divided(
        self,
        segments: Iterable[Segment],
        *,
        block_bytes: int = BLOCK_BYTES,
        carried: Iterable[Kernel] = (),
        room: int = 0,
    ) -> Header:
        """The header of a container of these parts, each with its plan or stored.

        Parts that are empty are left out, and stored ones that adjoin become one. `carried` are
        the kernels that travel in the container. `room` is how many bytes a block may count as.
        """
        parts = joined(segments)
        assert sum(part.length for part in parts) == self.source.size, "the parts are the whole"
        longest = max((part.length for part in parts), default=0)
        brought = sorted(set(carried), key=lambda kernel: kernel.cid)
        return Header(
            self.source.size,
            self.digest,
            parts,
            block_bytes if longest > block_bytes else 0,
            self.contents,
            tuple(map(Carried.of, brought)),
            ROOMY if room else VERSION,
            room,
        )


def stored_size(original: Original, kernels: KernelSet) -> int:
    """How many bytes the container has that simply stores the bytes."""
    header = original.header(None)
    framing = framed_size((), 0) * header.block_count
    return len(encode_header(header, kernels)) + framing + original.source.size


def write_stored(out: IO[bytes], original: Original, kernels: KernelSet) -> int:
    """Write the container that stores the bytes as they are; its size."""
    header = original.header(None)
    written = _put(out, encode_header(header, kernels))
    if header.has_blocks:
        return written + sum(
            _put(out, stored_block(data)) for _, data in _read(original.source, header.cuts())
        )
    return written + sum(_put(out, chunk) for chunk in chunks(original.source))


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
    """Write the container of a header; its size, or None as soon as that is not `below`."""
    assert header.has_blocks, "what has no plan anywhere is stored"
    written = _put(out, encode_header(header, kernels))
    rest = None if below is None else below - written
    lanes = lanes_for(header.block_bytes)
    size = write_blocks(
        out, original.source, header.cuts(), executor, below=rest, advance=advance, lanes=lanes
    )
    return None if size is None else written + size


def write_blocks(
    out: IO[bytes],
    source: Source,
    cuts: Iterable[Cut],
    executor: Executor,
    *,
    below: int | None = None,
    advance: Advance | None = None,
    lanes: int | None = None,
) -> int | None:
    """Write these blocks of a container; their size, or None as soon as that is not `below`."""
    written = 0
    # A memo keeps what it is told in the order in which it is told.
    lanes = 1 if executor.memo is not None else lanes

    def encode(one: tuple[Cut, bytes]) -> tuple[int, bytes]:
        cut, data = one
        return cut.length, encode_block(data, cut, executor)

    read = _read(source, cuts)
    for length, block in in_order(encode, read, lanes=lanes, size=lambda one: one[0].length):
        written += _put(out, block)
        if below is not None and written >= below:
            return None
        if advance is not None:
            advance(length)
    return written


def _read(source: Source, cuts: Iterable[Cut]) -> Iterator[tuple[Cut, bytes]]:
    for cut in cuts:
        data = source.read(cut.begin, cut.length)
        if len(data) != cut.length:
            raise InputError(f"{source.name} changed while it was read; try again")
        yield cut, data


def _put(out: IO[bytes], data: bytes) -> int:
    out.write(data)
    return len(data)
