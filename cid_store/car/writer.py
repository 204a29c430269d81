"""Writing a CAR file: a header, then one section a block; for version 2 an index after them."""

from collections.abc import Iterable, Sequence
from typing import BinaryIO

from cid_store.car import varint
from cid_store.car.header import (
    FULLY_INDEXED,
    MAX_HEADER_BYTES,
    PRAGMA,
    V2_BYTES,
    HeaderV2,
    header_v1,
)
from cid_store.car.index import IndexBuilder
from cid_store.car.names import BlockName
from cid_store.errors import UsageError

_PAYLOAD_OFFSET = len(PRAGMA) + V2_BYTES


class CarWriter:
    """Blocks in, one after another; the file is whole when `finish` returns.

    A version 2 needs a file that can be written at its beginning again.
    """

    def __init__(self, file: BinaryIO, roots: Sequence[BlockName], *, version: int) -> None:
        """Write the header. Raises UsageError for more roots than a reader takes."""
        assert version in (1, 2), "there are two versions"
        header = header_v1(roots)
        if len(header) > MAX_HEADER_BYTES:
            raise UsageError(
                f"{len(roots):,} roots take {len(header):,} bytes of a CAR's header, over the "
                f"limit of {MAX_HEADER_BYTES:,}; name a node that links to them instead"
            )
        self._file = file
        self._index = IndexBuilder() if version == 2 else None
        if self._index is not None:
            file.write(PRAGMA + bytes(V2_BYTES))
        self.payload_bytes = 0
        self._write(header)

    def block(self, name: BlockName, size: int, parts: Iterable[bytes]) -> None:
        """Add a block, which the caller has checked against its name, as it comes in parts."""
        if self._index is not None:
            self._index.add(name.multihash, self.payload_bytes)
        self._write(varint.encode(len(name.data) + size) + name.data)
        end = self.payload_bytes + size
        for part in parts:
            self._write(part)
        assert self.payload_bytes == end, "a store's objects have the size that it says"

    def finish(self) -> int:
        """Write what stands after the blocks; how long the file is."""
        if self._index is None:
            return self.payload_bytes
        end = _PAYLOAD_OFFSET + self.payload_bytes
        size = end
        for part in self._index.parts():
            self._file.write(part)
            size += len(part)
        header = HeaderV2(FULLY_INDEXED, _PAYLOAD_OFFSET, self.payload_bytes, end)
        self._file.seek(len(PRAGMA))
        self._file.write(header.to_bytes())
        self._file.seek(size)
        return size

    def _write(self, part: bytes) -> None:
        self._file.write(part)
        self.payload_bytes += len(part)
