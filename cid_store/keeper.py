"""Packs and index of one store, kept in step: who may write, what is durable, what is found."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cid_store import recovery
from cid_store.batches import Payload
from cid_store.chunks import parse_chunks
from cid_store.cid import Cid
from cid_store.commits import GroupCommit, Request
from cid_store.errors import CorruptObjectError, StoreStoppedError, UnavailableError
from cid_store.folder import Place, Tail
from cid_store.index import IndexDamagedError, PackEnd
from cid_store.pack import Kind, Record, roots_record
from cid_store.shared import SharedFiles, unreadable

_COMPARE_BYTES = 1 << 20


class Keeper(SharedFiles):
    """Everything of a store that several processes share; safe to call from any thread."""

    def __init__(self, path: Path, *, read_only: bool, lock_timeout_s: float) -> None:
        super().__init__(path, read_only=read_only, lock_timeout_s=lock_timeout_s)
        self._commits = GroupCommit(self._commit)

    # Finding

    def find(self, cid: Cid) -> Place | None:
        """Where the object lies, or None where the store does not know it."""
        place = self.ask(lambda index: index.places([cid])).get(cid)
        if place is None and self._reopened():
            place = self.ask(lambda index: index.places([cid])).get(cid)
        return place

    def read(self, place: Place) -> bytes:
        """The bytes that stand there now; fewer where the pack ends or is gone."""
        pack = self.packs.pack(place.pack)
        if pack is None:
            return b""
        try:
            return pack.read(place.payload, place.length)
        except OSError as error:
            raise unreadable(pack.path, error) from error

    def view(self, place: Place) -> memoryview:
        """The same bytes, mapped."""
        pack = self.packs.pack(place.pack)
        mapped = pack.view(place.payload, place.length) if pack is not None else None
        return mapped if mapped is not None else memoryview(b"")

    def sound_place(self, cid: Cid, place: Place, found: Payload) -> Place:
        """Another place where the object stands intact, when `found` is not what it should be.

        Raises CorruptObjectError where there is none.
        """
        other = recovery.find(self.packs, cid)
        if other is None or other == place:
            raise self.corrupt(cid, place, found)
        if not self.read_only:
            with self.exclusive():
                self.ask(lambda index: index.repoint(cid, other))
        return other

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
        seen = self._last_tail
        missing = self._missing(objects)
        unlisted = self._unlisted(lists or {})
        if missing or unlisted or any(self._bound(name) != cid for name, cid in roots.items()):
            self._commits.join(Request(missing, unlisted, roots, seen))

    def _commit(self, group: Sequence[Request]) -> None:
        """Write for a whole group what is still missing when its turn comes."""
        with self.exclusive():
            tail = self.followed()
            missing: dict[Cid, Payload] = {}
            lists: dict[Cid, bytes] = {}
            roots: dict[str, Cid | None] = {}
            for request in group:
                # Others wrote since it was looked at; what they wrote need not be repeated.
                fresh = tail == request.seen
                missing.update(request.missing if fresh else self._missing(request.missing))
                lists.update(request.lists if fresh else self._unlisted(request.lists))
                roots.update(request.roots)
            # Decided under the lock: between two writers of one name, the later one stands.
            changed = {name: cid for name, cid in roots.items() if self._bound(name) != cid}
            # Lists after objects: a list that counts names chunks that are there.
            records = [Record(Kind.OBJECT, cid, payload) for cid, payload in missing.items()]
            records += [Record(Kind.CHUNKS, cid, payload) for cid, payload in lists.items()]
            if changed:
                records.append(roots_record(changed))
            if records:
                self._append(tail, records, changed)

    def _append(self, tail: Tail, records: list[Record], roots: Mapping[str, Cid | None]) -> None:
        self._last_tail = None
        try:
            places, end = self.packs.append(tail, records)
        except StoreStoppedError as error:
            self._stopped = str(error)
            raise
        head = self.packs.head(end.pack)
        pack_end = PackEnd(end.pack, head.identity if head is not None else b"", end.end)
        objects = [
            (record.cid, place)
            for record, place in zip(records, places, strict=True)
            if record.kind.is_object
        ]
        try:
            self._index.apply(objects, roots, pack_end)
        except IndexDamagedError:
            self._replace_index()  # from the packs, which have it all
        except UnavailableError as error:
            self._stopped = str(error)
            raise
        self._last_tail = end

    def _missing(self, objects: Mapping[Cid, Payload]) -> dict[Cid, Payload]:
        """The objects the store lacks, and those whose stored bytes are not theirs any more."""
        places = self.ask(lambda index: index.places(list(objects)))
        return {
            cid: payload
            for cid, payload in objects.items()
            if cid not in places or not self._stands(cid, places[cid], payload)
        }

    def _unlisted(self, lists: Mapping[Cid, bytes]) -> dict[Cid, bytes]:
        """The lists of objects that the store does not have already, cut or whole."""
        places = self.ask(lambda index: index.places(list(lists)))
        return {
            cid: payload
            for cid, payload in lists.items()
            if cid not in places
            or not (
                self._bytes_stand(places[cid], payload)
                if places[cid].kind == Kind.CHUNKS
                else recovery.is_sound_place(self.packs, cid, places[cid])
            )
        }

    def _stands(self, cid: Cid, place: Place, payload: Payload) -> bool:
        """Whether exactly these bytes can be read there."""
        if place.kind != Kind.CHUNKS:
            return self._bytes_stand(place, payload)
        chunks = parse_chunks(cid, self.read(place))
        if chunks is None or chunks.size != len(payload):
            return False
        places = self.ask(lambda index: index.places([name for name, _ in chunks.chunks()]))
        at = 0
        for name, length in chunks.chunks():
            part = payload[at : at + length]
            if name not in places or not self._bytes_stand(places[name], part):
                return False
            at += length
        return True

    def _bytes_stand(self, place: Place, payload: Payload) -> bool:
        """Whether the payload there is these bytes."""
        pack = self.packs.pack(place.pack)
        if pack is None or place.length != len(payload):
            return False
        for start in range(0, place.length, _COMPARE_BYTES):
            part = payload[start : start + _COMPARE_BYTES]
            try:
                if pack.read(place.payload + start, len(part)) != part:
                    return False
            except OSError:
                return False
        return True

    def _bound(self, name: str) -> Cid | None:
        return self.ask(lambda index: index.root(name))
