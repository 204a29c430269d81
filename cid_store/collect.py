"""Collecting garbage: what nothing leads to is dropped, and what is kept moves together.

The order of the steps is fixed in docs/formats/store.md: at each of them a crash loses nothing.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from cid_store import recovery
from cid_store.cid import Cid
from cid_store.errors import UnavailableError, is_full
from cid_store.folder import Place
from cid_store.gc_report import GcReport
from cid_store.index import PackEnd
from cid_store.keeper import FRESH_NS, Keeper
from cid_store.marking import Marker
from cid_store.pack import HEADER_BYTES, Head, Kind, Record, roots_record
from cid_store.pack_use import PackUse, is_elsewhere, is_payload
from cid_store.reading import Reader
from cid_store.recovery import Gap, scan
from cid_store.sparing import rested_on
from cid_store.tiers import Books

DEAD_SHARE = 0.25  # a pack with less to gain is left as it is

_APPEND_BYTES = 16 << 20
_AT_ONCE = 256

Starts = Callable[[], Iterable[Cid]]
Progress = Callable[[float], object]


class Collector:
    """One collection. Others go on reading and writing while it works."""

    def __init__(self, keeper: Keeper, reader: Reader, starts: Starts, grace_s: float) -> None:
        self._keeper = keeper
        self._starts = starts
        self._grace_s = grace_s
        self._dead_share = DEAD_SHARE if grace_s > 0 else 0.0  # who gives no grace wants it all
        self._began_at: dict[int, int] = {}  # by pack: how far it was known before the first look
        self._marked_to: dict[int, int] = {}  # by young pack: how far its objects are marked
        self._reader = reader
        self._marker = Marker(keeper, reader)
        self._rested_on: set[Cid] = set()  # kept for what is spared, whether needed or not
        self._bindings: dict[str, tuple[int, int]] = {}  # by name: where it was bound last
        self._mentions: dict[str, set[int]] = {}  # by name: the packs that bind or unbind it
        self._notes: list[str] = []
        self._forgotten = Books()
        self._unsure = False  # whether roots may be missing from the packs

    def run(self, *, dry_run: bool, progress: Progress | None) -> GcReport:
        """Find what nothing leads to, drop it, and say what became of it."""
        self._keeper.settle()
        if not dry_run:
            self._adopt_strays()
            if self._index_lies():
                self._keeper.rebuild_index()
                self._marker.forget()
        self._began_at = {end.number: end.end for end in self._packs()}
        self._mark_starts()
        uses = [PackUse(end) for end in self._packs()]
        for use in uses:
            if self._is_young(use.end.number):
                self._count_young(use)
        self._mark_young()
        self._learn_roots(uses)
        for use in uses:
            self._measure(use)
            if progress is not None:
                progress(1)
        victims = self._victims(uses)
        while victims and self._spare(uses, {use.end.number for use in victims}):
            for use in uses:
                self._measure(use)
            victims = self._victims(uses)
        if not dry_run:
            victims = self._collect(uses, victims)
            self._seal(uses, victims)
        return self._report(uses, victims)

    def _report(self, uses: list[PackUse], victims: list[PackUse]) -> GcReport:
        left = [use for use in uses if use not in victims]
        young = sum(use.young for use in left)
        young_bytes = sum(use.young_bytes for use in left)
        spared, spared_bytes = sum(use.dead for use in left), sum(use.dead_bytes for use in left)
        return GcReport(
            kept=sum(use.kept for use in uses) + spared,
            kept_bytes=sum(use.kept_bytes for use in uses) + spared_bytes,
            dropped=sum(use.dead for use in victims),
            dropped_bytes=sum(use.dead_bytes for use in victims),
            young=young,
            young_bytes=young_bytes,
            spared=spared,
            spared_bytes=spared_bytes,
            packs=tuple(use.end.number for use in victims),
            moved_bytes=sum(use.live_room for use in victims),
            freed_bytes=sum(use.room - use.live_room for use in victims),
            forgotten=self._forgotten,
            lost=tuple(self._marker.lost),
            notes=tuple(dict.fromkeys(self._notes)),
        )

    # Looking

    def _adopt_strays(self) -> None:
        """Take up again the packs that a collection forgot and a crash left: they go as others do.

        Never is a file removed because the index says so: one flipped bit there would be enough.
        """
        keeper = self._keeper
        with keeper.exclusive():
            last = keeper.followed().pack
            keeper.remove_packs([])  # those that had begun to go: what they rest on may be gone
            known = {end.number for end in self._packs()}
            for number in keeper.packs.numbers():
                if number < last and number not in known:
                    keeper.ask(lambda index, at=number: recovery.adopt(keeper.packs, index, at))

    def _mark_starts(self) -> None:
        bound = self._keeper.ask(lambda index: index.roots(""))
        self._marker.mark(bound.values())
        self._marker.mark(self._starts())

    def _index_lies(self) -> bool:
        """Whether the index knows other roots than the packs, or not all that is needed.

        What it says decides what is dropped, so here it is not believed without a look.
        """
        keeper = self._keeper
        with keeper.exclusive():
            keeper.followed()
            bound = keeper.ask(lambda index: index.roots(""))
            told, whole = recovery.told_roots(keeper.packs, self._packs())
        if told != bound:
            # Damage may have taken the record of a root: then the index, which has it, is right.
            self._unsure = not whole
            return whole
        self._mark_starts()
        return bool(self._marker.lost)

    def _is_young(self, number: int) -> bool:
        """Whether the grace period keeps everything in that pack."""
        if self._grace_s <= 0:
            return False
        written_ns = self._keeper.packs.written_ns(number)
        if written_ns is None:
            return False
        # A minute more: who puts an object again in a pack so fresh does not say so, see `_stays`.
        return time.time_ns() - written_ns < self._grace_s * 1e9 + FRESH_NS

    def _count_young(self, use: PackUse) -> None:
        """How much in a young pack is kept for its youth alone."""
        for head in self._objects(use.end):
            if head.cid not in self._marker:
                use.young += 1
                use.young_bytes += head.length
                use.young_room += head.end - head.offset

    def _mark_young(self) -> None:
        """What lies in young packs is needed, with all it leads to."""
        for end in self._packs():
            if self._is_young(end.number):
                start = self._marked_to.get(end.number, HEADER_BYTES)
                self._marker.mark(head.cid for head in self._objects(end, start))
                self._marked_to[end.number] = end.end

    def _mark_demoted(self) -> None:
        """Who demoted an object meanwhile relies on its recipe, and on all that leads from it."""
        for end in self._packs():
            for head in self._objects(end, self._began_at.get(end.number, HEADER_BYTES)):
                if head.kind.is_demoted:
                    self._marker.mark_demoted(head.cid)

    def _packs(self) -> list[PackEnd]:
        return self._keeper.ask(lambda index: index.packs())

    def _records(self, end: PackEnd, start: int = HEADER_BYTES) -> Iterator[Head | Gap]:
        pack = self._keeper.packs.pack(end.number)
        if pack is not None:
            yield from scan(pack, end.number, start, end.end)

    def _objects(self, end: PackEnd, start: int = HEADER_BYTES) -> Iterator[Head]:
        for item in self._records(end, start):
            if isinstance(item, Head) and item.kind.is_object:
                yield item

    def _placed(self, end: PackEnd, older: list[Head] | None = None) -> Iterator[Head]:
        """The objects of a pack that the index finds there; `older` learns of the others."""
        heads = self._objects(end)
        while some := list(islice(heads, _AT_ONCE)):
            cids = [head.cid for head in some]
            places = self._keeper.ask(lambda index, cids=cids: index.places(cids))
            for head in some:
                place = places.get(head.cid)
                # A copy the index does not point to is not needed, if what it points to is sound.
                if place is not None and (
                    not is_elsewhere(place, head) or self._is_only_copy(head.cid, place)
                ):
                    yield head
                elif older is not None:
                    older.append(head)

    def _is_only_copy(self, cid: Cid, place: Place) -> bool:
        """Whether the object is needed, and the index points to a place where it does not stand."""
        sound = recovery.is_sound_place
        return self._is_kept(cid) and not sound(self._keeper.packs, cid, place)

    def _is_kept(self, cid: Cid) -> bool:
        return cid in self._marker or cid in self._rested_on

    def _spare(self, uses: Iterable[PackUse], gone: set[int]) -> bool:
        """Keep also what spared objects are read from, if these packs go; whether that is more."""
        known = len(self._rested_on)
        older = [head for use in uses if use.end.number not in gone for head in use.older]
        self._rested_on |= rested_on(
            self._keeper, self._reader, needed=self._marker, gone=gone, older=older
        )
        return len(self._rested_on) > known

    def _learn_roots(self, uses: Iterable[PackUse]) -> None:
        """Which record binds each name, and which packs name it at all."""
        for use in uses:
            for item in self._records(use.end):
                if isinstance(item, Head) and item.kind is Kind.ROOTS:
                    for name in self._names(item):
                        self._bindings[name] = (item.pack, item.offset)
                        self._mentions.setdefault(name, set()).add(item.pack)

    def _names(self, head: Head) -> Iterable[str]:
        return recovery.bindings(self._keeper.packs, head) or {}

    def _measure(self, use: PackUse) -> None:
        """How much of a pack is kept."""
        use.kept = use.kept_bytes = use.dead = use.dead_bytes = use.live_room = 0
        use.whole = recovery.reaches(self._keeper.packs, use.end)
        for item in self._records(use.end):
            if isinstance(item, Gap):
                use.whole = False
            elif item.kind is Kind.ROOTS:
                use.whole &= recovery.bindings(self._keeper.packs, item) is not None
                if self._in_force(item):
                    use.live_room += item.end - item.offset
        use.older = []
        for head in self._placed(use.end, use.older):
            if self._is_kept(head.cid):
                use.kept += 1
                use.kept_bytes += head.length
                use.live_room += head.end - head.offset
            else:
                use.dead += 1
                use.dead_bytes += head.length

    def _in_force(self, head: Head) -> bool:
        """Whether some name is bound, or kept unbound, by this very record."""
        here = (head.pack, head.offset)
        return any(self._bindings.get(name) == here for name in self._names(head))

    def _victims(self, uses: Iterable[PackUse]) -> list[PackUse]:
        """The packs worth dropping: old enough, sound, and a good part of them not needed."""
        if self._is_blind():
            return []
        victims: list[PackUse] = []
        for use in uses:
            wasted = use.room - use.live_room
            if not wasted or wasted < use.room * self._dead_share:
                continue
            if not use.whole:
                path = self._keeper.packs.file(use.end.number)
                self._notes.append(f"{path} is damaged and therefore left as it is")
            elif not self._is_young(use.end.number):
                victims.append(use)
        return victims

    def _is_blind(self) -> bool:
        """Whether something needed cannot be read, so that what it links to is not known."""
        if self._unsure:
            self._notes.append(
                "nothing is dropped: the packs are damaged, and the index knows other roots than "
                "they do; `redoxa store verify` says where, `redoxa store repair` binds them again"
            )
            return True
        hidden = [lost.cid for lost in self._marker.lost.values() if lost.hides]
        if hidden:
            more = f" (and {len(hidden) - 1:,} more)" if len(hidden) > 1 else ""
            self._notes.append(
                f"nothing is dropped: object {hidden[0]}{more} cannot be read, so what it links to "
                "is not known; put it again, or unbind the roots that lead to it"
            )
        return bool(hidden)

    # Dropping

    def _collect(self, uses: list[PackUse], victims: list[PackUse]) -> list[PackUse]:
        """Move what is needed out of the packs and drop them; those that could be."""
        known = len(self._marker)
        victims = self._left(victims)
        # Bytes that were dropped for a recipe may stand there for the last time.
        self._marker.doubt(
            head.cid
            for use in victims
            for head in self._objects(use.end)
            if not head.kind.is_demoted
        )
        if self._is_blind():
            return []
        victims = self._moved(victims)
        if not victims:
            return victims
        keeper = self._keeper
        self._mark_young()  # most of what others wrote meanwhile, while they need not wait
        with keeper.exclusive():
            keeper.followed()
            # Whatever became needed since is found now, when nobody can write.
            self._mark_starts()
            self._mark_young()
            self._mark_demoted()
            if self._is_blind():
                return []
            victims = [use for use in victims if not self._is_young(use.end.number)]
            planned: list[PackUse] = []
            while victims != planned:  # fewer may go than was planned: then more is spared
                planned = victims
                spares = self._spare(uses, {use.end.number for use in victims})
                if spares or len(self._marker) > known:
                    victims = self._moved(victims)
            if victims:
                self._carry_roots({use.end.number for use in victims})
                gone = [use.end.number for use in victims]
                self._forgotten = keeper.ask(lambda index: index.books(gone))
                keeper.remove_packs(gone)
        return victims

    def _left(self, victims: list[PackUse]) -> list[PackUse]:
        """Those that nobody has written to since they were looked at, and nobody will.

        Nothing is ever moved into a pack that is to go, and the highest number stays taken.
        """
        if not victims:
            return victims
        keeper = self._keeper
        with keeper.exclusive():
            tail = keeper.followed()
            known = {end.number: end for end in self._packs()}
            victims = [use for use in victims if known.get(use.end.number) == use.end]
            if tail.pack in {use.end.number for use in victims}:
                keeper.begin_pack()
        return victims

    def _moved(self, victims: list[PackUse]) -> list[PackUse]:
        """Those of which all that is needed could be moved; on a full disk the others stay."""
        full: UnavailableError | None = None
        moved: list[PackUse] = []
        for use in sorted(victims, key=lambda use: use.live_room):
            try:
                if full is None and self._move(use):
                    moved.append(use)
            except UnavailableError as error:
                if not is_full(error):
                    raise
                full = error
        if full is not None:
            if not moved:
                raise full
            self._notes.append(
                "the disk is full: packs with much to be moved stay; collect again, now there is "
                "more room"
            )
        return [use for use in victims if use in moved]

    def _move(self, use: PackUse) -> bool:
        """Copy what is needed of a pack to the end of the last one; whether all of it could be."""
        whole = True
        waiting: list[Head] = []
        size = 0
        for head in [head for head in self._placed(use.end) if self._is_kept(head.cid)]:
            if size and size + head.length > _APPEND_BYTES:
                whole &= self._copy(waiting)
                waiting, size = [], 0
            waiting.append(head)
            size += head.length
        return self._copy(waiting) and whole

    def _copy(self, heads: list[Head]) -> bool:
        """Append these again, as they stand; false where one of them is damaged."""
        if not heads:
            return True
        keeper = self._keeper
        with keeper.exclusive():
            tail = keeper.followed()
            pack = keeper.packs.pack(heads[0].pack)
            places = keeper.ask(lambda index: index.places([head.cid for head in heads]))
            records: list[Record] = []
            for head in heads:
                place = places.get(head.cid)
                if is_elsewhere(place, head) and not self._is_only_copy(head.cid, place):
                    continue  # put again meanwhile
                payload = pack.view(head.payload, head.length) if pack is not None else None
                if payload is None or not is_payload(head, payload):
                    self._notes.append(f"object {head.cid} is corrupt; its pack is left as it is")
                    return False
                records.append(Record(head.kind, head.cid, payload))
            # Lists after objects, as in every append.
            records.sort(key=lambda record: record.kind)
            if records:
                keeper.append(tail, records, {})
        return True

    def _carry_roots(self, gone: set[int]) -> None:
        """Bind again what only these packs bind, and unbind what an older pack still binds."""
        keeper = self._keeper
        bound = keeper.ask(lambda index: index.roots(""))
        carried = {
            name: bound.get(name)
            for name, (pack, _) in self._bindings.items()
            if pack in gone and (name in bound or self._mentions[name] - gone)
        }
        # Also where it is empty: every writer that looked before sees the packs' end change, and
        # looks again for what it found in a pack that goes.
        keeper.append(keeper.followed(), [roots_record(carried)], carried)

    def _seal(self, uses: list[PackUse], victims: list[PackUse]) -> None:
        """Leave the last pack where much of it is garbage that is only too young to go.

        While it is written to it never grows old.
        """
        last = uses[-1] if uses else None
        if last is None or last in victims or not last.young_room:
            return
        if last.young_room < last.room * self._dead_share:
            return
        with self._keeper.exclusive():
            if self._keeper.followed().pack == last.end.number:
                self._keeper.begin_pack()
