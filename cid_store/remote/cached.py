"""A local store as a verified cache in front of a remote one."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Self, TypeVar

from cid_store.chunks import CHUNK_BYTES
from cid_store.cid import Cid, Codec
from cid_store.errors import DamageError, UnavailableError, UsageError
from cid_store.remote.remote import RemoteStore
from cid_store.store import Buffer, ByteSource, Store

_FILL_BYTES = 16 << 20  # a part of what is larger is fetched by itself

_Value = TypeVar("_Value")


class CachedStore:
    """The remote store, with what was once got or put kept here, too.

    What the cache holds is read without asking the service, and its damage is made good from
    there. Nothing enters the cache that does not hash to its name. Roots are the remote's. What
    the cache cannot keep (its disk is full, or it is only read) is got all the same. Closing it
    closes both.
    """

    def __init__(self, remote: RemoteStore, local: Store) -> None:
        self._remote = remote
        self._local = local

    def put(self, data: Buffer, codec: Codec = Codec.RAW) -> Cid:
        """Keep `data` in both; the service has confirmed it."""
        payload = bytes(data)
        cid = self._remote.put(payload, codec)
        self._fill(lambda: self._local.put(payload, codec))
        return cid

    def put_many(self, blobs: Iterable[Buffer], codec: Codec = Codec.RAW) -> list[Cid]:
        """Keep every blob in both; names come back in the same order."""
        with self.batch():
            return [self.put(blob, codec) for blob in blobs]

    def put_stream(self, source: ByteSource, codec: Codec = Codec.RAW) -> Cid:
        """Keep what a source gives, here first: the service gets it from the cache."""
        cid = self._local.put_stream(source, codec)
        remote = self._remote.put_stream(Parts(self._local.get_stream(cid)), codec)
        assert remote == cid, "a stream out of a store is what was put"
        return cid

    @contextmanager
    def batch(self) -> Generator[None]:
        """What is put inside is kept by the service, then here, when the block ends well."""
        with self._local.batch(), self._remote.batch():
            yield

    def get(self, cid: Cid) -> bytes:
        """The bytes of that name: of the cache, else fetched into it."""
        return self._read(cid, lambda store: store.get(cid))

    def get_many(self, cids: Iterable[Cid]) -> list[bytes]:
        """The bytes of each name; what the cache lacks is fetched many at once."""
        wanted = list(cids)
        absent = [cid for cid in dict.fromkeys(wanted) if not self._local.has(cid)]
        fetched = self._remote.get_small(absent) if absent else {}

        def fill() -> None:
            with self._local.batch():
                for cid, data in fetched.items():
                    self._local.put(data, cid.codec)

        self._fill(fill)
        return [fetched[cid] if cid in fetched else self.get(cid) for cid in wanted]

    def get_stream(self, cid: Cid) -> Iterator[bytes]:
        """The bytes in parts, each checked; all of them are in the cache before the first."""
        return self._read(cid, lambda store: store.get_stream(cid))

    def read(self, cid: Cid, offset: int, length: int) -> bytes:
        """`length` of the bytes from `offset`; of a large object only those are fetched."""
        if not self._local.has(cid) and self._remote.size(cid) > _FILL_BYTES:
            return self._remote.read(cid, offset, length)
        return self._read(cid, lambda store: store.read(cid, offset, length))

    def view(self, cid: Cid) -> memoryview:
        """The same bytes, read-only, without a copy where the cache can."""
        return self._read(cid, lambda store: store.view(cid))

    def size(self, cid: Cid) -> int:
        """How many bytes the object has."""
        return (self._local if self._local.has(cid) else self._remote).size(cid)

    def has(self, cid: Cid) -> bool:
        """Whether `get` would find the object, here or there."""
        return self._local.has(cid) or self._remote.has(cid)

    def set_root(self, name: str, cid: Cid | None) -> None:
        """Bind a name in the remote store; None unbinds."""
        self._remote.set_root(name, cid)

    def root(self, name: str) -> Cid | None:
        """The CID bound to that name in the remote store, or None."""
        return self._remote.root(name)

    def roots(self, prefix: str = "") -> Iterator[tuple[str, Cid]]:
        """Every name bound in the remote store with that prefix, in order."""
        return self._remote.roots(prefix)

    def close(self) -> None:
        """Let both go. Closing twice is harmless."""
        self._remote.close()
        self._local.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _read(self, cid: Cid, read: Callable[[Store], _Value]) -> _Value:
        """What the cache gives; where it lacks the object or is damaged, after fetching it."""
        if self._local.has(cid):
            with suppress(DamageError):
                return read(self._local)
        fetched = Parts(self._remote.get_stream(cid, near=self._local))
        self._fill(lambda: self._local.put_stream(fetched, cid.codec), fetched)
        return read(self._local if self._local.has(cid) else self._remote)

    def _fill(self, fill: Callable[[], object], fetched: "Parts | None" = None) -> None:
        """Keep something in the cache, if the cache can: it may be full, or only for reading."""
        try:
            fill()
        except (UnavailableError, UsageError):
            if fetched is not None and fetched.broke:
                raise


class Parts:
    """A source that gives the parts of a stream, and raises what the stream raises."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._left = memoryview(b"")
        self.broke = False  # whether the stream raised something

    def read(self, size: int = CHUNK_BYTES, /) -> bytes:
        """At most `size` bytes; none at the end."""
        while not self._left:
            try:
                part = next(self._parts, None)
            except BaseException:
                self.broke = True
                raise
            if part is None:
                return b""
            self._left = memoryview(part)
        given, self._left = self._left[:size], self._left[size:]
        return bytes(given)
