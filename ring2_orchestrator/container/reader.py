"""Containers read: judged whole by their sizes, decoded a few blocks at a time, and hashed."""

from collections.abc import Iterator
from itertools import islice

from blake3 import blake3

from cid_store.errors import UsageError
from ring0.execution import Executor
from ring2_orchestrator.container.block import (
    Extent,
    check_block,
    decode_block,
    read_block,
    read_extent,
)
from ring2_orchestrator.container.carried import with_carried
from ring2_orchestrator.container.errors import DamagedContainerError
from ring2_orchestrator.container.header import read_header
from ring2_orchestrator.container.lanes import in_order, lanes_for
from ring2_orchestrator.container.source import CHUNK, Source
from ring2_orchestrator.kernels import KernelSet

# Of so many blocks, the place of one is remembered: the others are found from there.
_STRIDE = 64


class Container:
    """A container whose header is sound and whose blocks exactly fill the rest of it.

    `kernels` are those that were given and those it brings itself; whoever decodes it needs an
    executor that finds them.
    """

    def __init__(self, source: Source, kernels: KernelSet, *, allow_foreign: bool = False) -> None:
        """Read the header and walk the blocks.

        Raises DamagedContainerError; MissingKernelError where a kernel is not known here, and
        ForeignKernelError where it brings one that is not, unless that is allowed.
        """
        self.source = source
        self.header, self._start = read_header(source, kernels, allow_foreign=allow_foreign)
        self.kernels = with_carried(kernels, self.header.carried)
        self._carried = frozenset(one.kernel.cid for one in self.header.carried)
        self._places: list[int] = []
        self._check_sizes()

    @property
    def overhead(self) -> int:
        """How many bytes the header has."""
        return self._start

    def check_end(self) -> None:
        """Check the last block: nothing else says where it ends, so only this finds it cut short.

        Whoever decodes it need not ask for this. Raises DamagedContainerError.
        """
        for extent in self.extents(max(self.header.block_count - 1, 0)):
            check_block(self.source.name, extent, read_block(self.source, extent))

    def extents(self, first: int = 0) -> Iterator[Extent]:
        """The blocks in order, where they lie, from one of them on."""
        known = min(first // _STRIDE, len(self._places) - 1)
        at = known * _STRIDE if known >= 0 else 0
        offset = self._places[known] if known >= 0 else self._start
        for cut in self.header.cuts(at):
            extent = read_extent(self.source, cut, offset)
            if cut.index >= first:
                yield extent
            offset += extent.size

    def block(self, extent: Extent, executor: Executor) -> bytes:
        """The original bytes of one block, without decoding any other."""
        block = read_block(self.source, extent)
        return self._decode(extent, block, executor)

    def chunks(self, executor: Executor) -> Iterator[bytes]:
        """The original, piece by piece; at the end, an error unless its hash is the stated one.

        Until it ended without an error, what it gave is not to be trusted.
        """
        hasher = blake3()
        pieces = (
            self._decoded(executor, 0, self.header.block_count)
            if self.header.has_blocks
            else self._stored()
        )
        for chunk in pieces:
            hasher.update(chunk)
            yield chunk
        if hasher.digest() != self.header.digest:
            raise DamagedContainerError(
                f"{self.source.name} is damaged: it gives other bytes than were packed"
            )

    def range(self, begin: int, end: int, executor: Executor) -> Iterator[bytes]:
        """The bytes of the original from `begin` up to `end`, piece by piece.

        Only the blocks that hold them are decoded, each checked before it is given; what is stored
        in one piece has one check for everything, so all of it is read. Raises UsageError where
        the original has no such bytes.
        """
        if not 0 <= begin <= end <= self.header.length:
            raise UsageError(
                f"{self.source.name} holds {self.header.length:,} bytes, so it has none from "
                f"{begin:,} to {end:,}"
            )
        if begin == end:
            return
        if not self.header.has_blocks:
            for _ in self.chunks(executor):
                pass
            for offset in range(begin, end, CHUNK):
                yield self.source.read(self._start + offset, min(CHUNK, end - offset))
            return
        first, last = self.header.block_at(begin), self.header.block_at(end - 1)
        at = self.header.cut(first).begin
        for piece in self._decoded(executor, first, last + 1):
            yield piece[max(begin - at, 0) : end - at]
            at += len(piece)

    def read(self, offset: int, size: int, executor: Executor) -> bytes:
        """These bytes of the original; see `range`."""
        return b"".join(self.range(offset, offset + size, executor))

    def _check_sizes(self) -> None:
        end = self._start
        if not self.header.has_blocks:
            end += self.header.length
        else:
            for extent in self.extents():
                if extent.index % _STRIDE == 0:
                    self._places.append(extent.offset)
                end = extent.offset + extent.size
        if end > self.source.size:
            raise DamagedContainerError(f"{self.source.name} is cut short")
        if end < self.source.size:
            raise DamagedContainerError(
                f"{self.source.name} has {self.source.size - end:,} bytes too many"
            )

    def _stored(self) -> Iterator[bytes]:
        for offset in range(self._start, self.source.size, CHUNK):
            yield self.source.read(offset, CHUNK)

    def _decoded(self, executor: Executor, first: int, end: int) -> Iterator[bytes]:
        # Only this thread reads: neither a file nor a store takes kindly to several.
        extents = islice(self.extents(first), end - first)
        read = ((extent, read_block(self.source, extent)) for extent in extents)

        lanes = lanes_for(self.header.block_bytes)
        yield from in_order(
            lambda one: self._decode(*one, executor),
            read,
            lanes=lanes,
            size=lambda one: one[0].length,
        )

    def _decode(self, extent: Extent, block: bytes, executor: Executor) -> bytes:
        return decode_block(self.source.name, extent, block, executor, carried=self._carried)
