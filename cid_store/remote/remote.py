"""A store that a service keeps: objects of at most 1 MiB under their names, roots beside them."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Self, TypeVar

from cid_store.batches import Batches, Layer, Payload
from cid_store.chunks import CHUNK_BYTES, ChunkList, encode_chunks
from cid_store.cid import Cid, Codec, digest_of, large_hasher
from cid_store.errors import (
    CorruptObjectError,
    InputError,
    MissingObjectError,
    UsageError,
)
from cid_store.remote import layout
from cid_store.remote.service import RETRIES, TIMEOUT_S, Service
from cid_store.store import Buffer, ByteSource, check_range, check_root_name
from cid_store.streams import filled, keep_stream

_AT_ONCE = 16  # requests under way: a service is far away, so most of each is waiting
_AHEAD = 8  # chunks of a stream that are fetched before they are asked for
_FLUSH_BYTES = 32 << 20  # a batch holds no more than this in memory

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


class RemoteStore:
    """A store at an address: s3://, gs://, az://, file://, or https:// for reading only.

    Nothing is asked of the service before the first use. Each root is bound at once, but those of
    a batch one after the other, when all its objects are kept.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S, retries: int = RETRIES) -> None:
        """Name the store; raises UsageError for no address, UnavailableError without the client."""
        self._service = Service(url, timeout_s=timeout_s, retries=retries)
        self.url = self._service.url
        self._batches = Batches()
        self._damaged: set[Cid] = set()  # seen by this process; a put writes them again
        self._marked = False
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(_AT_ONCE, "remote")
        self._closed = False

    # Putting

    def put(self, data: Buffer, codec: Codec = Codec.RAW) -> Cid:
        """Keep `data` and return its name; the service has confirmed it."""
        self._check_open()
        payload = bytes(data)
        cid = Cid.of(payload, codec)
        layer = self._batches.innermost
        if layer is None:
            self.keep({cid: payload}, {})
            return cid
        layer.add(cid, payload)
        if layer.size_bytes > _FLUSH_BYTES:
            self.keep(layer.drain(), {})
        return cid

    def put_many(self, blobs: Iterable[Buffer], codec: Codec = Codec.RAW) -> list[Cid]:
        """Keep every blob, many at once; names come back in the same order."""
        with self.batch():
            return [self.put(blob, codec) for blob in blobs]

    def put_stream(self, source: ByteSource, codec: Codec = Codec.RAW) -> Cid:
        """Keep what a source gives until its end; it need not fit into memory."""
        self._check_open()
        first = filled(source, CHUNK_BYTES + 1)
        if len(first) <= CHUNK_BYTES:
            return self.put(first, codec)
        return keep_stream(self, first, source, codec)

    @contextmanager
    def batch(self) -> Generator[None]:
        """Puts inside are kept together at the end, then the roots, unless there is an error."""
        self._check_open()
        layer = Layer()
        with self._batches.opened(layer):
            yield
        self._check_open()
        if self._batches.innermost is None:
            self.keep(layer.objects, layer.roots)

    def keep(
        self,
        objects: Mapping[Cid, Payload],
        roots: Mapping[str, Cid | None],
        lists: Mapping[Cid, bytes] | None = None,
    ) -> None:
        """Have the service keep objects, then lists of chunks that are kept, then roots."""
        self._check_open()
        if not (objects or roots or lists):
            return
        self._mark()
        pieces: dict[Cid, Payload] = {}
        whole_lists = dict(lists or {})
        for cid, payload in objects.items():
            if len(payload) <= CHUNK_BYTES:
                pieces[cid] = payload
            else:
                whole_lists[cid] = _cut(cid, payload, pieces)
        # Objects first, lists next, roots last: what is named is there, wherever this ends.
        self._each(self._put_object, pieces.items())
        self._each(self._put_list, whole_lists.items())
        self._each(self._put_root, roots.items())

    def set_root(self, name: str, cid: Cid | None) -> None:
        """Bind a name to a CID the store holds; None unbinds. The last one to bind it wins."""
        self._check_root(name, cid)
        layer = self._batches.innermost
        if layer is None:
            self.keep({}, {name: cid})
        else:
            layer.roots[name] = cid

    def swap_root(self, name: str, seen: Cid | None, cid: Cid | None) -> bool:
        """Bind a name if it is bound to what was `seen` (None: to nothing); whether it was.

        Where the service knows conditional writes no other's binding is lost in between.
        """
        self._check_root(name, cid)
        self._mark()
        key = layout.root_key(name)
        found = self._service.get_versioned(key, layout.MAX_SMALL_BYTES)
        bound = layout.parse_root(key, found[0], self.url)[1] if found is not None else None
        if bound != seen:
            return False
        if bound == cid:
            return True
        version = found[1] if found is not None else None
        return self._service.swap(key, layout.root_record(name, cid), version)

    # Getting

    def get(self, cid: Cid) -> bytes:
        """The bytes of that name, hashed when they have arrived."""
        pending = self._pending(cid)
        if pending is not None:
            return bytes(pending)
        data = self._small(cid)
        if data is not None:
            return data
        chunks = self._chunks(cid)
        data = b"".join(self._fetched(cid, chunks))
        if digest_of(data) != cid.digest:
            raise self._misled(cid)
        return data

    def get_many(self, cids: Iterable[Cid]) -> list[bytes]:
        """The bytes of each name, in the same order, fetched many at once."""
        wanted = list(cids)
        found = self.get_small(dict.fromkeys(wanted))
        return [found[cid] if cid in found else self.get(cid) for cid in wanted]

    def get_small(self, cids: Iterable[Cid]) -> dict[Cid, bytes]:
        """Those of the objects that are kept whole, which are at most 1 MiB each."""
        wanted = [cid for cid in cids if self._pending(cid) is None]
        answers = self._each(lambda cid: (cid, self._small(cid)), wanted)
        return {cid: data for cid, data in answers if data is not None}

    def get_stream(self, cid: Cid) -> Iterator[bytes]:
        """The bytes in parts of at most 1 MiB, each checked before it is given."""
        pending = self._pending(cid)
        data = bytes(pending) if pending is not None else self._small(cid)
        if data is not None:
            whole = data
            starts = range(0, len(whole), CHUNK_BYTES)
            return (whole[start : start + CHUNK_BYTES] for start in starts)
        return self._stream(cid, self._chunks(cid))

    def read(self, cid: Cid, offset: int, length: int) -> bytes:
        """`length` of the bytes from `offset`; only the chunks they lie in are fetched.

        Each chunk is checked against the object's list. A list that somebody forged, who may write
        to the service, is found by `get` and at the end of `get_stream` only.
        """
        check_range(offset, length)
        pending = self._pending(cid)
        data = pending if pending is not None else self._small(cid)
        if data is not None:
            return bytes(data[offset : offset + length])
        pieces = list(self._chunks(cid).pieces(offset, offset + length))
        fetch: dict[Cid, None] = dict.fromkeys(piece.chunk for piece in pieces)
        parts = dict(self._each(lambda chunk: (chunk, self._chunk(cid, chunk)), fetch))
        return b"".join(parts[piece.chunk][piece.start : piece.stop] for piece in pieces)

    def view(self, cid: Cid) -> memoryview:
        """The same bytes, read-only."""
        return memoryview(self.get(cid))

    def size(self, cid: Cid) -> int:
        """How many bytes the object has, as the service says."""
        pending = self._pending(cid)
        if pending is not None:
            return len(pending)
        self._look()
        size = self._service.size(layout.object_key(cid))
        return size if size is not None else self._chunks(cid).size

    def has(self, cid: Cid) -> bool:
        """Whether the service has something under that name."""
        if self._pending(cid) is not None:
            return True
        self._look()
        keys = (layout.object_key(cid), layout.list_key(cid))
        return any(self._service.size(key) is not None for key in keys)

    def lacks(self, sizes: Mapping[Cid, int], *, check: bool = False) -> list[Cid]:
        """Which of these objects the service lacks, or has in another length.

        With `check` each is read, and those that are damaged are among them; putting them again
        repairs them.
        """
        self._check_open()
        self._look()
        held = self._each(lambda item: self._holds(*item, check=check), sizes.items())
        return [cid for cid, there in zip(sizes, held, strict=True) if not there]

    def root(self, name: str) -> Cid | None:
        """The CID bound to that name, or None."""
        check_root_name(name)
        self._check_open()
        pending = self._batches.roots()
        if name in pending:
            return pending[name]
        self._look()
        bound = self._binding(layout.root_key(name))
        return bound[1] if bound is not None else None

    def roots(self, prefix: str = "") -> Iterator[tuple[str, Cid]]:
        """Every bound name with that prefix, in order, as of now."""
        check_root_name(prefix)
        self._check_open()
        self._look()
        keys = self._service.keys(layout.ROOTS_PREFIX)
        found = self._each(
            self._binding, [key for key in keys if layout.may_begin_with(key, prefix)]
        )
        bound = {**dict(pair for pair in found if pair is not None), **self._batches.roots()}
        return iter(
            sorted(
                (name, cid)
                for name, cid in bound.items()
                if cid is not None and name.startswith(prefix)
            )
        )

    def close(self) -> None:
        """Let connections go; what was put is kept already. Closing twice is harmless."""
        self._closed = True
        self._pool.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # The store's marker

    def _look(self) -> None:
        """See once that what lies there is a store; nothing at all is one that is still empty."""
        if self._marked:
            return
        marker = self._service.get(layout.MARKER_KEY, layout.MAX_SMALL_BYTES)
        if marker is not None:
            layout.check_marker(marker, self.url)
            self._marked = True
        elif not self._service.writable:
            raise InputError(
                f"there is no Redoxa store at {self.url}; the address is that of the folder "
                f"that holds {layout.MARKER_KEY!r}"
            )

    def _mark(self) -> None:
        """The same before writing: the first to write makes the store."""
        with self._lock:
            self._look()
            if not self._marked and not self._service.create(layout.MARKER_KEY, layout.MARKER):
                self._look()  # another was first
            self._marked = True

    # One request each

    def _small(self, cid: Cid) -> bytes | None:
        """The object where it is kept whole."""
        self._look()
        data = self._service.get(layout.object_key(cid), CHUNK_BYTES)
        if data is not None and digest_of(data) != cid.digest:
            self._damaged.add(cid)
            raise CorruptObjectError(
                f"object {cid} is corrupt at {self.url}: its {len(data):,} bytes hash to "
                f"{digest_of(data).hex()[:8]} instead of {cid.digest.hex()[:8]}; put the same "
                "bytes again to repair it"
            )
        return data

    def _chunks(self, cid: Cid) -> ChunkList:
        """The list of the object's chunks. Raises MissingObjectError where there is none."""
        self._look()
        data = self._service.get(layout.list_key(cid), layout.MAX_LIST_BYTES)
        if data is None:
            raise MissingObjectError(
                f"object {cid} is not in the store at {self.url}; put it or fetch it first"
            )
        try:
            return layout.parse_list(cid, data, self.url)
        except CorruptObjectError:
            self._damaged.add(cid)
            raise

    def _chunk(self, cid: Cid, chunk: Cid) -> bytes:
        data = self._small(chunk)
        if data is None:
            raise CorruptObjectError(
                f"object {cid} is corrupt: its chunk {chunk} is not at {self.url}; put the same "
                "bytes again to repair it"
            )
        return data

    def _binding(self, key: str) -> tuple[str, Cid | None] | None:
        data = self._service.get(key, layout.MAX_SMALL_BYTES)
        return layout.parse_root(key, data, self.url) if data is not None else None

    def _put_object(self, item: tuple[Cid, Payload]) -> None:
        cid, payload = item
        self._put(cid, layout.object_key(cid), bytes(payload))

    def _put_list(self, item: tuple[Cid, bytes]) -> None:
        cid, data = item
        self._put(cid, layout.list_key(cid), data)

    def _put(self, cid: Cid, key: str, data: bytes) -> None:
        # Only if absent: who puts what is there leaves it alone, unless it is seen to be damaged.
        if cid not in self._damaged and (
            self._service.create(key, data) or self._service.size(key) == len(data)
        ):
            return
        self._service.replace(key, data)
        self._damaged.discard(cid)

    def _put_root(self, item: tuple[str, Cid | None]) -> None:
        name, cid = item
        key = layout.root_key(name)
        if cid is not None or self._service.size(key) is not None:
            self._service.replace(key, layout.root_record(name, cid))

    def _holds(self, cid: Cid, size: int, *, check: bool) -> bool:
        if check:
            try:
                for _ in self.get_stream(cid):
                    pass
            except (CorruptObjectError, MissingObjectError):
                return False
            return True
        if size <= CHUNK_BYTES:
            return self._service.size(layout.object_key(cid)) == size
        return self._service.size(layout.list_key(cid)) == layout.list_size(size)

    # Many requests

    def _each(self, do: Callable[[_Item], _Answer], items: Iterable[_Item]) -> list[_Answer]:
        """Do it to every item, many at once; the first error ends it."""
        waiting = list(items)
        if len(waiting) <= 1:
            return [do(item) for item in waiting]
        futures = [self._pool.submit(do, item) for item in waiting]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def _fetched(self, cid: Cid, chunks: ChunkList) -> Iterator[bytes]:
        """The chunks in order, some of them fetched ahead."""
        names = iter([name for name, _ in chunks.chunks()])
        ahead: deque[Future[bytes]] = deque()
        try:
            while True:
                for name in islice(names, _AHEAD - len(ahead)):
                    ahead.append(self._pool.submit(self._chunk, cid, name))
                if not ahead:
                    return
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()

    def _stream(self, cid: Cid, chunks: ChunkList) -> Iterator[bytes]:
        whole = large_hasher()
        for data in self._fetched(cid, chunks):
            whole.update(data)
            yield data
        if whole.digest() != cid.digest:
            raise self._misled(cid)

    def _misled(self, cid: Cid) -> CorruptObjectError:
        self._damaged.add(cid)
        return CorruptObjectError(
            f"object {cid} is corrupt: the list of its chunks at {self.url} does not make it up; "
            "put the same bytes again to repair it"
        )

    # What is not asked of the service

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("this store is closed; open it again")

    def _check_root(self, name: str, cid: Cid | None) -> None:
        self._check_open()
        check_root_name(name)
        if cid is not None and not self.has(cid):
            raise MissingObjectError(
                f"root {name!r} cannot name {cid}: it is not in the store at {self.url}; put it "
                "first"
            )

    def _pending(self, cid: Cid) -> Payload | None:
        """The bytes of an object that an open batch of this thread holds back."""
        self._check_open()
        return self._batches.object(cid)


def _cut(cid: Cid, payload: Payload, pieces: dict[Cid, Payload]) -> bytes:
    """Add the object's chunks to the pieces; the list of them."""
    digests = bytearray()
    for start in range(0, len(payload), CHUNK_BYTES):
        part = payload[start : start + CHUNK_BYTES]
        chunk = Cid.of(part)
        pieces[chunk] = part
        digests += chunk.digest
    return encode_chunks(cid, ChunkList(len(payload), CHUNK_BYTES, bytes(digests)))
