"""The store on a disk: append-only packs that tell the truth, and an index that finds it fast."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from cid_store.batches import Batches, Layer, Payload
from cid_store.cid import Cid, Codec
from cid_store.errors import InputError, MissingObjectError
from cid_store.folder import Place
from cid_store.index import Index
from cid_store.keeper import Keeper
from cid_store.store import Buffer, check_root_name

if TYPE_CHECKING:
    from cid_store.verify import Progress, VerifyReport

LOCK_TIMEOUT_S = 30.0

_FLUSH_BYTES = 32 << 20  # a batch holds no more than this in memory


class StoreStat(NamedTuple):
    """How much a store holds, and what that takes on the disk."""

    objects: int
    object_bytes: int
    roots: int
    packs: int
    disk_bytes: int


class LocalStore:
    """A store in one folder. Any number of processes may use it; they take turns in writing.

    A batch belongs to the thread that opened it. A batch inside a batch becomes durable with the
    outer one. Large batches become durable in parts, the roots always last.
    """

    def __init__(
        self, path: Path | str, *, read_only: bool = False, lock_timeout_s: float = LOCK_TIMEOUT_S
    ) -> None:
        """Open the store, or make one where nothing is; what a crash left is put in order.

        Raises InputError where there can be no store, StoreLockedError where another process
        keeps writing, UnavailableError where the disk does not do its work.
        """
        self.path = Path(path).absolute()
        self._batches = Batches()
        try:
            self._keeper = Keeper(self.path, read_only=read_only, lock_timeout_s=lock_timeout_s)
        except OSError as error:
            raise InputError(
                f"the store at {self.path} cannot be opened ({error.strerror}); name a folder you "
                "may write to"
            ) from error

    # Putting

    def put(self, data: Buffer, codec: Codec = Codec.RAW) -> Cid:
        """Keep `data` and return its name; it then survives a power cut."""
        self._keeper.check_writable()
        payload = _unchanging(data)
        cid = Cid.of(payload, codec)
        layer = self._batches.innermost
        if layer is None:
            self._keeper.keep({cid: payload}, {})
            return cid
        layer.add(cid, payload)
        if layer.size_bytes > _FLUSH_BYTES:
            # What fills up goes out early: objects without a root are at worst unused.
            self._keeper.keep(layer.drain(), {})
        return cid

    def put_many(self, blobs: Iterable[Buffer], codec: Codec = Codec.RAW) -> list[Cid]:
        """Keep every blob with one wait for the disk; names come back in the same order."""
        with self.batch():
            return [self.put(blob, codec) for blob in blobs]

    @contextmanager
    def batch(self) -> Generator[None]:
        """Puts and roots inside become durable together when the block ends without an error."""
        self._keeper.check_writable()
        layer = Layer()
        with self._batches.opened(layer):
            yield
        self._keeper.check_writable()
        if self._batches.innermost is None:
            self._keeper.keep(layer.objects, layer.roots)

    def set_root(self, name: str, cid: Cid | None) -> None:
        """Bind a name to a CID the store holds; None unbinds. Durable as a put is."""
        self._keeper.check_writable()
        check_root_name(name)
        if cid is not None and not self.has(cid):
            raise MissingObjectError(
                f"root {name!r} cannot name {cid}: it is not in the store at {self.path}; put it "
                "first"
            )
        layer = self._batches.innermost
        if layer is None:
            self._keeper.keep({}, {name: cid})
        else:
            layer.roots[name] = cid

    # Getting

    def get(self, cid: Cid) -> bytes:
        """The bytes of that name, hashed as they are returned."""
        pending = self._pending(cid)
        if pending is not None:
            return bytes(pending)
        place = self._place(cid)
        data = self._keeper.read(place)
        if Cid.of(data, cid.codec) == cid:
            return data
        place = self._keeper.sound_place(cid, place, data)
        data = self._keeper.read(place)
        if Cid.of(data, cid.codec) == cid:
            return data
        raise self._keeper.corrupt(cid, place, data)

    def view(self, cid: Cid) -> memoryview:
        """The same bytes, mapped and read-only; checked now, and as lasting as the pack's file.

        A view stays valid after `close`.
        """
        pending = self._pending(cid)
        if pending is not None:
            return memoryview(pending).toreadonly()
        place = self._place(cid)
        data = self._keeper.view(place)
        if Cid.of(data, cid.codec) == cid:
            return data
        place = self._keeper.sound_place(cid, place, data)
        data = self._keeper.view(place)
        if Cid.of(data, cid.codec) == cid:
            return data
        raise self._keeper.corrupt(cid, place, data)

    def has(self, cid: Cid) -> bool:
        """Whether the store knows the object (it does not read it)."""
        return self._pending(cid) is not None or self._keeper.find(cid) is not None

    def root(self, name: str) -> Cid | None:
        """The CID bound to that name, or None."""
        check_root_name(name)
        self._keeper.check_open()
        pending = self._batches.roots()
        if name in pending:
            return pending[name]
        return self._keeper.ask(lambda index: index.root(name))

    def roots(self, prefix: str = "") -> Iterator[tuple[str, Cid]]:
        """Every bound name with that prefix, in order, as of now."""
        check_root_name(prefix)
        bound: dict[str, Cid | None] = {**self._keeper.ask(lambda index: index.roots(prefix))}
        pending = self._batches.roots().items()
        bound.update((name, cid) for name, cid in pending if name.startswith(prefix))
        return iter(sorted((name, cid) for name, cid in bound.items() if cid is not None))

    # The store as a whole

    def stat(self) -> StoreStat:
        """How much the store holds, and what that takes on the disk."""
        totals = self._keeper.ask(Index.totals)
        files = [path.lstat() for path in self.path.rglob("*")]
        return StoreStat(
            *totals,
            packs=len(self._keeper.packs.numbers()),
            disk_bytes=sum(file.st_blocks * 512 for file in files),
        )

    def verify(self, progress: "Progress | None" = None) -> "VerifyReport":
        """Read everything, and compare packs, index and roots with one another.

        `progress` is told of the bytes read. Where nothing but the index is wrong, it is rebuilt
        (unless the store is read-only) and the report says so.
        """
        from cid_store.verify import verify_packs  # noqa: PLC0415 - start-up is performance

        keeper = self._keeper
        report = keeper.ask(lambda index: verify_packs(keeper.packs, index, progress))
        if not report.index_is_wrong or report.damage or keeper.read_only:
            return report
        keeper.rebuild_index()
        after = keeper.ask(lambda index: verify_packs(keeper.packs, index, None))
        rebuilt = "the index disagreed with the packs and was rebuilt from them"
        return after._replace(notes=(rebuilt, *after.notes))

    def close(self) -> None:
        """Let files and locks go; what was put is durable already. Closing twice is harmless."""
        self._keeper.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _pending(self, cid: Cid) -> Payload | None:
        """The bytes of an object that an open batch of this thread holds back."""
        self._keeper.check_open()
        return self._batches.object(cid)

    def _place(self, cid: Cid) -> Place:
        place = self._keeper.find(cid)
        if place is None:
            raise MissingObjectError(
                f"object {cid} is not in the store at {self.path}; put it or fetch it first"
            )
        return place


def _unchanging(data: Buffer) -> Payload:
    """Bytes that stay as they are: a copy, unless they cannot change anyway."""
    if type(data) is bytes:
        return data
    if isinstance(data, memoryview) and type(data.obj) is bytes and data.c_contiguous:
        return data.cast("B")
    return bytes(data)
