"""Making index and packs agree: after every crash, and when the index cannot be believed.

The packs are the truth. `follow` learns what a writer wrote but did not index, and clears what it
did not finish; `rebuild` learns everything anew and steps over damage.
"""

import errno
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple, Protocol

from cid_store import disk
from cid_store.cid import Cid, large_hasher
from cid_store.errors import DamageError
from cid_store.extent import sealed_extent
from cid_store.folder import PackFile, PackFolder, Place, Tail, place_of
from cid_store.index import Index, IndexDamagedError, PackEnd
from cid_store.pack import (
    ALIGN,
    HEADER_BYTES,
    RECORD_MAGIC,
    Head,
    Kind,
    PackHead,
    Record,
    parse_record_header,
    parse_roots,
)

_CHUNK = 4 << 20
_PAGE = 4096
_AHEAD = 64 << 10


class Learner(Protocol):
    """What can learn records: an index, or what stands in for a part of one."""

    def apply(
        self,
        objects: Iterable[tuple[Cid, Place]],
        roots: Mapping[str, Cid | None],
        end: PackEnd,
    ) -> None:
        """Learn what was appended to one pack."""
        ...


class Gap(NamedTuple):
    """A stretch of a pack that holds bytes but no record."""

    start: int
    stop: int


def follow(folder: PackFolder, index: Index, known: Tail | None = None) -> Tail:
    """Bring the index up to the packs' end and give the place for the next record.

    Only the holder of the writer's lock may call this. `known` is the end that this process left
    itself. Raises IndexDamagedError where the index belongs to other packs.
    """
    last = index.last_pack()
    if last is None:
        if folder.numbers():
            raise IndexDamagedError
        return Tail(0, 0, fit=False)
    tail = _end_of(folder, index, last, known)
    while folder.exists(tail.pack + 1):
        # A crash came after this pack was begun and before the index heard of it, unless a person
        # gave another's file that name: it would be cut, as if nothing in it were finished.
        _checked_head(folder, tail.pack + 1)
        folder.begin(tail.pack + 1)
        started = Tail(tail.pack + 1, HEADER_BYTES)
        tail = _adopted(folder, index, started)
    return tail


def is_behind(folder: PackFolder, index: Index) -> bool:
    """Whether the packs hold something the index has not heard of, finished or not.

    Raises IndexDamagedError where the index belongs to other packs.
    """
    packs = index.packs()
    if not packs:
        return bool(folder.numbers())
    if any(_is_foreign(folder, known) for known in packs):
        raise IndexDamagedError
    last = packs[-1]
    pack = folder.pack(last.number)
    unheard = pack is not None and _has_bytes(pack, last.end, pack.size())
    return unheard or folder.exists(last.number + 1)


def rebuild(folder: PackFolder, index: Index, *, writable: bool) -> bool:
    """Fill an empty index from the packs. What is unreadable at the end is set aside.

    Where that may not be done, False says that something at the end is unfinished.
    """
    finished = True
    numbers = folder.numbers()
    for number in numbers:
        _checked_head(folder, number)
    damaged: list[Head] = []
    for number in numbers:
        pack = folder.pack(number)
        if pack is None:
            continue
        if hasattr(os, "posix_fadvise"):
            # After a failed sync the system's copy may differ from the disk's: read the disk's.
            os.posix_fadvise(pack.fd, 0, 0, os.POSIX_FADV_DONTNEED)
        found = survey(pack, number, HEADER_BYTES)
        if number != numbers[-1]:
            found = found.settled()
            learn(index, folder, number, found.sound)
        elif not writable:
            with suppress(OSError):  # of a disk that fails, all that can be read is wanted
                disk.sync_data(pack.fd)
            learn(index, folder, number, found.readable())
            finished = found.is_all_of(pack)
        else:
            folder.begin(number)
            _finish(folder, index, number, found, keep=True)
        damaged += found.damaged
    _learn_damaged(index, folder, damaged)
    return finished


