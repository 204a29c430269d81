"""Containers read: judged whole by their sizes, decoded a few blocks at a time, and hashed."""

from collections.abc import Iterator

from blake3 import blake3

from ring0.execution import Executor
from ring2_orchestrator.container.block import Extent, decode_block, read_block, read_extent
from ring2_orchestrator.container.errors import DamagedContainerError
from ring2_orchestrator.container.header import read_header
from ring2_orchestrator.container.lanes import in_order
from ring2_orchestrator.container.source import CHUNK, Source
from ring2_orchestrator.kernels import KernelSet


class Container:
    """A container whose header is sound and whose blocks exactly fill the rest of it."""

    def __init__(self, source: Source, kernels: KernelSet) -> None:
        """Read the header and walk the blocks. Raises DamagedContainerError, MissingKernelError."""
        self.source = source
        self.header, self._start = read_header(source, kernels)
        self._check_sizes()

    @property
    def overhead(self) -> int:
        """How many bytes the header has."""
        return self._start

    def extents(self) -> Iterator[Extent]:
        """The blocks in order, where they lie."""
        offset = self._start
        for index in range(self.header.block_count):
            extent = read_extent(self.source, self.header, index, offset)
            yield extent
            offset += extent.size

    def block(self, extent: Extent, executor: Executor) -> bytes:
        """The original bytes of one block, without decoding any other."""
        block = read_block(self.source, extent)
        return decode_block(self.source.name, self.header, extent, block, executor)

    def chunks(self, executor: Executor) -> Iterator[bytes]:
        """The original, piece by piece; at the end, an error unless its hash is the stated one.

        Until it ended without an error, what it gave is not to be trusted.
        """
        hasher = blake3()
        for chunk in self._stored() if self.header.method is None else self._decoded(executor):
            hasher.update(chunk)
            yield chunk
        if hasher.digest() != self.header.digest:
            raise DamagedContainerError(
                f"{self.source.name} is damaged: it gives other bytes than were packed"
            )

    def _check_sizes(self) -> None:
        end = self._start
        if self.header.method is None:
            end += self.header.length
        else:
            for extent in self.extents():
                end = extent.offset + extent.size
        if end > self.source.size:
            raise DamagedContainerError(f"the container {self.source.name} is cut short")
        if end < self.source.size:
            raise DamagedContainerError(
                f"the container {self.source.name} has {self.source.size - end:,} bytes too many"
            )

    def _stored(self) -> Iterator[bytes]:
        for offset in range(self._start, self.source.size, CHUNK):
            yield self.source.read(offset, CHUNK)

    def _decoded(self, executor: Executor) -> Iterator[bytes]:
        # Only this thread reads: neither a file nor a store takes kindly to several.
        read = ((extent, read_block(self.source, extent)) for extent in self.extents())

        def decode(one: tuple[Extent, bytes]) -> bytes:
            return decode_block(self.source.name, self.header, *one, executor)

        yield from in_order(decode, read)
