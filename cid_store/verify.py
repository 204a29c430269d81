"""The examination of a whole store: every byte read, packs, index and roots compared."""

import zlib
from collections.abc import Callable
from typing import NamedTuple

from cid_store import disk
from cid_store.chunks import ChunkList, parse_chunks
from cid_store.cid import Cid, large_hasher
from cid_store.errors import UnavailableError
from cid_store.folder import PackFile, PackFolder, Place
from cid_store.index import Index, PackEnd
from cid_store.pack import HEADER_BYTES, Head, Kind, parse_roots
from cid_store.recovery import Gap, is_intact, scan

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
    rows = index.rows()
    row = next(rows, None)
    for end in ends:
        while row is not None and row[0] < end.number:
            examination.index_is_wrong = True  # objects in a pack that it does not list
            row = next(rows, None)
        if row is not None and row[0] == end.number:
            examination.pack(end, row[1])
            row = next(rows, None)
        else:
            examination.pack(end, {})
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
    )


def _is_sound(pack: PackFile, head: Head) -> bool:
    """Whether the payload can be read and is the one its header names."""
    try:
        return is_intact(pack, head)
    except UnavailableError:  # the disk gives an error for it: so would every read
        return False


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
        self.limit = 1 << 32
        self._choice = disk.random_bytes(8)
        self._packs = packs
        self._index = index
        self._progress = progress
        self._roots: dict[str, Cid] = {}
        self._bound_and_unseen = bound
        self._lists: list[tuple[Cid, ChunkList]] = []

    def pack(self, end: PackEnd, expected: dict[int, tuple[Cid, Place]]) -> None:
        """Examine one pack, which the index says holds `expected` by offset."""
        path = self._packs.file(end.number)
        pack = self._packs.pack(end.number)
        if pack is None:
            self.lost.update((cid, None) for cid, _ in expected.values())
            self.damage.append(f"{path} is gone, and {len(expected):,} objects with it")
            return
        if pack.size() < end.end:
            lost = end.end - pack.size()
            self.damage.append(f"{path} is cut short by {lost:,} bytes")
        head = self._packs.head(end.number)
        if head is None:
            self.damage.append(f"the header of {path} is damaged; its records do not need it")
        elif head.number != end.number:
            self.damage.append(f"{path} says it is pack {head.number}; give it that name again")
        for item in scan(pack, end.number, HEADER_BYTES, end.end):
            if isinstance(item, Gap):
                size = item.stop - item.start
                self.damage.append(
                    f"{size:,} bytes at offset {item.start:,} of {path} are no record"
                )
            else:
                self._padding(pack, item)
                if item.kind is Kind.ROOTS:
                    self._learn_roots(pack, item)
                else:
                    self._object(pack, item, expected.pop(item.offset, None))
        for offset, (cid, place) in sorted(expected.items()):
            if offset < end.end:
                kind = Kind(place.kind)
                self._headless(pack, Head(kind, cid, place.length, end.number, offset, offset))

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
            place = Place(head.pack, head.offset, head.length, head.kind)
            self.index_is_wrong |= expected != (head.cid, place)
        elif expected is not None:
            self._corrupt(pack, head)

    def _headless(self, pack: PackFile, head: Head) -> None:
        """Judge an object that the index knows and no record header announces."""
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