def adopt(folder: PackFolder, index: Index, number: int) -> None:
    """Learn the objects of a pack that the index does not know; its roots were carried on."""
    pack, head = folder.pack(number), _checked_head(folder, number)
    if pack is None or head is None:
        return  # damaged: it is left to a person
    heads = survey(pack, number, HEADER_BYTES).settled().sound
    objects = [(head.cid, placed(pack, head)) for head in heads if head.kind.is_object]
    end = max([HEADER_BYTES, *(head.end for head in heads[-1:])])
    index.adopt(objects, PackEnd(number, head.identity, end))


class Survey(NamedTuple):
    """What stands in a pack from some place on."""

    sound: list[Head]  # whole records, to be indexed
    damaged: list[Head]  # records of finished appends whose payload is not theirs any more
    end: int  # where the next record may go
    stranded: list[Head]  # whole records after a hole in the newest append

    def readable(self) -> list[Head]:
        """Every record that can be believed: of an unfinished append only whole objects."""
        return self.sound + [head for head in self.stranded if head.kind is Kind.OBJECT]

    def settled(self) -> "Survey":
        """The same where no append can be unfinished, because others came after it."""
        return Survey(self.sound + self.stranded, self.damaged, self.end, [])

    def is_all_of(self, pack: PackFile) -> bool:
        """Whether nothing follows that is not finished."""
        return not _has_bytes(pack, self.end, pack.size())


def survey(pack: PackFile, number: int, start: int) -> Survey:
    """Read every record from `start` on, and tell damage from an append that was not finished.

    An append is unfinished only if it is the newest: every later writer first cuts such a thing
    off. So a hole with a later append behind it is damage, and a hole in the newest is not.
    """
    whole: list[Head] = []
    damaged: list[Head] = []
    holes: list[Gap] = []
    for item in scan(pack, number, start):
        if isinstance(item, Gap):
            holes.append(item)
        elif is_intact(pack, item):
            whole.append(item)
        else:
            damaged.append(item)
            holes.append(Gap(item.offset, item.end))
    newest = max(start, whole[-1].group) if whole else start
    end = whole[-1].end if whole else start
    cut = next((max(hole.start, newest) for hole in holes if hole.stop > newest), end)
    return Survey(
        sound=[head for head in whole if head.offset < cut],
        damaged=[head for head in damaged if head.offset < cut],
        end=cut,
        stranded=[head for head in whole if head.offset >= cut],
    )


def copies(folder: PackFolder, cid: Cid) -> list[Place]:
    """Every intact record of the object, by reading every header; the ones that need least first.

    An object that is there whole needs nothing, a list its chunks, what was demoted a rebuild.
    """
    found: list[Place] = []
    for number in folder.numbers():
        pack = folder.pack(number)
        if pack is None:
            continue
        for item in scan(pack, number, HEADER_BYTES):
            if isinstance(item, Head) and item.cid == cid and is_intact(pack, item):
                found.append(placed(pack, item))
                if item.kind is Kind.OBJECT:
                    return found[-1:]
    return sorted(found, key=lambda place: place.kind)


def is_sound_place(folder: PackFolder, cid: Cid, place: Place) -> bool:
    """Whether the object stands there intact."""
    pack = folder.pack(place.pack)
    head = Head(Kind(place.kind), cid, place.length, place.pack, place.offset, place.offset)
    return (
        pack is not None and place.payload + place.length <= pack.size() and is_intact(pack, head)
    )


def scan(pack: PackFile, number: int, start: int, stop: int | None = None) -> Iterator[Head | Gap]:
    """The records from `start` on and the damage between them; payloads are not looked at.

    Up to `stop` records are known to stand; without it, zeros up to the file's end are its end.
    """
    size = pack.size() if stop is None else min(stop, pack.size())
    at = start
    base, window = start, b""
    ahead = _AHEAD
    while at < size:
        if at + HEADER_BYTES > base + len(window):
            # Many small records are read at once; of large ones nothing but their headers.
            base, window = at, pack.read(at, ahead if at + ahead <= size else HEADER_BYTES)
        header = window[at - base : at - base + HEADER_BYTES]
        head = parse_record_header(header, number, at)
        if head is not None and head.payload + head.length <= size:
            yield head
            at = head.end
            ahead = _AHEAD if head.length < _AHEAD // 4 else HEADER_BYTES
            continue
        found = _next_record(pack, number, at + ALIGN, size)
        if found is not None:
            yield Gap(at, found)
            at = found
        else:
            # Where records are known to stand, zeros are no end but what is left of them.
            if stop is not None or _has_bytes(pack, at, size):
                yield Gap(at, size)
            return


