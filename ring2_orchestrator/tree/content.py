"""What a file holds, as extents: long runs of zeros are left out, wherever the file comes from."""

import errno
import os
from collections.abc import Callable, Iterator
from typing import Protocol

from cid_store.store import Store
from ring2_orchestrator.tree.node import Extent, File

BLOCK_BYTES = 1 << 20
_ZEROS = bytes(BLOCK_BYTES)

Block = tuple[int, bytes]  # its offset and its bytes


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


def keep_file(store: Store, mode: int, blocks: Iterator[Block], size: Callable[[], int]) -> File:
    """Keep one file; `size` is asked when all blocks were taken."""
    runs = _Runs(blocks)
    extents: list[Extent] = []
    while (offset := runs.begin()) is not None:
        if (alone := runs.alone()) is not None:
            extents.append(Extent(offset, len(alone), store.put(alone)))
        else:
            data = store.put_stream(runs)
            extents.append(Extent(offset, runs.end - offset, data))
    total = size()
    if not total:
        extents = [Extent(0, 0, store.put(b""))]
    return File(mode, total, tuple(extents))


def blocks_of_stream(source: Readable) -> Iterator[Block]:
    """The blocks of a stream, without those of nothing but zeros."""
    offset = 0
    while block := _filled(source):
        if block != _ZEROS:
            yield offset, block
        offset += len(block)


def blocks_of_file(fd: int, size: int) -> Iterator[Block]:
    """The same of an open file, whose holes are not even read."""
    offset = _data_after(fd, 0, size)
    while offset < size:
        block = _read(fd, min(BLOCK_BYTES, size - offset), offset)
        if block == _ZEROS:
            offset = _data_after(fd, offset + BLOCK_BYTES, size)
            continue
        yield offset, block
        if len(block) < BLOCK_BYTES:
            return  # the end, or a file that became shorter: the caller compares
        offset += BLOCK_BYTES


class _Runs:
    """Blocks put together where they touch; one run after another is read like a stream."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = blocks
        self._next = next(blocks, None)
        self._rest = b""
        self.end = 0

    def begin(self) -> int | None:
        """Where the next run begins; None when there is none."""
        if self._next is None:
            return None
        self.end = self._next[0]
        return self.end

    def alone(self) -> bytes | None:
        """The run's bytes, and it is over, where it is a single block that is not a full one."""
        assert self._next is not None, "a run has begun"
        block = self._next[1]
        if len(block) == BLOCK_BYTES:
            return None
        self._next = next(self._blocks, None)
        return block

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes of the run; none at its end."""
        if not self._rest:
            if self._next is None or self._next[0] != self.end:
                return b""
            self._rest = self._next[1]
            self.end += len(self._rest)
            self._next = next(self._blocks, None)
        part, self._rest = self._rest[:size], self._rest[size:]
        return part


def _data_after(fd: int, offset: int, size: int) -> int:
    """The first block from there on that may hold more than zeros; `size` when there is none."""
    try:
        data = os.lseek(fd, offset, os.SEEK_DATA) if offset < size else size
    except OSError as error:
        if error.errno == errno.ENXIO:
            # Only whole blocks are holes, so the last one counts when it is shorter.
            return size - size % BLOCK_BYTES
        return offset  # this file system cannot say
    return data - data % BLOCK_BYTES


def _filled(source: Readable) -> bytes:
    """A whole block, or what is left of the stream."""
    parts: list[bytes] = []
    missing = BLOCK_BYTES
    while missing and (part := source.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _read(fd: int, length: int, offset: int) -> bytes:
    data = os.pread(fd, length, offset)
    while len(data) < length and (more := os.pread(fd, length - len(data), offset + len(data))):
        data += more
    return data
