"""Reading objects: whatever is returned was hashed in the very memory it is returned in."""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO, NamedTuple, TypeVar

from blake3 import blake3

from cid_store import disk
from cid_store.chunks import CHUNK_BYTES, ChunkList, parse_chunks
from cid_store.cid import MANY_BYTES, Cid, digest_of, large_hasher
from cid_store.demotion import Demotion, parse_demotion
from cid_store.errors import (
    CorruptObjectError,
    DamageError,
    MalformedNodeError,
    MissingObjectError,
)
from cid_store.folder import Place, Tail, unreadable
from cid_store.keeper import Keeper
from cid_store.pack import HEADER_BYTES, Kind
from cid_store.pages import prefer_large_pages
from cid_store.rebuilding import Rebuilder
from cid_store.tiers import Rebuild, parse_recipe

_STEP_BYTES = 2 << 20  # what was just read is hashed while it is still in the cache
_MOVES = 4  # how often an object may be moved while it is being read
_GAP_BYTES = 8192  # reading so much in vain is cheaper than asking the system once more
_RUN_BYTES = 4 << 20
_PARALLEL_BYTES = 8 << 20  # below this, starting threads takes longer than they save
_READERS = 2  # threads that fill the memory which a third hashes

_Bytes = TypeVar("_Bytes", bytes, memoryview)
_Parsed = TypeVar("_Parsed")