def is_intact(pack: PackFile, head: Head) -> bool:
    """Whether the payload is the one its header names."""
    if head.kind.is_sealed:
        payload = pack.read(head.payload, head.length)
        return sealed_extent(head.kind, head.cid, payload) is not None
    hasher = large_hasher()
    for at in range(head.payload, head.payload + head.length, _CHUNK):
        hasher.update(pack.read(at, min(_CHUNK, head.payload + head.length - at)))
    return hasher.digest() == head.cid.digest


def placed(pack: PackFile, head: Head) -> Place:
    """Where the object lies whose record has that header."""
    if head.kind is Kind.OBJECT:
        return Place.whole(head.pack, head.offset, head.length)
    payload = pack.read(head.payload, head.length)
    return place_of(Record(head.kind, head.cid, payload), head.pack, head.offset)


def reaches(folder: PackFolder, end: PackEnd) -> bool:
    """Whether a pack is there, up to where the index knows it."""
    pack = folder.pack(end.number)
    return pack is not None and pack.size() >= end.end


def bindings(folder: PackFolder, head: Head) -> dict[str, Cid | None] | None:
    """What a roots record binds and unbinds; None where it is damaged."""
    pack = folder.pack(head.pack)
    if pack is None or not is_intact(pack, head):
        return None
    return parse_roots(pack.read(head.payload, head.length))


def told_roots(folder: PackFolder, ends: Iterable[PackEnd]) -> tuple[dict[str, Cid], bool]:
    """The roots as the packs have them, and whether no damage can have taken one."""
    told: dict[str, Cid] = {}
    whole = True
    for end in ends:
        whole &= reaches(folder, end)
        pack = folder.pack(end.number)
        for item in scan(pack, end.number, HEADER_BYTES, end.end) if pack is not None else ():
            if isinstance(item, Gap):
                whole = False
            elif item.kind is Kind.ROOTS:
                bound = bindings(folder, item)
                whole &= bound is not None
                for name, cid in (bound or {}).items():
                    if cid is None:
                        told.pop(name, None)
                    else:
                        told[name] = cid
    return told, whole


def _end_of(folder: PackFolder, index: Index, last: PackEnd, known: Tail | None) -> Tail:
    pack = folder.pack(last.number)
    if pack is None or pack.size() < last.end:
        return Tail(last.number, last.end, fit=False)  # damaged: add nothing, begin a new pack
    if _is_foreign(folder, last):
        raise IndexDamagedError
    tail = Tail(last.number, last.end)
    # While this process lives there was no power cut, so a writer that was killed left the
    # beginning of what it wrote, if anything.
    stop = min(pack.size(), last.end + HEADER_BYTES) if tail == known else pack.size()
    return _adopted(folder, index, tail) if _has_bytes(pack, last.end, stop) else tail


def _is_foreign(folder: PackFolder, known: PackEnd) -> bool:
    """Whether that pack is sound and another than the index knew by its number."""
    head = _checked_head(folder, known.number)
    return head is not None and head.identity != known.identity


def _checked_head(folder: PackFolder, number: int) -> PackHead | None:
    """Who a pack says it is, where it can say. Raises DamageError for one under another's name."""
    misnamed = folder.name_fault(number)
    if misnamed is not None:
        raise DamageError(misnamed)
    return folder.head(number)


def _adopted(folder: PackFolder, index: Index, tail: Tail) -> Tail:
    """Index every finished record after the tail, and clear what follows them."""
    pack = PackFile(folder.file(tail.pack), write=True)
    found = survey(pack, tail.pack, tail.end)
    disk.rewrite(pack.fd, tail.end, min(found.end, pack.size()))
    folder.sync(pack)
    tail = _finish(folder, index, tail.pack, found, keep=False)
    _learn_damaged(index, folder, found.damaged)
    return tail


