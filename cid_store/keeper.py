"""Packs and index of one store, kept in step: who may write, what is durable, what is found."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import repeat
from pathlib import Path

from cid_store import recovery
from cid_store.batches import Payload
from cid_store.chunks import parse_chunks
from cid_store.cid import Cid
from cid_store.commits import GroupCommit, Request
from cid_store.errors import (
    CorruptObjectError,
    MissingObjectError,
    StoreStoppedError,
    UnavailableError,
)
from cid_store.folder import Place, Tail, unreadable
from cid_store.index import IndexDamagedError, PackEnd
from cid_store.pack import Kind, Record, roots_record
from cid_store.shared import SharedFiles

# A pack that was written to in the last minute need not be touched to be safe from collection.
FRESH_NS = 60 * 1_000_000_000

_COMPARE_BYTES = 1 << 20


class Keeper(SharedFiles):
    """Everything of a store that several processes share; safe to call from any thread."""

    def __init__(self, path: Path, *, read_only: bool, lock_timeout_s: float) -> None:
        super().__init__(path, read_only=read_only, lock_timeout_s=lock_timeout_s)
        self._commits = GroupCommit(self._commit)

    # Finding

    def find(self, cid: Cid) -> Place | None:
        """Where the object lies, or None where the store does not know it."""
        place = self.places([cid]).get(cid)
        if place is None and self._reopened():
            place = self.places([cid]).get(cid)
        return place

    def read(self, place: Place) -> bytes:
        """The bytes that stand there now; fewer where the pack ends or is gone."""
        pack = self.packs.pack(place.pack)
        if pack is None:
            return b""
        return pack.read(place.payload, place.length)

    def view(self, place: Place) -> memoryview:
        """The same bytes, mapped."""
        pack = self.packs.pack(place.pack)
        mapped = pack.view(place.payload, place.length) if pack is not None else None
        return mapped if mapped is not None else memoryview(b"")

    def sound_place(self, cid: Cid, place: Place, found: Payload) -> Place:
        """Another place where the object stands intact, when `found` is not what it should be.

        Raises CorruptObjectError where there is none, MissingObjectError where it was dropped.
        """
        self.listen()
        now = self.find(cid)
        if now is None:
            raise MissingObjectError(
                f"object {cid} was dropped from the store at {self.path}, because no root led to "
                "it; put it again"
            )
        if now != place:
            return now  # it was moved, or put again
        other = next((copy for copy in self._copies(cid) if copy != place), None)
        if other is None:
            raise self.corrupt(cid, place, found)
        if not self.read_only:
            with self.exclusive():
                self.ask(lambda index: index.repoint(cid, other))
        return other

    def whole_copy(self, cid: Cid) -> Place | None:
        """A place where a demoted object still stands whole, until its garbage is collected."""
        return next((copy for copy in self._copies(cid) if not copy.is_demoted), None)

    def _copies(self, cid: Cid) -> Iterator[Place]:
        """The intact records of the object, by reading every header; lists with all chunks only."""
        for copy in recovery.copies(self.packs, cid):
            chunks = parse_chunks(cid, self.read(copy)) if copy.kind == Kind.CHUNKS else None
            names = [name for name, _ in chunks.chunks()] if chunks is not None else []
            known = self.ask(lambda index, names=names: index.places(names))
            if all(name in known for name in names):
                yield copy

    def corrupt(self, cid: Cid, place: Place, found: Payload) -> CorruptObjectError:
        """The error for an object whose bytes are not what they were."""
        path = self.packs.file(place.pack)
        if not self.packs.exists(place.pack):
            return CorruptObjectError(
                f"object {cid} is lost with its pack: {path} is gone; bring that file back, or put "
                "the object's bytes again"
            )
        if len(found) != place.length:
            fact = f"{path} ends before its {place.length:,} bytes do"
        elif place.kind == Kind.CHUNKS:
            fact = f"the list of its chunks at offset {place.payload:,} of {path} is damaged"
        elif place.is_demoted:
            fact = f"what rebuilds it is named at offset {place.payload:,} of {path}, damaged"
        else:
            actual = Cid.of(found).digest.hex()
            fact = (
                f"its {place.length:,} bytes at offset {place.payload:,} of {path} hash to "
                f"{actual[:8]} instead of {cid.digest.hex()[:8]}"
            )
        return CorruptObjectError(
            f"object {cid} is corrupt: {fact}; put the same bytes again to repair it"
        )

    # Keeping

    def keep(
        self,
        objects: Mapping[Cid, Payload],
        roots: Mapping[str, Cid | None],
        lists: Mapping[Cid, bytes] | None = None,
    ) -> None:
        """Make objects and roots durable, in this order: packs, then index.

        `lists` gives objects whose chunks are kept already. The roots ride in the last record of
        the same append, so no crash can keep a root without its objects.
        """
        self.check_writable()
        if roots or self._index.waits(objects):
            self.listen()  # what was bound so, or put, in this process may have changed since
        request = Request(objects, lists or {}, roots)
        seen = self._last_tail
        request.missing, sure = self._missing(request.objects, locked=False)
        request.unlisted, sure_of_lists = self._unlisted(request.lists, locked=False)
        if sure and sure_of_lists:
            request.seen = seen
        if roots and self._unheard is not None and not self._unheard.is_empty:
            changed = True  # what others wrote is relied on only when it is indexed
        else:
            changed = any(self._bound(name) != cid for name, cid in roots.items())
        if changed or request.missing or request.unlisted:
            self._commits.join(request)

    def _commit(self, group: Sequence[Request]) -> None:
        """Write for a whole group what is still missing when its turn comes."""
        with self.exclusive():
            tail = self.followed()
            missing: dict[Cid, Payload] = {}
            lists: dict[Cid, bytes] = {}
            roots: dict[str, Cid | None] = {}
            new = True
            for request in group:
                if tail == request.seen:
                    missing.update(request.missing)
                    lists.update(request.unlisted)
                else:  # others wrote since, or dropped what was there
                    objects, are_new = self._missing(request.objects, locked=True)
                    listed, are_new_too = self._unlisted(request.lists, locked=True)
                    missing.update(objects)
                    lists.update(listed)
                    new &= are_new and are_new_too
                if request.roots and not self._dangles(request, missing, lists):
                    roots.update(request.roots)
            # Decided under the lock: between two writers of one name, the later one stands.
            changed = {name: cid for name, cid in roots.items() if self._bound(name) != cid}
            # Lists after objects: a list that counts names chunks that are there.
            records = list(map(Record, repeat(Kind.OBJECT), missing.keys(), missing.values()))
            records += [Record(Kind.CHUNKS, cid, payload) for cid, payload in lists.items()]
            if changed:
                records.append(roots_record(changed))
            if records:
                self.append(tail, records, changed, new=new)

    def _dangles(
        self, request: Request, missing: Mapping[Cid, Payload], lists: Mapping[Cid, bytes]
    ) -> bool:
        """Whether a root would name what was dropped meanwhile; then the request ends here."""
        named = {cid: name for name, cid in request.roots.items() if cid is not None}
        asked = [cid for cid in named if cid not in missing and cid not in lists]
        places = self.ask(lambda index: index.places(asked)) if asked else {}
        gone = next((cid for cid in asked if cid not in places), None)
        if gone is not None:
            request.end(self.dangling(named[gone], gone))
        return gone is not None

    def dangling(self, name: str, cid: Cid) -> MissingObjectError:
        """The error for a root that would name nothing."""
        return MissingObjectError(
            f"root {name!r} cannot name {cid}: it is not in the store at {self.path}; put it first"
        )

    def begin_pack(self) -> Tail:
        """Leave the last pack for a new one. Only the holder of the writer's lock may."""
        tail = self.followed()
        self._last_tail = None
        try:
            tail = self.packs.leave(tail)
        except StoreStoppedError as error:
            self.stop(error)
            raise
        except OSError as error:
            raise unreadable(self.packs.path, error) from error
        self._index.apply([], {}, self._pack_end(tail))
        return tail

    def remove_packs(self, numbers: Sequence[int]) -> None:
        """Forget packs and remove them together, after those whose removal was broken off.

        Only the holder of the lock may.
        """
        if numbers:
            self.ask(lambda index: index.drop(numbers))
        known = {end.number for end in self.ask(lambda index: index.packs())}
        try:
            self.packs.finish_removal(known)
            if numbers:
                self.packs.remove(numbers)
        except OSError as error:
            raise unreadable(self.packs.path, error) from error

    def _pack_end(self, tail: Tail) -> PackEnd:
        head = self.packs.head(tail.pack)
        return PackEnd(tail.pack, head.identity if head is not None else b"", tail.end)

    def append(
        self,
        tail: Tail,
        records: list[Record],
        roots: Mapping[str, Cid | None],
        *,
        new: bool = False,
    ) -> None:
        """Write records, then index them, `new` ones later. Only the holder of the lock may.

        New is what the index has no place of.
        """
        self._last_tail = None
        try:
            places, end = self.packs.append(tail, records)
        except StoreStoppedError as error:
            self.stop(error)
            raise
        objects = [
            (record.cid, place)
            for record, place in zip(records, places, strict=True)
            if record.kind is not Kind.ROOTS
        ]
        # Who finds in the index where an object stood before does not look for another place.
        can_wait = new and end.pack == tail.pack
        self._together -= self._together > 0
        try:
            if can_wait and not self._together:
                self._index.apply_late(objects, roots, start=tail, end=end)
            else:
                self._index.apply(objects, roots, self._pack_end(end))
        except IndexDamagedError:
            self._replace_index()  # from the packs, which have it all
        except UnavailableError as error:
            self.stop(error)
            raise
        self._last_tail = self._heard = end

    def _missing(
        self, objects: Mapping[Cid, Payload], *, locked: bool
    ) -> tuple[dict[Cid, Payload], bool]:
        """The objects that must be written, and whether that holds until others write.

        These are those the store lacks, those whose stored bytes are not theirs any more and,
        unless the lock is held, those that lie where garbage may be collected.
        """
        places = self.ask(lambda index: index.places(list(objects)))
        if not places:
            return dict(objects), True
        missing = {
            cid: payload
            for cid, payload in objects.items()
            if cid not in places or not self._stands(cid, places[cid], payload, locked=locked)
        }
        return missing, not any(cid in places for cid in missing)

    def _unlisted(
        self, lists: Mapping[Cid, bytes], *, locked: bool
    ) -> tuple[dict[Cid, bytes], bool]:
        """The same of objects that are kept in chunks, unless they are kept whole."""
        if not lists:
            return {}, True
        places = self.ask(lambda index: index.places(list(lists)))
        missing = {
            cid: payload
            for cid, payload in lists.items()
            if cid not in places
            or not (
                self._bytes_stand(places[cid], payload, locked=locked)
                if places[cid].kind == Kind.CHUNKS
                else not places[cid].is_demoted
                and self._stays(places[cid], locked=locked)
                and recovery.is_sound_place(self.packs, cid, places[cid])
            )
        }
        return missing, not any(cid in places for cid in missing)

    def _stays(self, place: Place, *, locked: bool) -> bool:
        """Whether what stands there is as safe from being collected as if it were put now.

        Only the holder of the lock may make it so: a collector decides and drops under it.
        """
        written_ns = self.packs.written_ns(place.pack)
        if written_ns is None:
            return False
        if time.time_ns() - written_ns < FRESH_NS:
            return True
        if locked:
            with suppress(OSError):  # then it is written once more, where it will stay
                self.packs.touch(place.pack)
                return True
        return False

    def _stands(self, cid: Cid, place: Place, payload: Payload, *, locked: bool) -> bool:
        """Whether exactly these bytes can be read there, and will stay."""
        if place.kind != Kind.CHUNKS:
            whole = not place.is_demoted
            return whole and self._bytes_stand(place, payload, locked=locked)
        if not self._stays(place, locked=locked):
            return False
        chunks = parse_chunks(cid, self.read(place))
        if chunks is None or chunks.size != len(payload):
            return False
        places = self.ask(lambda index: index.places([name for name, _ in chunks.chunks()]))
        at = 0
        for name, length in chunks.chunks():
            part = payload[at : at + length]
            if name not in places or not self._bytes_stand(places[name], part, locked=locked):
                return False
            at += length
        return True

    def _bytes_stand(self, place: Place, payload: Payload, *, locked: bool) -> bool:
        """Whether the payload there is these bytes, and will stay."""
        pack = self.packs.pack(place.pack)
        if pack is None or place.length != len(payload) or not self._stays(place, locked=locked):
            return False
        for start in range(0, place.length, _COMPARE_BYTES):
            part = payload[start : start + _COMPARE_BYTES]
            try:
                if pack.read(place.payload + start, len(part)) != part:
                    return False
            except UnavailableError:
                return False
        return True

    def _bound(self, name: str) -> Cid | None:
        return self.ask(lambda index: index.root(name))
