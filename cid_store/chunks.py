"""A blob cut into chunks: the list that says which, sealed to the blob's name.

The chunks are objects like any others, so equal ones are stored once. The bytes of the list are
fixed in docs/formats/store.md.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple, cast

from cid_store.cid import DIGEST_BYTES, Cid, Codec, seal_of

CHUNK_BYTES = 1 << 20

_FIELDS = struct.Struct("<QI4s")
_BEFORE_DIGESTS = DIGEST_BYTES + _FIELDS.size


class Piece(NamedTuple):
    """A part of one chunk."""

    chunk: Cid
    start: int  # in the chunk
    stop: int


class ChunkList(NamedTuple):
    """Which chunks a blob consists of, in order; each but the last has `chunk_bytes` bytes."""

    size: int
    chunk_bytes: int
    digests: bytes

    def chunks(self) -> Iterator[tuple[Cid, int]]:
        """Each chunk's name and length."""
        left = self.size
        for at in range(0, len(self.digests), DIGEST_BYTES):
            length = min(left, self.chunk_bytes)
            yield Cid(Codec.RAW, self.digests[at : at + DIGEST_BYTES]), length
            left -= length

    def pieces(self, start: int, stop: int) -> Iterator[Piece]:
        """The parts of chunks that make up the blob's bytes from `start` to `stop`."""
        stop = min(stop, self.size)
        while start < stop:
            number, inside = divmod(start, self.chunk_bytes)
            at = number * DIGEST_BYTES
            length = min(stop - start, self.chunk_bytes - inside)
            chunk = Cid(Codec.RAW, self.digests[at : at + DIGEST_BYTES])
            yield Piece(chunk, inside, inside + length)
            start += length


def encode_chunks(cid: Cid, chunks: ChunkList) -> bytes:
    """The list's bytes, which hold for the blob of that name alone."""
    body = _FIELDS.pack(chunks.size, chunks.chunk_bytes, b"") + chunks.digests
    return seal_of(cid, body) + body


def parse_chunks(cid: Cid, payload: bytes) -> ChunkList | None:
    """The list of that blob's chunks; None where the bytes are not such a list."""
    if len(payload) < _BEFORE_DIGESTS or seal_of(cid, payload[DIGEST_BYTES:]) != payload[:32]:
        return None
    size, chunk_bytes, zeros = cast(
        "tuple[int, int, bytes]", _FIELDS.unpack_from(payload, DIGEST_BYTES)
    )
    digests = payload[_BEFORE_DIGESTS:]
    whole = chunk_bytes > 0 and -(-size // chunk_bytes) * DIGEST_BYTES == len(digests)
    return ChunkList(size, chunk_bytes, digests) if whole and not any(zeros) else None
