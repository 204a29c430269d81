"""A store that keeps its bytes in memory: for tests, and for work whose results are not kept."""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from cid_store.batches import Batches, Layer, Payload
from cid_store.chunks import CHUNK_BYTES
from cid_store.cid import Cid, Codec
from cid_store.encoding import decode
from cid_store.errors import CorruptObjectError, MalformedNodeError, MissingObjectError, UsageError
from cid_store.nodes import links
from cid_store.store import GRACE_S, Buffer, ByteSource, check_range, check_root_name


class MemoryStore:
    """Bytes in, CID out, for as long as the process lives."""

    def __init__(self) -> None:
        self._objects: dict[Cid, Payload] = {}
        self._roots: dict[str, Cid] = {}
        self._put_at: dict[Cid, float] = {}
        self._batches = Batches()
        self._lock = threading.Lock()
        self._closed = False

    def put(self, data: Buffer, codec: Codec = Codec.RAW) -> Cid:
        """Keep `data` and return its name."""
        self._check_open()
        return self._batches.put(bytes(data), codec, self._keep)

    def put_many(self, blobs: Iterable[Buffer], codec: Codec = Codec.RAW) -> list[Cid]:
        """Keep every blob; names come back in the same order."""
        with self.batch():
            return [self.put(blob, codec) for blob in blobs]

    def get(self, cid: Cid) -> bytes:
        """The bytes of that name, hashed again before they are returned."""
        return bytes(self.view(cid))

    def get_many(self, cids: Iterable[Cid]) -> list[bytes]:
        """The bytes of each name, in the same order."""
        return [self.get(cid) for cid in cids]

    def put_stream(self, source: ByteSource, codec: Codec = Codec.RAW) -> Cid:
        """Keep what a source gives until its end."""
        self._check_open()
        data = bytearray()
        while part := source.read(CHUNK_BYTES):
            data += part
        return self.put(data, codec)

    def get_stream(self, cid: Cid) -> Iterator[bytes]:
        """The bytes in parts of at most 1 MiB, checked before the first is given."""
        view = self.view(cid)
        starts = range(0, len(view), CHUNK_BYTES)
        return (bytes(view[start : start + CHUNK_BYTES]) for start in starts)

    def read(self, cid: Cid, offset: int, length: int) -> bytes:
        """`length` of the bytes from `offset`, checked; fewer where the object ends."""
        check_range(offset, length)
        return bytes(self.view(cid)[offset : offset + length])

    def view(self, cid: Cid) -> memoryview:
        """The same bytes, checked, read-only, without a copy."""
        payload = self._find(cid)
        if payload is None:
            raise MissingObjectError(f"object {cid} is not in this store; put it or fetch it first")
        if Cid.of(payload, cid.codec) != cid:
            raise CorruptObjectError(
                f"object {cid} is corrupt in this machine's memory; put the same bytes again"
            )
        return memoryview(payload)

    def size(self, cid: Cid) -> int:
        """How many bytes the object has."""
        return len(self.view(cid))

    def has(self, cid: Cid) -> bool:
        """Whether `get` would find the object."""
        return self._find(cid) is not None

    @contextmanager
    def batch(self) -> Generator[None]:
        """Puts and roots inside appear to others together when the block ends without an error."""
        self._check_open()
        layer = Layer()
        with self._batches.opened(layer):
            yield
        self._check_open()
        if self._batches.innermost is None:
            self._keep(layer.objects, layer.roots)

    def set_root(self, name: str, cid: Cid | None) -> None:
        """Bind a name to a CID the store holds; None unbinds."""
        check_root_name(name)
        if cid is not None and not self.has(cid):
            raise MissingObjectError(
                f"root {name!r} cannot name {cid}: it is not in this store; put it first"
            )
        self._check_open()
        layer = self._batches.innermost
        if layer is None:
            self._keep({}, {name: cid})
        else:
            layer.roots[name] = cid

    def root(self, name: str) -> Cid | None:
        """The CID bound to that name, or None."""
        check_root_name(name)
        return self._bound().get(name)

    def roots(self, prefix: str = "") -> Iterator[tuple[str, Cid]]:
        """Every bound name with that prefix, in order, as of now."""
        check_root_name(prefix)
        bound = sorted((name, cid) for name, cid in self._bound().items() if cid is not None)
        return iter([pair for pair in bound if pair[0].startswith(prefix)])

    def gc(self, *, live: Callable[[], Iterable[Cid]] = tuple, grace_s: float = GRACE_S) -> int:
        """Drop what neither roots nor `live` lead to and was not put lately; how many objects."""
        self._check_open()
        with self._lock:
            # What was put lately is needed with all it links to, as in any store.
            since = time.monotonic() - grace_s
            recent = [cid for cid, at in self._put_at.items() if grace_s > 0 and at >= since]
            needed: set[Cid] = set()
            waiting = [*self._roots.values(), *live(), *recent]
            while waiting:
                cid = waiting.pop()
                if cid not in needed:
                    needed.add(cid)
                    waiting += self._linked(cid)
            garbage = [cid for cid in self._objects if cid not in needed]
            for cid in garbage:
                del self._objects[cid], self._put_at[cid]
        return len(garbage)

    def _linked(self, cid: Cid) -> list[Cid]:
        """What a node that is here links to."""
        payload = self._objects.get(cid)
        if payload is None or cid.codec is not Codec.NODE:
            return []
        try:
            return list(links(decode(bytes(payload))))
        except MalformedNodeError:
            return []

    def close(self) -> None:
        """Let everything go; closing twice is harmless."""
        self._closed = True
        self._objects.clear()
        self._roots.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("this store is closed; open it again")

    def _find(self, cid: Cid) -> Payload | None:
        self._check_open()
        pending = self._batches.object(cid)
        return pending if pending is not None else self._objects.get(cid)

    def _bound(self) -> dict[str, Cid | None]:
        self._check_open()
        with self._lock:
            return {**self._roots, **self._batches.roots()}

    def _keep(self, objects: Mapping[Cid, Payload], roots: Mapping[str, Cid | None]) -> None:
        with self._lock:
            self._objects.update(objects)
            self._put_at.update(dict.fromkeys(objects, time.monotonic()))
            for name, cid in roots.items():
                if cid is None:
                    self._roots.pop(name, None)
                else:
                    self._roots[name] = cid
