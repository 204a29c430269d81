"""The objects that a service keeps: fetched one by one or many at once, and checked."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from itertools import islice
from typing import TypeVar

from cid_store.batches import Payload
from cid_store.chunks import CHUNK_BYTES, ChunkList, encode_chunks
from cid_store.cid import Cid, digest_of, large_hasher
from cid_store.errors import CorruptObjectError, DamageError, InputError, MissingObjectError
from cid_store.remote import layout
from cid_store.remote.service import Service
from cid_store.remote.workers import Workers, result_of
from cid_store.store import Store

_AT_ONCE = 16  # requests under way: a service is far away, so most of each is waiting
_AHEAD = 8  # chunks of a stream that are fetched before they are asked for

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


class Objects:
    """What lies under objects/ and lists/; safe to call from any thread."""

    def __init__(self, url: str, *, timeout_s: float, retries: int) -> None:
        self._workers = Workers(_AT_ONCE)
        self.service = Service(url, self._workers, timeout_s=timeout_s, retries=retries)
        self.url = self.service.url
        self._damaged: set[Cid] = set()  # seen by this process; a put writes them again
        self._marked = False
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let connections go."""
        self._workers.close()

    # The store's marker

    def look(self) -> None:
        """See once that what lies there is a store; nothing at all is one that is still empty."""
        if self._marked:
            return
        marker = self.service.get(layout.MARKER_KEY, layout.MAX_SMALL_BYTES)
        if marker is not None:
            layout.check_marker(marker, self.url)
            self._marked = True
        elif not self.service.writable:
            raise InputError(
                f"there is no Redoxa store at {self.url}; the address is that of the folder "
                f"that holds {layout.MARKER_KEY!r}"
            )

    def mark(self) -> None:
        """The same before writing: the first to write makes the store."""
        with self._lock:
            self.look()
            if not self._marked and not self.service.create(layout.MARKER_KEY, layout.MARKER):
                self.look()  # another was first
            self._marked = True

    # One request each

    def small(self, cid: Cid) -> bytes | None:
        """The object where it is kept whole."""
        self.look()
        key = layout.object_key(cid)
        data = self._value(cid, key, CHUNK_BYTES)
        if data is not None and digest_of(data) != cid.digest:
            self._damaged.add(cid)
            raise CorruptObjectError(
                f"object {cid} is corrupt at {self.url}: its {len(data):,} bytes hash to "
                f"{digest_of(data).hex()[:8]} instead of {cid.digest.hex()[:8]}; "
                f"{layout.remedy(key)}"
            )
        return data

    def chunks(self, cid: Cid) -> ChunkList:
        """The list of the object's chunks. Raises MissingObjectError where there is none."""
        self.look()
        data = self._value(cid, layout.list_key(cid), layout.MAX_LIST_BYTES)
        if data is None:
            raise MissingObjectError(
                f"object {cid} is not in the store at {self.url}; put it or fetch it first"
            )
        try:
            return layout.parse_list(cid, data, self.url)
        except CorruptObjectError:
            self._damaged.add(cid)
            raise

    def chunk(self, cid: Cid, chunk: Cid) -> bytes:
        """That chunk of the object."""
        data = self.small(chunk)
        if data is None:
            raise CorruptObjectError(
                f"object {cid} is corrupt: its chunk {chunk} is not at {self.url}; "
                f"{layout.remedy(layout.object_key(chunk))}"
            )
        return data

    def _value(self, cid: Cid, key: str, limit: int) -> bytes | None:
        try:
            return self.service.get(key, limit)
        except CorruptObjectError:
            self._damaged.add(cid)
            raise

    def put(self, item: tuple[Cid, Payload]) -> None:
        """Keep an object of at most 1 MiB."""
        cid, payload = item
        self._place(cid, layout.object_key(cid), bytes(payload))

    def put_list(self, item: tuple[Cid, bytes]) -> None:
        """Keep the list of an object whose chunks are kept."""
        cid, data = item
        self._place(cid, layout.list_key(cid), data)

    def _place(self, cid: Cid, key: str, data: bytes) -> None:
        # Only if absent: who puts what is there leaves it alone, unless it is seen to be damaged.
        if cid not in self._damaged and (
            self.service.create(key, data) or self.service.size(key) == len(data)
        ):
            return
        self.service.replace(key, data)
        self._damaged.discard(cid)

    def holds(self, cid: Cid, size: int) -> bool:
        """Whether the object is there in that length, and confirmed."""
        if size <= CHUNK_BYTES:
            return self.service.holds(layout.object_key(cid), size)
        return self.service.holds(layout.list_key(cid), layout.list_size(size))

    def is_right(self, cid: Cid) -> bool:
        """Whether the object is kept whole and as it should be."""
        try:
            return self.small(cid) is not None
        except CorruptObjectError:
            return False

    # Many requests

    def each(self, do: Callable[[_Item], _Answer], items: Iterable[_Item]) -> list[_Answer]:
        """Do it to every item, many at once; the first error ends it."""
        waiting = list(items)
        if len(waiting) <= 1:
            return [do(item) for item in waiting]
        futures = [self._workers.submit(do, item) for item in waiting]
        try:
            return [result_of(future) for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def fetched(self, cid: Cid, chunks: ChunkList, near: Store | None = None) -> Iterator[bytes]:
        """The chunks in order, some of them fetched ahead; those that `near` has are its own."""

        def nearest(chunk: Cid) -> bytes:
            if near is not None and near.has(chunk):
                with suppress(DamageError):
                    return near.get(chunk)
            return self.chunk(cid, chunk)

        names = iter([name for name, _ in chunks.chunks()])
        ahead: deque[Future[bytes]] = deque()
        try:
            while True:
                for name in islice(names, _AHEAD - len(ahead)):
                    ahead.append(self._workers.submit(nearest, name))
                if not ahead:
                    return
                yield result_of(ahead.popleft())
        finally:
            for future in ahead:
                future.cancel()

    def sent(self, chunks: Iterable[bytes]) -> Iterator[tuple[bytes, Cid]]:
        """The chunks and their names; all are kept when the iterator is at its end."""

        def send(cid: Cid, chunk: bytes) -> None:
            # Asking costs little beside sending a MiB that a push which broke off left there.
            if cid in self._damaged or not self.holds(cid, len(chunk)):
                self.put((cid, chunk))

        under_way: deque[Future[None]] = deque()
        for chunk in chunks:
            cid = Cid.of(chunk)
            under_way.append(self._workers.submit(send, cid, chunk))
            yield chunk, cid
            if len(under_way) == _AT_ONCE:
                result_of(under_way.popleft())
        for future in under_way:
            result_of(future)

    def make_up(self, cid: Cid) -> bool:
        """Whether the chunks in its list are there and make up the object."""
        try:
            return all(True for _ in self.stream(cid, self.chunks(cid)))
        except (CorruptObjectError, MissingObjectError):
            return False

    def stream(self, cid: Cid, chunks: ChunkList, near: Store | None = None) -> Iterator[bytes]:
        """The chunks in order, and at the end the certainty that they make up the object."""
        whole = large_hasher()
        for data in self.fetched(cid, chunks, near):
            whole.update(data)
            yield data
        if whole.digest() != cid.digest:
            raise self.misled(cid)

    def misled(self, cid: Cid) -> CorruptObjectError:
        """The error for an object that its list does not make up."""
        self._damaged.add(cid)
        return CorruptObjectError(
            f"object {cid} is corrupt: the list of its chunks at {self.url} does not make it up; "
            f"{layout.remedy(layout.list_key(cid))}"
        )


def cut_up(cid: Cid, payload: Payload, pieces: dict[Cid, Payload]) -> bytes:
    """Add the object's chunks to the pieces; the list of them."""
    digests = bytearray()
    for start in range(0, len(payload), CHUNK_BYTES):
        part = payload[start : start + CHUNK_BYTES]
        chunk = Cid.of(part)
        pieces[chunk] = part
        digests += chunk.digest
    return encode_chunks(cid, ChunkList(len(payload), CHUNK_BYTES, bytes(digests)))
