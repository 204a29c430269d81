"""The store on a disk: append-only packs that tell the truth, and an index that finds it fast."""

import errno
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from cid_store.batches import Batches, Layer, Payload
from cid_store.census import Census
from cid_store.chunks import CHUNK_BYTES
from cid_store.cid import Cid, Codec
from cid_store.errors import (
    InputError,
    RedoxaError,
    StoreLockedError,
    UnavailableError,
    UsageError,
)
from cid_store.folder import unreadable
from cid_store.keeper import Keeper
from cid_store.reading import Reader
from cid_store.store import GRACE_S, Buffer, check_range, check_root_name
from cid_store.tiers import Books, Tier, tier_of

if TYPE_CHECKING:
    from cid_store.collect import Starts
    from cid_store.gc_report import GcReport
    from cid_store.inventory import Entry
    from cid_store.repair import Derives, RepairReport
    from cid_store.store import ByteSource
    from cid_store.tiers import Demoted, Rebuild
    from cid_store.verify import Progress, VerifyReport

LOCK_TIMEOUT_S = 30.0

_DISK_FAILS = {errno.EIO, errno.ENOSPC, errno.EDQUOT}  # whatever the caller may do there
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
        self,
        path: Path | str,
        *,
        read_only: bool = False,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
        rebuild: "Rebuild | None" = None,
    ) -> None:
        """Open the store, or make one where nothing is; what a crash left is put in order.

        Without `rebuild`, objects that were demoted can be known, moved and collected, not read.
        Raises InputError where there can be no store, StoreLockedError where another process
        keeps writing, UnavailableError where the disk does not do its work.
        """
        self.path = Path(path).absolute()
        self._batches = Batches()
        try:
            self._keeper = Keeper(self.path, read_only=read_only, lock_timeout_s=lock_timeout_s)
        except OSError as error:
            if error.errno in _DISK_FAILS:
                raise unreadable(self.path, error) from error
            raise InputError(
                f"the store at {self.path} cannot be opened ({error.strerror}); name a folder you "
                "may write to"
            ) from error
        self._reader = Reader(self._keeper, rebuild)

    @classmethod
    def to_read(cls, path: Path | str, *, rebuild: "Rebuild | None" = None) -> Self:
        """Open the store as ever or, where nothing can be written, for reading only.

        So what a crash left is put in order if it can be, and what is there is read if it cannot:
        on a full disk, on one that takes no writes, in a folder of somebody else's.
        """
        try:
            return cls(path, rebuild=rebuild)
        except (InputError, UnavailableError) as refused:
            if isinstance(refused, StoreLockedError):
                raise
            try:
                store = cls(path, read_only=True, rebuild=rebuild)
            except RedoxaError:
                raise refused from None
            if not store._keeper.packs.numbers():
                store.close()
                raise  # there is no store yet, and nothing to read
            return store

    # Putting

    def put(self, data: Buffer, codec: Codec = Codec.RAW) -> Cid:
        """Keep `data` and return its name; it then survives a power cut."""
        self._keeper.check_writable()
        return self._batches.put(
            _unchanging(data), codec, self._keeper.keep, most_bytes=_FLUSH_BYTES
        )

    def put_many(self, blobs: Iterable[Buffer], codec: Codec = Codec.RAW) -> list[Cid]:
        """Keep every blob with one wait for the disk; names come back in the same order."""
        with self.batch():
            put, keep = self._batches.put, self._keeper.keep
            return [put(_unchanging(blob), codec, keep, most_bytes=_FLUSH_BYTES) for blob in blobs]

    def put_stream(self, source: "ByteSource", codec: Codec = Codec.RAW) -> Cid:
        """Keep what a source gives until its end; it need not fit into memory.

        What is longer than 1 MiB is kept in chunks of 1 MiB, each checked by itself when it is
        read, and is durable on return, inside a batch, too.
        """
        from cid_store.streams import filled, keep_stream  # noqa: PLC0415 - start-up is performance

        self._keeper.check_writable()
        first = filled(source, CHUNK_BYTES + 1)
        if len(first) <= CHUNK_BYTES:
            return self.put(first, codec)
        return keep_stream(self._keeper, first, source, codec)

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
            raise self._keeper.dangling(name, cid)
        layer = self._batches.innermost
        if layer is None:
            self._keeper.keep({}, {name: cid})
        else:
            layer.roots[name] = cid

    # Getting

    def get(self, cid: Cid) -> bytes:
        """The bytes of that name, hashed as they are returned."""
        pending = self._admitted(cid)
        return bytes(pending) if pending is not None else self._reader.get(cid)

    def get_many(self, cids: Iterable[Cid]) -> list[bytes]:
        """The bytes of each name in the same order, read in the order they lie on the disk."""
        wanted = list(cids)
        pending = {cid: data for cid in wanted if (data := self._admitted(cid)) is not None}
        found = self._reader.get_many([cid for cid in wanted if cid not in pending])
        return [found[cid] if cid in found else bytes(pending[cid]) for cid in wanted]

    def get_stream(self, cid: Cid) -> Iterator[bytes]:
        """The same bytes in parts of at most 1 MiB, each checked before it is given.

        Raises CorruptObjectError at the first part that is not what it was.
        """
        pending = self._admitted(cid)
        if pending is not None:
            starts = range(0, len(pending), CHUNK_BYTES)
            return (bytes(pending[start : start + CHUNK_BYTES]) for start in starts)
        self._reader.place(cid)  # missing is said now, not when the first part is asked for
        return self._reader.stream(cid)

    def read(self, cid: Cid, offset: int, length: int) -> bytes:
        """`length` bytes of the object from `offset`, checked; fewer where it ends.

        Of an object kept in chunks only those are read that are needed, of any other all of it.
        """
        check_range(offset, length)
        pending = self._admitted(cid)
        if pending is not None:
            return bytes(pending[offset : offset + length])
        return self._reader.part(cid, offset, offset + length)

    def view(self, cid: Cid) -> memoryview:
        """The same bytes, read-only and checked now: mapped, or a copy of what was a stream.

        What is mapped lasts as long as the pack's file. A view stays valid after `close`.
        """
        pending = self._admitted(cid)
        return memoryview(pending).toreadonly() if pending is not None else self._reader.view(cid)

    def size(self, cid: Cid) -> int:
        """How many bytes the object has, as the store knows it (it does not read them)."""
        pending = self._pending(cid)
        return len(pending) if pending is not None else self._reader.size(cid)

    def places(self, cid: Cid) -> "list[tuple[int, int, int]] | None":
        """Where the object's bytes now lie: pack, offset and length of each part, in order.

        None where they are in no pack. Whoever reads them there must check what was read: a
        collection may move them at any time.
        """
        return None if self._pending(cid) is not None else self._reader.places(cid)

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
        return self._keeper.root(name)

    def roots(self, prefix: str = "") -> Iterator[tuple[str, Cid]]:
        """Every bound name with that prefix, in order, as of now."""
        check_root_name(prefix)
        bound: dict[str, Cid | None] = {**self._keeper.roots(prefix)}
        pending = self._batches.roots().items()
        bound.update((name, cid) for name, cid in pending if name.startswith(prefix))
        return iter(sorted((name, cid) for name, cid in bound.items() if cid is not None))

    # Tiers

    def tier(self, cid: Cid) -> Tier:
        """How far away the object's bytes are. Raises MissingObjectError."""
        pending = self._pending(cid)
        return Tier.ILLUMINATED if pending is not None else tier_of(self._reader.place(cid).kind)

    def demote(self, cid: Cid, recipe: Cid, tier: Tier) -> "Demoted":
        """Keep a recipe in place of an object's bytes, after it has rebuilt them once.

        The recipe and all that it needs were put before. Raises InputError where it does not
        rebuild the object, or not without the object itself. The next collection of garbage gives
        back the room.
        """
        from cid_store.demoting import demote  # noqa: PLC0415 - start-up is performance

        if self._batches.innermost is not None:
            raise UsageError("objects are not demoted inside a batch; end the batch first")
        return demote(self._keeper, self._reader, cid, recipe, tier)

    def promote(self, cid: Cid) -> bool:
        """Rebuild a demoted object and keep it whole; durable on return. False where it is."""
        from cid_store.demoting import promote  # noqa: PLC0415 - start-up is performance

        if self._pending(cid) is not None:
            return False
        return promote(self._keeper, self._reader, cid)

    def books(self) -> Books:
        """Every object the store knows, in the account of its tier; it reads no pack."""
        self._keeper.settle()
        return self._keeper.ask(lambda index: index.books())

    def entry(self, cid: Cid) -> "Entry":
        """How the store keeps an object. Raises MissingObjectError."""
        from cid_store.inventory import entry_of  # noqa: PLC0415 - start-up is performance

        return entry_of(self._keeper, self._reader, cid)

    def inventory(self, least_bytes: int, *, live: Iterable[Cid] = ()) -> "list[Entry]":
        """The same of all plain bytes from that size on that are not demoted.

        Each says whether it stays when garbage is collected, with what `live` leads to.
        """
        from cid_store.inventory import inventory  # noqa: PLC0415 - start-up is performance

        return inventory(self._keeper, self._reader, least_bytes, live)

    # The store as a whole

    def stat(self) -> StoreStat:
        """How much the store holds, and what that takes on the disk."""
        self._keeper.settle()
        totals = self._keeper.ask(lambda index: index.totals())
        files = [path.lstat() for path in self.path.rglob("*")]
        return StoreStat(
            *totals,
            packs=len(self._keeper.packs.numbers()),
            disk_bytes=sum(file.st_blocks * 512 for file in files),
        )

    def census(self) -> Census:
        """What the index knows of objects by codec and of each pack; it reads no pack."""
        self._keeper.settle()
        return self._keeper.ask(lambda index: index.census())

    def verify(
        self, progress: "Progress | None" = None, *, sample: float = 1.0, rebuild: bool = False
    ) -> "VerifyReport":
        """Read everything, and compare packs, index and roots with one another.

        `progress` is told of the bytes read. Of the objects a `sample` below 1 reads that share,
        others at every call. With `rebuild`, what was demoted is rebuilt, too; otherwise what that
        needs must be there. Where nothing but the index is wrong, it is made anew (unless the
        store is read-only) and the report says so.
        """
        from cid_store.verify import verify_store  # noqa: PLC0415 - start-up is performance

        self._keeper.settle()
        return verify_store(self._keeper, self._reader, progress, sample=sample, rebuild=rebuild)

    def repair(
        self,
        *,
        live: Iterable[Cid] = (),
        derives: "Derives" = lambda _name, _cid: None,
        progress: "Progress | None" = None,
    ) -> "RepairReport":
        """Make the index anew from the packs, read everything, and say what is lost.

        No object is made up: what no pack has whole stays lost until the same bytes are put again.
        `derives` is asked of each root that leads to something lost how it can be made again.
        `live` are other objects that are needed, whose losses are counted.
        """
        from cid_store.repair import repair  # noqa: PLC0415 - start-up is performance

        return repair(self._keeper, self._reader, starts=live, derives=derives, progress=progress)

    def gc(
        self,
        *,
        live: "Starts" = tuple,
        grace_s: float = GRACE_S,
        dry_run: bool = False,
        progress: "Progress | None" = None,
    ) -> "GcReport":
        """Drop what neither roots nor `live` lead to; compact what is mostly garbage.

        `live` is asked twice: before the work and, with nobody else writing, at its end. What was
        put within the grace period stays, with all it links to; with a grace of 0 nothing does that
        no root leads to, so give that only where nobody else is at work. `dry_run` changes nothing.
        `progress` is told of each pack that was looked at.
        """
        from cid_store.collecting import collect  # noqa: PLC0415 - start-up is performance

        if self._batches.innermost is not None:
            raise UsageError("garbage is not collected inside a batch; end the batch first")
        self._keeper.check_open()
        return collect(
            self._keeper,
            self._reader,
            starts=live,
            grace_s=grace_s,
            dry_run=dry_run,
            progress=progress,
        )

    def close(self) -> None:
        """Let files and locks go; what was put is durable already. Closing twice is harmless."""
        self._keeper.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _admitted(self, cid: Cid) -> Payload | None:
        """The same of an object that is to be read; a rebuild reads only what its recipe lists."""
        self._reader.rebuilder.admit(cid)
        return self._pending(cid)

    def _pending(self, cid: Cid) -> Payload | None:
        """The bytes of an object that an open batch of this thread holds back."""
        self._keeper.check_open()
        return self._batches.object(cid)


def _unchanging(data: Buffer) -> Payload:
    """Bytes that stay as they are: a copy, unless they cannot change anyway."""
    if type(data) is bytes:
        return data
    if isinstance(data, memoryview) and type(data.obj) is bytes and data.c_contiguous:
        return data.cast("B")
    return bytes(data)
