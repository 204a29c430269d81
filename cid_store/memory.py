"""A store that keeps its bytes in memory: for tests, and for work whose results are not kept."""

import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Self

from cid_store.cid import Cid, Codec
from cid_store.errors import CorruptObjectError, MissingObjectError, UsageError
from cid_store.store import Buffer


class _Layer:
    """What one open batch holds back."""

    def __init__(self) -> None:
        self.objects: dict[Cid, bytes] = {}
        self.roots: dict[str, Cid | None] = {}


class _Batches(threading.local):
    """The open batches of the thread that asks, the innermost last."""

    def __init__(self) -> None:
        self.layers: list[_Layer] = []


class MemoryStore:
    """Bytes in, CID out, for as long as the process lives."""

    def __init__(self) -> None:
        self._objects: dict[Cid, bytes] = {}
        self._roots: dict[str, Cid] = {}
        self._batches = _Batches()
        self._lock = threading.RLock()
        self._closed = False

    def put(self, data: Buffer, codec: Codec = Codec.RAW) -> Cid:
        """Keep `data` and return its name."""
        self._check_open()
        kept = bytes(data)
        cid = Cid.of(kept, codec)
        with self._lock:
            self._target_objects()[cid] = kept
        return cid

    def put_many(self, blobs: Iterable[Buffer], codec: Codec = Codec.RAW) -> list[Cid]:
        """Keep every blob; names come back in the same order."""
        return [self.put(blob, codec) for blob in blobs]

    def get(self, cid: Cid) -> bytes:
        """The bytes of that name, hashed again before they are returned."""
        self._check_open()
        data = self._find(cid)
        if data is None:
            raise MissingObjectError(f"object {cid} is not in this store; put it or fetch it")
        if Cid.of(data, cid.codec) != cid:
            raise CorruptObjectError(f"object {cid} is corrupt in memory; this machine is faulty")
        return data

    def view(self, cid: Cid) -> memoryview:
        """The same bytes, checked, read-only, without a copy."""
        return memoryview(self.get(cid))

    def has(self, cid: Cid) -> bool:
        """Whether `get` would find the object."""
        self._check_open()
        return self._find(cid) is not None

    @contextmanager
    def batch(self) -> Generator[None]:
        """Puts and roots inside appear to others together when the block ends without an error."""
        self._check_open()
        layers = self._batches.layers
        layer: _Layer = _Layer()
        layers.append(layer)
        try:
            yield
        except BaseException:
            layers.pop()
            raise
        layers.pop()
        self._check_open()
        with self._lock:
            self._target_objects().update(layer.objects)
            for name, cid in layer.roots.items():
                self._bind(name, cid)

    def set_root(self, name: str, cid: Cid | None) -> None:
        """Bind a name to a CID the store holds; None unbinds."""
        self._check_open()
        if cid is not None and not self.has(cid):
            raise MissingObjectError(
                f"root {name!r} cannot name {cid}: it is not in this store; put it first"
            )
        with self._lock:
            self._bind(name, cid)

    def root(self, name: str) -> Cid | None:
        """The CID bound to that name, or None."""
        self._check_open()
        for layer in reversed(self._batches.layers):
            if name in layer.roots:
                return layer.roots[name]
        return self._roots.get(name)

    def roots(self, prefix: str = "") -> Iterator[tuple[str, Cid]]:
        """Every bound name with that prefix, in order."""
        self._check_open()
        with self._lock:
            bound: dict[str, Cid | None] = dict(self._roots)
        for layer in self._batches.layers:
            bound.update(layer.roots)
        pairs = [(name, cid) for name, cid in bound.items() if cid is not None]
        return iter(sorted(pair for pair in pairs if pair[0].startswith(prefix)))

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

    def _find(self, cid: Cid) -> bytes | None:
        for layer in reversed(self._batches.layers):
            if cid in layer.objects:
                return layer.objects[cid]
        return self._objects.get(cid)

    def _target_objects(self) -> dict[Cid, bytes]:
        layers = self._batches.layers
        return layers[-1].objects if layers else self._objects

    def _bind(self, name: str, cid: Cid | None) -> None:
        layers = self._batches.layers
        if layers:
            layers[-1].roots[name] = cid
        elif cid is None:
            self._roots.pop(name, None)
        else:
            self._roots[name] = cid
