"""The examination of a whole store: every byte read, packs, index and roots compared."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from cid_store import disk
from cid_store.chunks import ChunkList, parse_chunks
from cid_store.cid import Cid, large_hasher
from cid_store.errors import CorruptObjectError, UnavailableError
from cid_store.folder import PackFile, PackFolder, Place
from cid_store.ground import Ground
from cid_store.index import Index, PackEnd
from cid_store.keeper import Keeper
from cid_store.pack import HEADER_BYTES, Head, Kind, parse_roots
from cid_store.reading import Reader
from cid_store.recovery import Gap, is_intact, placed, scan

Progress = Callable[[float], object]


class VerifyReport(NamedTuple):
    """What an examination found."""

    objects: int  # intact ones
    object_bytes: int
    packs: int
    roots: int
    damage: tuple[str, ...]  # one sentence each; empty when the store is sound
    notes: tuple[str, ...]  # worth knowing, and no damage
    index_is_wrong: bool
    lost: tuple[Cid, ...] = ()  # objects that are known and not intact
    unread: int = 0  # objects that a sample passed over; they are not among the intact ones
    demoted: tuple[Cid, ...] = ()  # objects of which there is an intact record of their recipe
    untried: tuple[Cid, ...] = ()  # those of them that this machine could not rebuild now

    @property
    def ok(self) -> bool:
        """Whether everything the store knows can be read."""
        return not self.damage


def verify_packs(
    packs: PackFolder, index: Index, progress: Progress | None, *, sample: float = 1.0
) -> VerifyReport:
    """Examine everything up to where the index knows each pack; later writes are not looked at.

    With a smaller `sample`, that share of the objects is read, chosen anew each time; every header
    and every root is looked at all the same.
    """
    ends, roots = index.snapshot()
    examination = _Examination(packs, index, set(roots.values()), progress)
    examination.limit = round(sample * (1 << 32))
    rows = _Rows(index.rows())
    for end in ends:
        for _ in rows.before(end.number):
            examination.index_is_wrong = True  # objects in a pack that it does not list
        examination.pack(end, rows)
    # Of packs that the index does not know, too: it could not be made anew beside a misnamed one.
    faults = (packs.name_fault(number) for number in packs.numbers())
    examination.damage += (fault for fault in faults if fault is not None)
    # Rows out of order are all counted above, and some of them are missed when they are asked for.
    examination.index_is_wrong |= not index.is_sound()
    examination.compare_chunks()
    examination.compare_roots(roots)
    return VerifyReport(
        objects=examination.objects,
        object_bytes=examination.object_bytes,
        packs=len(ends),
        roots=len(roots),
        damage=tuple(examination.damage),
        index_is_wrong=examination.index_is_wrong,
        notes=(),
        lost=tuple(examination.lost),
        unread=examination.unread,
        demoted=tuple(examination.demoted),
    )


def verify_store(
    keeper: Keeper,
    reader: Reader,
    progress: Progress | None,
    *,
    sample: float = 1.0,
    rebuild: bool = False,
) -> VerifyReport:
    """Examine the packs, and whether what was demoted can be rebuilt; make a wrong index anew.

    Without `rebuild`, it can be if all is there that is read in doing so.
    """
    report = keeper.ask(lambda index: verify_packs(keeper.packs, index, progress, sample=sample))
    if report.index_is_wrong and not report.damage and not keeper.read_only:
        keeper.rebuild_index()
        report = keeper.ask(lambda index: verify_packs(keeper.packs, index, None, sample=sample))
        rebuilt = "the index disagreed with the packs and was rebuilt from them"
        report = report._replace(notes=(rebuilt, *report.notes))
    return _with_demoted(report, keeper, reader, rebuild=rebuild)


def _with_demoted(
    report: VerifyReport, keeper: Keeper, reader: Reader, *, rebuild: bool
) -> VerifyReport:
    """The report with what is to be said of objects that must be rebuilt."""
    damage, notes = list(report.damage), list(report.notes)
    lost = list(report.lost)
    untried: list[Cid] = []
    ground = Ground(keeper, reader, without=report.lost)
    for cid in report.demoted:
        fault = ground.fault(cid)
        try:
            if fault is not None:
                damage.append(_unbuildable(cid, fault))
                lost.append(cid)
            elif rebuild:
                reader.try_rebuild(cid)
        except CorruptObjectError as error:
            damage.append(f"{error}; put the same bytes again")
            lost.append(cid)
        except UnavailableError as error:
            notes.append(str(error))
            untried.append(cid)
    return report._replace(
        damage=tuple(damage), notes=tuple(notes), lost=tuple(lost), untried=tuple(untried)
    )


def _unbuildable(cid: Cid, fault: Cid) -> str:
    if fault == cid:
        fact = "its recipe is none, or leads back to it"
    else:
        fact = f"{fault} is damaged or missing"
    return f"object {cid} cannot be rebuilt: {fact}; put the same bytes again"


def _is_sound(pack: PackFile, head: Head) -> bool:
    """Whether the payload can be read and is the one its header names."""
    try:
        return is_intact(pack, head)
    except UnavailableError:  # the disk gives an error for it: so would every read
        return False


class _Rows:
    """What the index says, in the order of the places; never more than one of it in memory."""

    def __init__(self, rows: Iterator[tuple[Cid, Place]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def before(self, pack: int, offset: int = 0) -> Iterator[tuple[Cid, Place]]:
        """Take those whose places come before that one."""
        while self._next is not None and self._next[1][:2] < (pack, offset):
            yield self._next
            self._next = next(self._rows, None)

    def at(self, pack: int, offset: int) -> tuple[Cid, Place] | None:
        """Take the next one if it is in that very place."""
        row = self._next
        if row is None or row[1][:2] != (pack, offset):
            return None
        self._next = next(self._rows, None)
        return row


class _Examination:
    """What has been seen so far."""

    def __init__(
        self, packs: PackFolder, index: Index, bound: set[Cid], progress: Progress | None
    ) -> None:
        self.objects = 0
        self.object_bytes = 0
        self.damage: list[str] = []
        self.index_is_wrong = False
        self.lost: dict[Cid, None] = {}
        self.unread = 0
        self.demoted: list[Cid] = []
        self.limit = 1 << 32
        self._choice = disk.random_bytes(8)
        self._packs = packs
        self._index = index
        self._progress = progress
        self._roots: dict[str, Cid] = {}
        self._bound_and_unseen = bound
        self._lists: list[tuple[Cid, ChunkList]] = []

    def pack(self, end: PackEnd, rows: _Rows) -> None:
        """Examine one pack beside what the index says of it."""
        path = self._packs.file(end.number)
        pack = self._packs.pack(end.number)
        if pack is None:
            gone = {cid: None for cid, _ in rows.before(end.number + 1)}
            self.lost.update(gone)
            self.damage.append(f"{path} is gone, and {len(gone):,} objects with it")
            return
        if pack.size() < end.end:
            lost = end.end - pack.size()
            self.damage.append(f"{path} is cut short by {lost:,} bytes")
        head = self._packs.head(end.number)
        if head is None:
            self.damage.append(f"the header of {path} is damaged; its records do not need it")
        for item in scan(pack, end.number, HEADER_BYTES, end.end):
            if isinstance(item, Gap):
                size = item.stop - item.start
                self.damage.append(
                    f"{size:,} bytes at offset {item.start:,} of {path} are no record"
                )
            else:
                self._headless(pack, rows.before(end.number, item.offset))
                self._padding(pack, item)
                if item.kind is Kind.ROOTS:
                    self._learn_roots(pack, item)
                else:
                    self._object(pack, item, rows.at(end.number, item.offset))
        self._headless(pack, rows.before(end.number, end.end))
        for _ in rows.before(end.number + 1):
            pass  # written since the look at how far the packs go

    def _padding(self, pack: PackFile, head: Head) -> None:
        """What fills a record up is zeros, or somebody wrote there."""
        start = head.payload + head.length
        if any(pack.read(start, head.end - start)):
            self.damage.append(
                f"the zeros after the record at offset {head.offset:,} of {pack.path} are damaged; "
                "the record itself is judged by its hash"
            )

    def _object(self, pack: PackFile, head: Head, expected: tuple[Cid, Place] | None) -> None:
        if expected is None and self._index.places([head.cid]):
            return  # put again since, because this copy was damaged or two writers met
        if zlib.crc32(head.cid.digest, zlib.crc32(self._choice)) >= self.limit:
            self.unread += 1
            self._bound_and_unseen.discard(head.cid)
            return
        if _is_sound(pack, head):
            self._count(head)
            self.index_is_wrong |= expected != (head.cid, placed(pack, head))
        elif expected is not None:
            self._corrupt(pack, head)

    def _headless(self, pack: PackFile, rows: Iterable[tuple[Cid, Place]]) -> None:
        """Judge objects that the index knows and no record header announces."""
        for cid, place in rows:
            kind = Kind(place.kind)
            head = Head(kind, cid, place.length, place.pack, place.offset, place.offset)
            if _is_sound(pack, head):
                # Its place is known to the index alone: readable, but not if the index is lost.
                self._count(head)
            else:
                self._corrupt(pack, head)

    def _corrupt(self, pack: PackFile, head: Head) -> None:
        self.lost[head.cid] = None
        self.damage.append(
            f"object {head.cid} is corrupt: its {head.length:,} bytes at offset "
            f"{head.payload:,} of {pack.path} do not hash to its name; put the same bytes again"
        )

    def _count(self, head: Head) -> None:
        self.objects += 1
        self.object_bytes += head.length
        if head.kind is Kind.CHUNKS:
            self._list(head)
        else:
            self._bound_and_unseen.discard(head.cid)
            if head.kind.is_demoted:
                self.demoted.append(head.cid)
        if self._progress is not None:
            self._progress(head.length)

    def _list(self, head: Head) -> None:
        pack = self._packs.pack(head.pack)
        payload = pack.read(head.payload, head.length) if pack is not None else b""
        chunks = parse_chunks(head.cid, payload)
        assert chunks is not None, "the list was found to be intact"
        self._lists.append((head.cid, chunks))

    def compare_chunks(self) -> None:
        """Put together what is kept in chunks, when all chunks are known."""
        for cid, chunks in self._lists:
            fault = self._fault(cid, chunks)
            if fault is None:
                self._bound_and_unseen.discard(cid)
            else:
                self.lost[cid] = None
                self.damage.append(f"object {cid} is corrupt: {fault}; put the same bytes again")

    def _fault(self, cid: Cid, chunks: ChunkList) -> str | None:
        """What is wrong with an object that is kept in these chunks."""
        places = self._index.places([name for name, _ in chunks.chunks()])
        hasher = large_hasher()
        for name, _ in chunks.chunks():
            place = places.get(name)
            pack = self._packs.pack(place.pack) if place is not None else None
            if place is None or pack is None:
                return f"its chunk {name} is missing"
            if place.is_demoted:
                return None  # that chunk is judged by itself, and so is what its list is sealed to
            hasher.update(pack.read(place.payload, place.length))
        return None if hasher.digest() == cid.digest else "its chunks do not make it up"

    def _learn_roots(self, pack: PackFile, head: Head) -> None:
        bindings = parse_roots(pack.read(head.payload, head.length))
        if bindings is None or not is_intact(pack, head):
            self.damage.append(
                f"the roots bound at offset {head.offset:,} of {pack.path} are unreadable; the "
                "index has them, so keep it"
            )
            return
        for name, cid in bindings.items():
            if cid is None:
                self._roots.pop(name, None)
            else:
                self._roots[name] = cid

    def compare_roots(self, bound: dict[str, Cid]) -> None:
        """Compare what the packs bind with what the index says, and both with the objects."""
        self.index_is_wrong |= bound != self._roots
        for name, cid in bound.items():
            if cid in self._bound_and_unseen:
                self.damage.append(f"root {name!r} names {cid}, which is not there intact")