def _finish(folder: PackFolder, index: Index, number: int, found: Survey, *, keep: bool) -> Tail:
    """Index what was surveyed at the packs' end, and make room there for the next record.

    What is cut off was never acknowledged, unless the disk damaged it afterwards: so its whole
    objects are put again, and with `keep`, or if there were any, its bytes are kept in `torn/`.
    """
    pack = PackFile(folder.file(number), write=True)
    rescued = [
        Record(head.kind, head.cid, pack.read(head.payload, head.length))
        for head in found.stranded
        if head.kind is Kind.OBJECT
    ]
    if _has_bytes(pack, found.end, pack.size()):
        if keep or found.stranded:
            _set_aside(folder, pack, number, found.end)
        # Cut, not skipped: no later record may ever seem to continue what stood here.
        pack.cut(found.end)
        folder.sync(pack)
    learn(index, folder, number, found.sound, end=found.end)
    tail = Tail(number, found.end)
    if rescued:
        places, tail = folder.append(tail, rescued)
        head = folder.head(tail.pack)
        end = PackEnd(tail.pack, head.identity if head is not None else b"", tail.end)
        cids = [record.cid for record in rescued]
        index.apply(zip(cids, places, strict=True), {}, end)
    return tail


def _set_aside(folder: PackFolder, pack: PackFile, number: int, start: int) -> None:
    """Copy the rest of a pack into the folder `torn/` beside the packs."""
    aside = folder.path.parent / "torn"
    if not disk.is_folder(aside):
        disk.make_folder(aside)
    names = (aside / f"{number:08d}-{start}-{attempt}" for attempt in itertools.count())
    disk.copy_out(pack.fd, start, next(name for name in names if not name.exists()))


def _learn_damaged(index: Index, folder: PackFolder, heads: list[Head]) -> None:
    """Index damaged objects too, so that a reader hears of damage, not of absence."""
    ends = {end.number: end for end in index.packs()}
    for head in heads:
        if head.kind.is_object and not index.places([head.cid]):
            pack = folder.pack(head.pack)
            assert pack is not None, "its record was read a moment ago"
            index.apply([(head.cid, placed(pack, head))], {}, ends[head.pack])


def learn(
    index: Learner, folder: PackFolder, number: int, heads: list[Head], end: int = HEADER_BYTES
) -> None:
    """Give the index these records of one pack."""
    pack_head = folder.head(number)
    identity = pack_head.identity if pack_head is not None else b""
    pack = folder.pack(number)
    assert pack is not None, "records come from a pack that is there"
    roots: dict[str, Cid | None] = {}
    for head in heads:
        if head.kind is Kind.ROOTS:
            roots.update(parse_roots(pack.read(head.payload, head.length)) or {})
    objects = ((head.cid, placed(pack, head)) for head in heads if head.kind.is_object)
    reached = max([end, *(head.end for head in heads[-1:])])
    index.apply(objects, roots, PackEnd(number, identity, reached))


def _next_record(pack: PackFile, number: int, start: int, stop: int) -> int | None:
    """Where the next sound header stands, trying every multiple of 64."""
    for base in range(start, stop, _CHUNK):
        chunk = pack.read(base, min(_CHUNK, stop - base))
        at = chunk.find(RECORD_MAGIC)
        while at >= 0:
            if at % ALIGN == 0:
                header = chunk[at : at + HEADER_BYTES]
                if parse_record_header(header, number, base + at) is not None:
                    return base + at
            at = chunk.find(RECORD_MAGIC, at + 1)
    return None


def _has_bytes(pack: PackFile, start: int, stop: int) -> bool:
    """Whether anything but zeros stands there."""
    if start >= stop:
        return False
    # Room that was reserved and never written costs nothing to step over, unless the system has
    # read it once: so no more is read than must be, through a descriptor without read-ahead.
    try:
        alone = PackFile(pack.path)
    except OSError:  # removed a moment ago, say; who has it open keeps it
        alone = pack
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(alone.fd, 0, 0, os.POSIX_FADV_RANDOM)
    at, step = start, _PAGE - start % _PAGE
    while at < stop:
        try:
            at = max(at, os.lseek(alone.fd, at, os.SEEK_DATA))
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but such room up to the end
                return False
        chunk = alone.read(at, min(step, stop - at))
        if chunk != bytes(len(chunk)):
            return True
        at += max(len(chunk), 1)
        step = min(_CHUNK, max(_PAGE, step * 2) // _PAGE * _PAGE)
    return False
