"""The index of a CARv2, MultihashIndexSorted: where in the payload each block's section begins."""

import struct
from collections import defaultdict
from collections.abc import Iterator

from cid_store.car import varint
from cid_store.car.multihash import Multihash

CODEC = 0x0401

_OFFSET = struct.Struct("<Q")


class IndexBuilder:
    """Collects places and gives the index in the order the format asks for."""

    def __init__(self) -> None:
        self._entries: defaultdict[tuple[int, int], list[bytes]] = defaultdict(list)

    def add(self, multihash: Multihash, offset: int) -> None:
        """Say that a section for this digest begins there, counted from the CARv1 header."""
        entry = multihash.digest + _OFFSET.pack(offset)
        self._entries[multihash.code, len(multihash.digest)].append(entry)

    def parts(self) -> Iterator[bytes]:
        """The bytes of the index."""
        codes = sorted({code for code, _ in self._entries})
        yield varint.encode(CODEC) + struct.pack("<i", len(codes))
        for code in codes:
            lengths = sorted(length for other, length in self._entries if other == code)
            yield struct.pack("<Qi", code, len(lengths))
            for length in lengths:
                entries = sorted(self._entries[code, length], key=_entry_key)
                width = length + _OFFSET.size
                yield struct.pack("<IQ", width, width * len(entries))
                yield b"".join(entries)


def _entry_key(entry: bytes) -> tuple[bytes, int]:
    digest, offset = entry[: -_OFFSET.size], entry[-_OFFSET.size :]
    return digest, int.from_bytes(offset, "little")
