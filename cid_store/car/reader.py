"""Reading a CAR file from front to back, and refusing it where it is not what it says."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cid_store.car import varint
from cid_store.car.header import (
    MAX_HEADER_BYTES,
    PRAGMA,
    V2_BYTES,
    HeaderError,
    HeaderV2,
    read_header_v1,
)
from cid_store.car.names import BlockName
from cid_store.car.varint import VarintError
from cid_store.errors import MalformedCarError

PART_BYTES = 1 << 20  # no more of the file is in memory


@dataclass(frozen=True, slots=True)
class Section:
    """One block as it stands in the file."""

    offset: int  # where in the file the section begins
    name: BlockName
    size: int
    start: int  # where the block's bytes begin
    held: bytes | None  # they themselves, unless they are many
    read_at: Callable[[int, int], bytes]

    def parts(self) -> Iterator[bytes]:
        """The block's bytes, as often as wanted; where they are many, from the file each time."""
        if self.held is not None:
            yield self.held
            return
        end = self.start + self.size
        for at in range(self.start, end, PART_BYTES):
            yield self.read_at(at, min(PART_BYTES, end - at))


class CarReader:
    """A CAR file, version 1 or 2. Raises MalformedCarError, which names the offset."""

    def __init__(self, file: BinaryIO, label: str) -> None:
        """Read the headers; `label` is what the file is called in messages."""
        self._file = file
        self._label = label
        self._at = 0
        # By seeking, not by the descriptor: that does not know of bytes still in the file's buffer.
        self._stop = file.seek(0, os.SEEK_END)
        file.seek(0)
        self.version = 1
        if self._stop >= len(PRAGMA) and file.read(len(PRAGMA)) == PRAGMA:
            self._enter_payload()
            self.version = 2
        self.roots = self._header()

    @property
    def payload_bytes(self) -> int:
        """How many bytes of sections are still to be read."""
        return self._stop - self._at

    def sections(self) -> Iterator[Section]:
        """Every block in the order of the file, unchecked: compare it with its name."""
        while self._at < self._stop:
            yield self._section()

    def refuse(self, offset: int, fact: str) -> MalformedCarError:
        """The error for something that is wrong at an offset."""
        return MalformedCarError(
            f"{self._label} is no sound CAR: {fact} (at offset {offset:,}); get the file again"
        )

    def uncheckable(self, section: Section) -> MalformedCarError:
        """The error for a block whose name says nothing that can be checked here."""
        code, digest = section.name.multihash
        return MalformedCarError(
            f"{self._label} holds block {section.name} (at offset {section.offset:,}), whose hash "
            f"(function 0x{code:x}, {len(digest)} bytes) cannot be checked here; "
            "`redoxa store import --unverified` keeps it all the same"
        )

    def _enter_payload(self) -> None:
        size = self._stop
        start = len(PRAGMA)
        if size < start + V2_BYTES:
            raise self.refuse(start, "its header is cut short")
        header = HeaderV2.from_bytes(self._file.read(V2_BYTES))
        end = header.data_offset + header.data_size
        if header.data_offset < start + V2_BYTES or not header.data_size or end > size:
            raise self.refuse(
                start + 16,
                f"its payload of {header.data_size:,} bytes at {header.data_offset:,} does not lie "
                f"in its {size:,} bytes",
            )
        if header.index_offset and not end <= header.index_offset < size:
            raise self.refuse(start + 32, "its index lies in its payload or after its end")
        self._at, self._stop = header.data_offset, end

    def _header(self) -> list[BlockName]:
        offset = self._at
        length = self._length("its header", MAX_HEADER_BYTES)
        try:
            version, roots = read_header_v1(self._read_at(self._at, length))
        except HeaderError as error:
            raise self.refuse(offset, f"its header is malformed: {error}") from error
        self._at += length
        if version != 1:
            fact = f"its header says version {version}; 1 or 2 can be read"
            if self.version == 2:  # one in another would have no end
                fact = f"its payload says version {version}; that of a CARv2 must be version 1"
            raise self.refuse(offset, fact)
        return roots

    def _section(self) -> Section:
        offset = self._at
        length = self._length("a section")
        ahead = self._read_at(self._at, min(length, PART_BYTES))
        try:
            name, end = BlockName.read(ahead)
        except VarintError as error:
            raise self.refuse(offset, f"a block has no CID: {error}") from error
        held = ahead[end:] if length <= PART_BYTES else None
        start = self._at + end
        self._at += length
        return Section(offset, name, length - end, start, held, self._read_at)

    def _length(self, what: str, limit: int | None = None) -> int:
        """The length in front of a header or a section; as many bytes are really there."""
        offset = self._at
        # What follows the length is looked at again, so reading a little too much costs nothing.
        ahead = self._read_at(offset, min(varint.MAX_BYTES, self._stop - offset))
        try:
            length, size = varint.decode(ahead)
        except VarintError as error:
            raise self.refuse(offset, f"the length of {what} is none: {error}") from error
        if not length:
            raise self.refuse(offset, f"{what} of no bytes stands where a block should")
        if limit is not None and length > limit:
            raise self.refuse(offset, f"{what} of {length:,} bytes is over the limit of {limit:,}")
        if length > self._stop - offset - size:
            raise self.refuse(
                offset,
                f"{what} of {length:,} bytes is cut short after {self._stop - offset - size:,}",
            )
        self._at += size
        return length

    def _read_at(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        data = self._file.read(length)
        if len(data) != length:
            raise self.refuse(offset, "the file became shorter while it was read")
        return data
