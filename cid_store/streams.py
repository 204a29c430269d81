"""Keeping a blob that comes part by part: chunks are written while the next ones are hashed."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from cid_store.chunks import CHUNK_BYTES, ChunkList, encode_chunks
from cid_store.cid import Cid, Codec, large_hasher
from cid_store.keeper import Keeper
from cid_store.store import ByteSource

if TYPE_CHECKING:
    from concurrent.futures import Future

_WINDOW_BYTES = 16 << 20  # chunks that go to the disk together; two windows are in memory


def keep_stream(keeper: Keeper, first: bytes, source: ByteSource, codec: Codec) -> Cid:
    """Keep `first` and what follows it in the source, cut into chunks; all durable on return."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - few blobs are so long

    whole = large_hasher()
    digests = bytearray()
    size = 0
    window: dict[Cid, bytes] = {}
    writing: Future[None] | None = None
    with ThreadPoolExecutor(1) as writer:
        for chunk in chunks_of(first, source):
            whole.update(chunk)
            cid = Cid.of(chunk)
            digests += cid.digest
            size += len(chunk)
            window[cid] = chunk
            if len(window) * CHUNK_BYTES >= _WINDOW_BYTES:
                if writing is not None:
                    writing.result()  # the error of a write that failed ends the stream here
                writing, window = writer.submit(_keep, keeper, window), {}
        if writing is not None:
            writing.result()
    blob = Cid(codec, whole.digest())
    chunks = ChunkList(size, CHUNK_BYTES, bytes(digests))
    keeper.keep(window, {}, {blob: encode_chunks(blob, chunks)})
    return blob


def filled(source: ByteSource, size: int, first: bytes = b"") -> bytes:
    """`size` bytes, fewer only at the source's end: a pipe gives what it has."""
    data = first
    while len(data) < size:
        more = source.read(size - len(data))
        if not more:
            break
        data = data + more if data else bytes(more)
    return data


def chunks_of(first: bytes, source: ByteSource) -> Iterator[bytes]:
    """What `first` and the source hold, in chunks."""
    for start in range(0, len(first), CHUNK_BYTES):
        chunk = first[start : start + CHUNK_BYTES]
        yield chunk if len(chunk) == CHUNK_BYTES else filled(source, CHUNK_BYTES, chunk)
    while chunk := filled(source, CHUNK_BYTES):
        yield chunk


def _keep(keeper: Keeper, window: Mapping[Cid, bytes]) -> None:
    keeper.keep(window, {})
