"""A store that a service keeps: objects of at most 1 MiB under their names, roots beside them."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from cid_store.batches import Batches, Layer, Payload
from cid_store.chunks import CHUNK_BYTES, ChunkList, encode_chunks
from cid_store.cid import Cid, Codec, digest_of, large_hasher
from cid_store.errors import CorruptObjectError, MissingObjectError, UsageError
from cid_store.remote import layout
from cid_store.remote.objects import Objects, cut_up
from cid_store.remote.service import RETRIES, TIMEOUT_S
from cid_store.store import Buffer, ByteSource, Store, check_range, check_root_name
from cid_store.streams import chunks_of, filled

_FLUSH_BYTES = 32 << 20  # a batch holds no more than this in memory


class RemoteStore:
    """A store at an address: s3://, gs://, az://, file://, or https:// for reading only.

    Nothing is asked of the service before the first use. Each root is bound at once, but those of
    a batch one after the other, when all its objects are kept.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S, retries: int = RETRIES) -> None:
        """Name the store; raises UsageError for no address, UnavailableError without the client."""
        self._objects = Objects(url, timeout_s=timeout_s, retries=retries)
        self._service = self._objects.service
        self.url = self._service.url
        self._batches = Batches()
        self._closed = False

    # Putting

    def put(self, data: Buffer, codec: Codec = Codec.RAW) -> Cid:
        """Keep `data` and return its name; the service has confirmed it."""
        self._check_open()
        return self._batches.put(bytes(data), codec, self.keep, most_bytes=_FLUSH_BYTES)

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
        self._objects.mark()
        whole = large_hasher()
        digests = bytearray()
        size = 0
        for chunk, cid in self._objects.sent(chunks_of(first, source)):
            whole.update(chunk)
            digests += cid.digest
            size += len(chunk)
        blob = Cid(codec, whole.digest())
        self.keep({}, {}, {blob: encode_chunks(blob, ChunkList(size, CHUNK_BYTES, bytes(digests)))})
        return blob

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
        self._objects.mark()
        pieces: dict[Cid, Payload] = {}
        whole_lists = dict(lists or {})
        for cid, payload in objects.items():
            if len(payload) <= CHUNK_BYTES:
                pieces[cid] = payload
            else:
                whole_lists[cid] = cut_up(cid, payload, pieces)
        # Objects first, lists next, roots last: what is named is there, wherever this ends.
        self._objects.each(self._objects.put, pieces.items())
        self._objects.each(self._objects.put_list, whole_lists.items())
        self._objects.each(self._put_root, roots.items())

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
        self._objects.mark()
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
        data = self._objects.small(cid)
        if data is not None:
            return data
        chunks = self._objects.chunks(cid)
        data = b"".join(self._objects.fetched(cid, chunks))
        if digest_of(data) != cid.digest:
            raise self._objects.misled(cid)
        return data

    def get_many(self, cids: Iterable[Cid]) -> list[bytes]:
        """The bytes of each name, in the same order, fetched many at once."""
        wanted = list(cids)
        found = self.get_small(dict.fromkeys(wanted))
        return [found[cid] if cid in found else self.get(cid) for cid in wanted]

    def get_small(self, cids: Iterable[Cid]) -> dict[Cid, bytes]:
        """Those of the objects that are kept whole, which are at most 1 MiB each."""
        wanted = [cid for cid in cids if self._pending(cid) is None]
        answers = self._objects.each(lambda cid: (cid, self._objects.small(cid)), wanted)
        return {cid: data for cid, data in answers if data is not None}

    def get_stream(self, cid: Cid, *, near: Store | None = None) -> Iterator[bytes]:
        """The bytes in parts of at most 1 MiB, each checked before it is given.

        Parts of a large object that the store `near` has are taken from there.
        """
        pending = self._pending(cid)
        data = bytes(pending) if pending is not None else self._objects.small(cid)
        if data is not None:
            whole = data
            starts = range(0, len(whole), CHUNK_BYTES)
            return (whole[start : start + CHUNK_BYTES] for start in starts)
        return self._objects.stream(cid, self._objects.chunks(cid), near)

    def read(self, cid: Cid, offset: int, length: int) -> bytes:
        """`length` of the bytes from `offset`; only the chunks they lie in are fetched.

        Each chunk is checked against the object's list. A list that somebody forged, who may write
        to the service, is found by `get` and at the end of `get_stream` only.
        """
        check_range(offset, length)
        pending = self._pending(cid)
        data = pending if pending is not None else self._objects.small(cid)
        if data is not None:
            return bytes(data[offset : offset + length])
        pieces = list(self._objects.chunks(cid).pieces(offset, offset + length))
        fetch: dict[Cid, None] = dict.fromkeys(piece.chunk for piece in pieces)
        parts = dict(
            self._objects.each(lambda chunk: (chunk, self._objects.chunk(cid, chunk)), fetch)
        )
        return b"".join(parts[piece.chunk][piece.start : piece.stop] for piece in pieces)

    def view(self, cid: Cid) -> memoryview:
        """The same bytes, read-only."""
        return memoryview(self.get(cid))

    def size(self, cid: Cid) -> int:
        """How many bytes the object has, as the service says."""
        pending = self._pending(cid)
        if pending is not None:
            return len(pending)
        self._objects.look()
        size = self._service.size(layout.object_key(cid))
        return size if size is not None else self._objects.chunks(cid).size

    def has(self, cid: Cid) -> bool:
        """Whether the service has something under that name."""
        if self._pending(cid) is not None:
            return True
        self._objects.look()
        keys = (layout.object_key(cid), layout.list_key(cid))
        return any(self._service.size(key) is not None for key in keys)

    def lacks(self, sizes: Mapping[Cid, int], *, check: bool = False) -> list[Cid]:
        """Which of these objects the service lacks, or has in another length.

        With `check` each is read, and those that are damaged are among them; putting them again
        repairs them.
        """
        self._check_open()
        self._objects.look()
        if not check:
            held = self._objects.each(lambda item: self._objects.holds(*item), sizes.items())
            return [cid for cid, there in zip(sizes, held, strict=True) if not there]
        right = self._objects.each(self._objects.is_right, sizes)
        # One large object after the other: its chunks are fetched many at once already.
        return [
            cid
            for (cid, size), there in zip(sizes.items(), right, strict=True)
            if not there and (size <= CHUNK_BYTES or not self._objects.make_up(cid))
        ]

    def root(self, name: str) -> Cid | None:
        """The CID bound to that name, or None."""
        check_root_name(name)
        self._check_open()
        pending = self._batches.roots()
        if name in pending:
            return pending[name]
        self._objects.look()
        bound = self._binding(layout.root_key(name))
        return bound[1] if bound is not None else None

    def roots(
        self, prefix: str = "", *, damaged: Callable[[CorruptObjectError], object] | None = None
    ) -> Iterator[tuple[str, Cid]]:
        """Every bound name with that prefix, in order, as of now.

        A damaged root is told to `damaged` and left out; without it the error is raised.
        """
        check_root_name(prefix)
        self._check_open()
        self._objects.look()
        keys = self._service.keys(layout.ROOTS_PREFIX)
        wanted = [key for key in keys if layout.may_begin_with(key, prefix)]
        found: list[tuple[str, Cid | None] | None] = []
        for answer in self._objects.each(self._read_root, wanted):
            if not isinstance(answer, CorruptObjectError):
                found.append(answer)
            elif damaged is not None:
                damaged(answer)
            else:
                raise answer
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
        self._objects.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _binding(self, key: str) -> tuple[str, Cid | None] | None:
        data = self._service.get(key, layout.MAX_SMALL_BYTES)
        return layout.parse_root(key, data, self.url) if data is not None else None

    def _read_root(self, key: str) -> tuple[str, Cid | None] | CorruptObjectError | None:
        try:
            return self._binding(key)
        except CorruptObjectError as error:
            return error

    def _put_root(self, item: tuple[str, Cid | None]) -> None:
        name, cid = item
        key = layout.root_key(name)
        if cid is not None or self._service.size(key) is not None:
            self._service.replace(key, layout.root_record(name, cid))

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