class Reader:
    """Verified reads of a store's objects; safe to call from any thread."""

    def __init__(self, keeper: Keeper, rebuild: Rebuild | None = None) -> None:
        self._keeper = keeper
        self.rebuilder = Rebuilder(rebuild, self)

    def place(self, cid: Cid) -> Place:
        """Where the object lies. Raises MissingObjectError."""
        place = self._keeper.find(cid)
        if place is None:
            raise MissingObjectError(
                f"object {cid} is not in the store at {self._keeper.path}; put it or fetch it first"
            )
        return place

    def get(self, cid: Cid) -> bytes:
        """The bytes of that name."""
        return self._sound(cid, self._read)

    def view(self, cid: Cid) -> memoryview:
        """The same bytes: mapped, or copied together where the object is kept in chunks."""
        return self._sound(cid, self._view)

    def get_many(self, cids: Sequence[Cid]) -> dict[Cid, bytes]:
        """The bytes of each name, read in the order in which they lie on the disk."""
        places = self._keeper.places(cids)
        runs = _runs(places)
        # What a rebuild may read is known to its own thread.
        alone = self.rebuilder.is_busy or len(runs) == 1
        if not alone and sum(place.length for place in places.values()) >= _PARALLEL_BYTES:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - rarely needed

            with ThreadPoolExecutor(os.cpu_count()) as pool:
                parts = list(pool.map(self._run, runs))
        else:
            parts = [self._run(run) for run in runs]
        found = {cid: data for part in parts for cid, data in part.items()}
        # What was not there, or not whole, is looked for as a single read looks for it.
        return {cid: found[cid] if cid in found else self.get(cid) for cid in cids}

    def stream(self, cid: Cid) -> Iterator[bytes]:
        """The object part by part, each checked before it is given."""
        demotion = self.demotion(cid)
        if demotion is not None:
            with self.rebuilt(cid, demotion) as file:
                while part := file.read(CHUNK_BYTES):
                    yield part
            return
        chunks = self.chunks(cid)
        if chunks is None:
            # Mapped and hashed before the first part is given, so it need not fit into memory.
            view = self.view(cid)
            for start in range(0, len(view), CHUNK_BYTES):
                yield bytes(view[start : start + CHUNK_BYTES])
            return
        whole = large_hasher()
        for chunk, _ in chunks.chunks():
            data = self.get(chunk)
            whole.update(data)
            yield data
        if whole.digest() != cid.digest:
            raise _misled(cid)

    def part(self, cid: Cid, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`; fewer where the object ends."""
        demotion = self.demotion(cid)
        if demotion is not None:
            with self.rebuilt(cid, demotion) as file:
                file.seek(start)
                return file.read(max(0, stop - start))
        chunks = self.chunks(cid)
        if chunks is None:
            return bytes(self.view(cid)[start:stop])
        return b"".join(
            self.get(piece.chunk)[piece.start : piece.stop] for piece in chunks.pieces(start, stop)
        )

    def size(self, cid: Cid) -> int:
        """How many bytes the object has."""
        size = self.place(cid).size
        if not size:  # the object is empty, or its record damaged: then one of these says so
            self.chunks(cid)
            self.demotion(cid)
        return size

    def chunks(self, cid: Cid) -> ChunkList | None:
        """The chunks an object is kept in; None where it is not kept in any."""
        return self._sealed(cid, (Kind.CHUNKS,), parse_chunks)

    def places(self, cid: Cid) -> list[tuple[int, int, int]] | None:
        """Pack, offset and length of each part of an object; None where it must be rebuilt."""
        if self.is_demoted(cid):
            return None
        chunks = self.chunks(cid)
        parts = [cid] if chunks is None else [chunk for chunk, _ in chunks.chunks()]
        if any(self.is_demoted(part) for part in parts):
            return None
        found = [self.place(part) for part in parts]
        return [(place.pack, place.payload, place.length) for place in found]

    def is_demoted(self, cid: Cid) -> bool:
        """Whether the object must be rebuilt, as the index knows it."""
        return self.place(cid).is_demoted

    def demotion(self, cid: Cid) -> Demotion | None:
        """What is kept in place of an object; None where it is kept whole."""
        return self._sealed(cid, (Kind.PENUMBRA, Kind.UMBRA), parse_demotion)

    def _sealed(
        self, cid: Cid, kinds: Sequence[Kind], parse: Callable[[Cid, bytes], _Parsed | None]
    ) -> _Parsed | None:
        """What a record of these kinds says of the object; None where others keep it."""
        place = self.place(cid)
        for _ in range(_MOVES):
            if place.kind not in kinds:
                return None
            payload = self._keeper.read(place)
            parsed = parse(cid, payload)
            if parsed is not None:
                return parsed
            place = self._keeper.sound_place(cid, place, payload)
        raise self._keeper.corrupt(cid, place, b"")

    def below(self, cid: Cid) -> list[Cid]:
        """What is read to read this object. Raises DamageError and MalformedNodeError."""
        chunks = self.chunks(cid)
        if chunks is not None:
            return [name for name, _ in chunks.chunks()]
        demotion = self.demotion(cid)
        if demotion is not None:
            return [demotion.recipe, *parse_recipe(self.get(demotion.recipe)).needs]
        return []

    def demoted_under(self, cid: Cid, reads: Iterable[Cid]) -> dict[Cid, list[Cid]]:
        """Every demoted object to be rebuilt for this one, which reads these, and it as the last.

        Each stands after those that it reads itself, which are named with it. What is damaged is
        left to who reads it.
        """
        found: dict[Cid, list[Cid]] = {}
        seen = {cid}
        needs = self._demoted_of(reads)
        # Not by recursion: what was demoted from what was demoted may go on for long.
        stack = [(cid, needs, iter(needs))]
        while stack:
            at, needs, rest = stack[-1]
            fresh = next((need for need in rest if need not in seen), None)
            if fresh is None:
                found[at] = needs
                stack.pop()
            else:
                seen.add(fresh)
                needs = self._demoted_of([fresh], below=True)
                stack.append((fresh, needs, iter(needs)))
        return found

    def _demoted_of(self, cids: Iterable[Cid], *, below: bool = False) -> list[Cid]:
        """The demoted ones of these, or of what is read to read these, chunks looked into."""
        found: dict[Cid, None] = {}
        waiting = list(cids)
        while waiting:
            places = self._keeper.ask(lambda index, some=waiting: index.places(some))
            waiting.clear()
            for cid, place in places.items():
                if place.is_demoted and not below:
                    found[cid] = None
                elif place.kind != Kind.OBJECT:
                    with suppress(DamageError, MalformedNodeError):
                        waiting += self.below(cid)
            below = False
        return list(found)

    def remade(self, cid: Cid) -> IO[bytes]:
        """A demoted object's bytes, in a file for the caller to close; see `rebuilt`."""
        demotion = self.demotion(cid)
        return io.BytesIO(self.get(cid)) if demotion is None else self.rebuilt(cid, demotion)

    def try_rebuild(self, cid: Cid) -> None:
        """Rebuild a demoted object to see that it can be. Raises CorruptObjectError if not."""
        demotion = self.demotion(cid)
        if demotion is not None:
            self.rebuilder.made(cid, demotion.recipe, demotion.size, sure=True).close()

    def rebuilt(self, cid: Cid, demotion: Demotion) -> IO[bytes]:
        """A demoted object's bytes, made again and checked, in a file for the caller to close."""
        try:
            return self.rebuilder.made(cid, demotion.recipe, demotion.size)
        except CorruptObjectError:
            # Until its garbage is collected, what was dropped may still be there.
            copy = None if self.rebuilder.is_sure else self._keeper.whole_copy(cid)
            data, sound = self._view(cid, copy) if copy is not None else (memoryview(b""), False)
            if not sound:
                raise
        return io.BytesIO(data)

    def _sound(self, cid: Cid, read: Callable[[Cid, Place], tuple[_Bytes, bool]]) -> _Bytes:
        place = self.place(cid)
        data, sound = read(cid, place)
        for _ in range(_MOVES):
            if sound:
                return data
            place = self._keeper.sound_place(cid, place, data)
            data, sound = read(cid, place)
        if sound:
            return data
        raise self._keeper.corrupt(cid, place, data)

    def _read(self, cid: Cid, place: Place) -> tuple[bytes, bool]:
        """What stands there, and whether it is the object."""
        if place.kind == Kind.CHUNKS:
            return self._joined(cid, place)
        if place.is_demoted:
            return self._remade(cid, place)
        if place.length < MANY_BYTES:
            data = self._keeper.read(place)
            return data, digest_of(data) == cid.digest
        pack = self._keeper.packs.pack(place.pack)
        if pack is None or place.payload + place.length > pack.size():
            return self._keeper.read(place), False
        hasher = large_hasher()
        steps = range(0, place.length, _STEP_BYTES)
        sources = ((place, at, min(_STEP_BYTES, place.length - at)) for at in steps)
        data = self._filled(place.length, sources, hasher)
        return data, hasher.digest() == cid.digest

    def _view(self, cid: Cid, place: Place) -> tuple[memoryview, bool]:
        if place.kind != Kind.OBJECT:
            data, sound = self._read(cid, place)
            return memoryview(data), sound
        view = self._keeper.view(place)
        return view, digest_of(view) == cid.digest

    def _remade(self, cid: Cid, place: Place) -> tuple[bytes, bool]:
        """The object rebuilt; not sound where the record that says how is damaged."""
        payload = self._keeper.read(place)
        demotion = parse_demotion(cid, payload)
        if demotion is None:
            return payload, False
        with self.rebuilt(cid, demotion) as file:
            return file.read(), True

    def _joined(self, cid: Cid, place: Place) -> tuple[bytes, bool]:
        """The object put together from its chunks; not sound where its list is damaged."""
        payload = self._keeper.read(place)
        chunks = parse_chunks(cid, payload)
        if chunks is None:
            return payload, False
        places = self._keeper.places([name for name, _ in chunks.chunks()])
        hasher = large_hasher()
        if all(name in places and places[name].length == size for name, size in chunks.chunks()):
            sources = ((places[name], 0, size) for name, size in chunks.chunks())
            data = self._filled(chunks.size, sources, hasher)
            if hasher.digest() == cid.digest:
                return data, True
        # Some chunk is damaged or moves: one by one, each is looked for wherever it may stand.
        data = b"".join(self.get(chunk) for chunk, _ in chunks.chunks())
        if digest_of(data) == cid.digest:
            return data, True
        raise _misled(cid)

    def _filled(
        self, size: int, sources: Iterable[tuple[Place, int, int]], hasher: blake3
    ) -> bytes:
        """Bytes read from there, one source after another, and hashed while they are at hand.

        A source is a place, where in its payload to begin, and how much. What cannot be read stays
        zero.
        """
        # A BytesIO over a value that nobody else holds gives it back without a copy.
        value = io.BytesIO(bytes(size))
        with value.getbuffer() as room:
            if size >= _PARALLEL_BYTES:
                prefer_large_pages(room)
            parts = _cut(room, sources)
            for part in self._ahead(parts) if size >= _PARALLEL_BYTES else map(self._fill, parts):
                hasher.update(part)
                part.release()
        return value.getvalue()

    def _ahead(self, parts: Iterable["_Part"]) -> Iterator[memoryview]:
        """The parts in order, filled by other threads while one of them is being hashed."""
        parts = list(parts)
        try:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - rarely needed

            # New memory costs the system more than the bytes that come there cost the hash.
            reader = ThreadPoolExecutor(_READERS)
            fillings = [reader.submit(self._fill, part) for part in parts]
        except RuntimeError:  # the interpreter is ending, and starts no thread any more
            yield from map(self._fill, parts)
            return
        try:
            for filling in fillings:
                yield filling.result()
        finally:
            reader.shutdown(cancel_futures=True)

    def _fill(self, part: "_Part") -> memoryview:
        """The part's room, holding what its place holds now."""
        room, place, start = part
        pack = self._keeper.packs.pack(place.pack)
        if pack is not None:
            try:
                disk.read_into(pack.fd, room, place.payload + start)
            except OSError as error:
                raise unreadable(pack.path, error) from error
        return room

    def _run(self, run: Sequence[tuple[Cid, Place]]) -> dict[Cid, bytes]:
        """The objects of one run that are sound, read at once."""
        if len(run) == 1:
            cid, place = run[0]
            data, sound = self._read(cid, place)
            return {cid: data} if sound else {}
        start = run[0][1].payload
        last = run[-1][1]
        data = self._keeper.read(
            Place.whole(last.pack, start - HEADER_BYTES, last.payload + last.length - start)
        )
        found: dict[Cid, bytes] = {}
        for cid, place in run:
            at = place.payload - start
            part = data[at : at + place.length]
            if blake3(part).digest() == cid.digest:
                found[cid] = part
        return found


class _Part(NamedTuple):
    """Some of a value that is being read, and where its bytes stand."""

    room: memoryview
    place: Place
    start: int  # in the payload


def _cut(room: memoryview, sources: Iterable[tuple[Place, int, int]]) -> Iterator[_Part]:
    """The room in parts, one for each source."""
    at = 0
    for place, start, length in sources:
        yield _Part(room[at : at + length], place, start)
        at += length


def _runs(places: Mapping[Cid, Place]) -> list[list[tuple[Cid, Place]]]:
    """The objects in the order of their places, those together that lie together.

    Demoted ones lie nowhere.
    """
    runs: list[list[tuple[Cid, Place]]] = []
    end = Tail(0, 0)
    length = 0
    for cid, place in sorted(places.items(), key=lambda item: item[1]):
        if place.is_demoted:
            continue
        length += place.length
        if (
            place.kind == Kind.OBJECT
            and place.pack == end.pack
            and 0 <= place.offset - end.end <= _GAP_BYTES
            and length <= _RUN_BYTES
        ):
            runs[-1].append((cid, place))
        else:
            runs.append([(cid, place)])
            length = place.length
        end = Tail(place.pack if place.kind == Kind.OBJECT else 0, place.payload + place.length)
    return runs


def _misled(cid: Cid) -> CorruptObjectError:
    return CorruptObjectError(
        f"object {cid} is corrupt: the list of its chunks does not make it up; put the same bytes "
        "again to repair it"
    )
