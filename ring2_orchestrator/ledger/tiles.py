"""The log's files, laid out as C2SP tlog-tiles: bundles of entries, tiles of hashes.

A full bundle or tile is the very file a tiled log serves. The last one of each level is still
growing under the same name: its first W elements are what a tiled log serves as `.p/W`.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ring2_orchestrator.ledger import durable
from ring2_orchestrator.ledger.merkle import HASH_BYTES
from ring2_orchestrator.plainfile import open_plain

TILE_LEVELS = 8  # levels of the tree in one tile
TILE_WIDTH = 1 << TILE_LEVELS
MAX_ENTRY = 0xFFFF
MAX_BUNDLE = TILE_WIDTH * (2 + MAX_ENTRY)


def index_path(index: int) -> str:
    """`000` to `999`, then `x001/000`: three digits an element, all but the last marked."""
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])


def widths(size: int) -> list[int]:
    """How many hashes the growing tile of each level holds in a log of that size, lowest first."""
    found: list[int] = []
    while size:
        found.append(size % TILE_WIDTH)
        size //= TILE_WIDTH
    return found


def frame(entry: bytes) -> bytes:
    """An entry as a bundle holds it: its length in two big-endian bytes, then itself."""
    assert len(entry) <= MAX_ENTRY, "a leaf is bounded before it is framed"
    return len(entry).to_bytes(2, "big") + entry


def may_be_left(data: bytes, true: bytes) -> bool:
    """Whether a crash may leave `data` where the leaf hashes `true` of a growing tile belong.

    Nobody waits for that file, so a power cut may take its end, or leave zeros there.
    """
    return true.startswith(data[: len(true)].rstrip(b"\0"))


class Bundle(NamedTuple):
    """The whole entries of a bundle file, where each begins, and what follows the last one."""

    entries: list[bytes]
    offsets: list[int]
    rest: bytes

    def end_of(self, count: int) -> int:
        """The length of the file's first `count` entries."""
        if count < len(self.entries):
            return self.offsets[count]
        return self.offsets[-1] + 2 + len(self.entries[-1]) if self.entries else 0


def split_bundle(data: bytes) -> Bundle:
    """Take a bundle file apart; an incomplete last entry becomes the rest."""
    entries: list[bytes] = []
    offsets: list[int] = []
    at = 0
    while len(entries) < TILE_WIDTH and at + 2 <= len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data):
            break
        entries.append(data[at + 2 : end])
        offsets.append(at)
        at = end
    return Bundle(entries, offsets, data[at:])


class TileFiles:
    """Reads and writes the files below one folder; what they say is judged elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def bundle_path(self, index: int) -> Path:
        """The file of the entries 256 x index and following."""
        return self.folder / "tile" / "entries" / index_path(index)

    def tile_path(self, level: int, index: int) -> Path:
        """The file of that tile of hashes."""
        return self.folder / "tile" / str(level) / index_path(index)

    def bundle_bytes(self, index: int) -> bytes:
        """The bundle file's bytes, empty if there is none; never more than a bundle can have."""
        return durable.read(self.bundle_path(index), limit=MAX_BUNDLE)

    def bundle_size(self, index: int) -> int:
        """The bundle file's length, 0 if there is none."""
        return durable.size(self.bundle_path(index))

    def tile_bytes(self, level: int, index: int) -> bytes:
        """The tile file's bytes, empty if there is none; one more than a full tile has, at most."""
        return durable.read(self.tile_path(level, index), limit=TILE_WIDTH * HASH_BYTES + 1)

    def hashes(self, level: int, index: int) -> list[bytes]:
        """The whole hashes in a tile file, none if there is no file."""
        data = self.tile_bytes(level, index)
        whole = len(data) - len(data) % HASH_BYTES
        return [data[at : at + HASH_BYTES] for at in range(0, whole, HASH_BYTES)]

    def write_entries(self, index: int, offset: int, frames: bytes) -> None:
        """Put framed entries at the bundle's end and wait for the disk; what stood there goes."""
        durable.write_at(self.bundle_path(index), offset, frames, sync=True, base=self.folder)

    def write_hashes(self, level: int, index: int, first: int, hashes: Sequence[bytes]) -> None:
        """Put hashes into a tile from position `first`, its new end; wait only for a full tile.

        A growing tile can be made again from its bundle, so its bytes need not be waited for.
        """
        full = first + len(hashes) == TILE_WIDTH
        durable.write_at(
            self.tile_path(level, index),
            first * HASH_BYTES,
            b"".join(hashes),
            sync=full or level > 0,
            base=self.folder,
        )

    def cut_bundle(self, index: int, length: int) -> None:
        """Drop what follows the bundle's first `length` bytes, and wait for the disk."""
        path = self.bundle_path(index)
        if durable.size(path) > length:
            descriptor = open_plain(path, os.O_WRONLY)
            try:
                os.ftruncate(descriptor, length)
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
