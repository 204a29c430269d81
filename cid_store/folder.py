"""The packs of a store as files: open, read, map, create, append."""

import mmap
import os
import threading
from collections import OrderedDict
from collections.abc import Container, Sequence
from itertools import accumulate, repeat
from pathlib import Path
from typing import NamedTuple, Self

from cid_store import disk, leaving
from cid_store.errors import InputError, StoreStoppedError, UnavailableError
from cid_store.extent import Extent, sealed_extent
from cid_store.pack import (
    HEADER_BYTES,
    ID_BYTES,
    Kind,
    PackHead,
    Record,
    UnknownVersionError,
    laid_out,
    pack_header,
    parse_pack_header,
    record_bytes,
)

PACK_BYTES = 1 << 30  # a pack that would grow past this is left for a new one

_OPEN_PACKS = 64  # well below the usual limit of 1,024 descriptors
_ROOM_MIN, _ROOM_MAX = 1 << 20, 16 << 20
SMALL_BYTES = 64 << 10  # of an append of more, waiting for the disk is the smaller part
_BLOCK_BYTES = 1 << 20  # writing so much keeps the disk busy while the next is laid out
_OBJECT = int(Kind.OBJECT)  # SQLite takes plain numbers several times faster
_EVERYWHERE = {kind for kind in Kind if kind.since == 1}  # what packs of any version may hold
_ZEROS = memoryview(bytes(256 << 10))


class Place(NamedTuple):
    """Where an object lies: the record at `offset` of a pack, the payload's length, its kind.

    `size` and `cost_us` are the object's own: its length, and what a rebuild is expected to take.
    """

    pack: int
    offset: int
    length: int
    kind: int
    size: int  # 0 also where a damaged record does not say
    cost_us: int = 0

    @classmethod
    def whole(cls, pack: int, offset: int, length: int) -> Self:
        """The place of an object that is the payload there."""
        return cls(pack, offset, length, _OBJECT, length)

    @property
    def payload(self) -> int:
        """Where the payload starts."""
        return self.offset + HEADER_BYTES

    @property
    def is_demoted(self) -> bool:
        """Whether what stands there says only how the object is rebuilt."""
        return self.kind >= Kind.PENUMBRA


class Tail(NamedTuple):
    """Where the next record goes. `fit` is false when that pack must not be added to."""

    pack: int
    end: int
    fit: bool = True


class PackFile:
    """One open pack. Its descriptor lives as long as somebody holds this value."""

    def __init__(self, path: Path, *, write: bool = False, number: int = 0) -> None:
        self.path = path
        self.number = number
        self.fd = disk.open_file(path, os.O_RDWR if write else os.O_RDONLY)
        self._map: mmap.mmap | None = None

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)

    def size(self) -> int:
        """The file's length now."""
        return disk.length(self.fd)

    def is_there(self) -> bool:
        """Whether the file still has a name."""
        return disk.has_name(self.fd)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from there; fewer where the pack ends. Raises UnavailableError."""
        # The size first: a lying length must not make this process ask for an exabyte.
        if length > 1 << 20:
            length = max(0, min(length, self.size() - offset))
        try:
            return disk.read_at(self.fd, length, offset)
        except OSError as error:
            raise unreadable(self.path, error) from error

    def cut(self, length: int) -> None:
        """Let the file end there."""
        os.ftruncate(self.fd, length)

    def view(self, offset: int, length: int) -> memoryview | None:
        """The mapped bytes, read-only; None where the pack ends before them."""
        if not length:
            return memoryview(b"")
        size = self.size()
        if offset + length > size:  # touching a page past the end would end the process
            return None
        mapped = self._map
        if mapped is None or offset + length > len(mapped):
            # Views of the older, shorter map keep it alive for themselves.
            try:
                mapped = self._map = mmap.mmap(self.fd, size, access=mmap.ACCESS_READ)
            except OSError as error:
                raise unreadable(self.path, error) from error
        return memoryview(mapped)[offset : offset + length]


class PackFolder:
    """The folder `packs/`: files 00000001.pack and so on, in the order they were begun."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: OrderedDict[int, PackFile] = OrderedDict()
        self._lock = threading.Lock()
        self._writing: PackFile | None = None  # the last pack, kept open for the next append
        self._zeroed = Tail(0, 0)  # up to here there are zeros on the disk, not only room
        self._small_bytes = 0  # in small appends so far

    def file(self, number: int) -> Path:
        """The path of a pack."""
        return self.path / f"{number:08d}.pack"

    def numbers(self) -> list[int]:
        """The packs there are, in order; those whose removal was broken off are none any more."""
        names = [entry.name for entry in os.scandir(self.path)]
        stems = (name[:-5] for name in names if name.endswith(".pack"))
        numbers = sorted(int(stem) for stem in stems if stem.isascii() and stem.isdigit())
        if leaving.NAME not in names:
            return numbers
        gone = self._leaving()
        return [number for number in numbers if number not in gone]

    def exists(self, number: int) -> bool:
        """Whether there is a pack of that number."""
        return os.path.lexists(self.file(number))

    def pack(self, number: int) -> PackFile | None:
        """A pack opened for reading, kept open for the next reader; None where there is none."""
        with self._lock:
            pack = self._open.get(number)
            if pack is None:
                try:
                    pack = PackFile(self.file(number))
                except FileNotFoundError:
                    return None
                except OSError as error:
                    raise unreadable(self.file(number), error) from error
                self._open[number] = pack
                if len(self._open) > _OPEN_PACKS:
                    self._open.popitem(last=False)
            self._open.move_to_end(number)
            return pack

    def written_ns(self, number: int) -> int | None:
        """When the pack was last written to or relied on; None where it is gone."""
        try:
            return self.file(number).stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def touch(self, number: int) -> None:
        """Note, durably, that what stands in the pack was put again now. Raises OSError."""
        fd = disk.open_file(self.file(number), os.O_RDWR)
        try:
            os.utime(fd)
            disk.sync_file(fd)
        finally:
            os.close(fd)

    def remove(self, numbers: Sequence[int]) -> None:
        """Let packs go together; who has one open, or maps it, keeps its bytes. Raises OSError."""
        if len(numbers) > 1:
            heads = {number: self.head(number) for number in numbers}
            leaving.write(
                self.path, {number: head.identity for number, head in heads.items() if head}
            )
        self._unlink(numbers)

    def finish_removal(self, known: Container[int]) -> None:
        """Remove the packs whose removal was broken off, but none that is known. Raises OSError."""
        if os.path.lexists(self.path / leaving.NAME):
            self._unlink([number for number in self._leaving() if number not in known])

    def _leaving(self) -> list[int]:
        """The packs that are there still, although they were removed."""
        packs = leaving.read(self.path).items()
        heads = ((number, identity, self.head(number)) for number, identity in packs)
        return [number for number, identity, head in heads if head and head.identity == identity]

    def _unlink(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            with self._lock:
                self._open.pop(number, None)
                self._writing = None
            disk.remove(self.file(number))
        disk.sync_folder(self.path)
        disk.remove(self.path / leaving.NAME)

    def head(self, number: int) -> PackHead | None:
        """Who a pack says it is; None where it cannot say. Raises InputError for later formats."""
        pack = self.pack(number)
        if pack is None:
            return None
        try:
            return parse_pack_header(pack.read(0, HEADER_BYTES))
        except UnknownVersionError as error:
            raise InputError(
                f"{pack.path} has format version {error}, and this Redoxa reads versions 1 to 3; "
                "open the store with a newer Redoxa"
            ) from error

    def name_fault(self, number: int) -> str | None:
        """What is wrong with a pack's name, and a way out that never writes over another pack."""
        head = self.head(number)
        if head is None or head.number == number:
            return None
        own = self.file(head.number).name
        fact = f"{self.file(number)} is pack {head.number} by its header"
        if not self.exists(head.number):
            return f"{fact}; give it back the name {own}"
        there = self.head(head.number)
        if there is None or there.number == head.number:
            return f"{fact}, and {own} is there: this is a copy; move it out of that folder"
        return f"{fact}; move {own}, which is another pack, aside, then give it back the name {own}"

    def create(self, number: int) -> Tail:
        """Begin a pack, durably. Raises OSError or StoreStoppedError."""
        fd = disk.open_file(self.file(number), os.O_RDWR | os.O_CREAT | os.O_EXCL)
        os.close(fd)
        self.begin(number)
        return Tail(number, HEADER_BYTES)

    def begin(self, number: int) -> None:
        """Make sure of a new pack's name and header, whatever a crash left of them."""
        pack = PackFile(self.file(number), write=True)
        header = pack.read(0, HEADER_BYTES)
        # A write of the header may have stopped half-way; where more stands, that is damage.
        if not header.strip(b"\0") or (pack.size() <= HEADER_BYTES and not self.head(number)):
            header = pack_header(PackHead(number, disk.random_bytes(ID_BYTES)))
        # Written again even where it can be read: see disk.rewrite.
        disk.write_all(pack.fd, [header], 0)
        self.sync(pack)
        try:
            disk.sync_folder(self.path)
        except OSError as error:
            raise _unconfirmed(self.path, error) from error

    def append(self, tail: Tail, records: Sequence[Record]) -> tuple[list[Place], Tail]:
        """Put the records at the tail and return when they are on the disk.

        Raises UnavailableError when they could not be written (the tail may then hold a part of
        them, which the next writer clears), StoreStoppedError when they could not be synced.
        """
        sizes = [record_bytes(len(record.payload)) for record in records]
        size = sum(sizes)
        try:
            tail = self._room(tail, size, records)
            pack = self._opened(tail.pack)
            self._small_bytes += size if size <= SMALL_BYTES else 0
            behind: list[memoryview] = []
            if not self._is_zeroed(tail.pack, tail.end + size):
                _preallocate(pack, tail.end, tail.end + size)
                behind = self._zeros(pack, tail, size)
            places = _placed(records, sizes, tail)
            _write(pack, places, records, behind)
        except OSError as error:
            raise UnavailableError(
                f"the store at {self.path.parent} could not be written ({error.strerror}); "
                "nothing of this put is kept; make room or repair the disk, and put it again"
            ) from error
        self.sync(pack)
        return places, Tail(tail.pack, tail.end + size)

    def _opened(self, number: int) -> PackFile:
        """The pack, opened for writing."""
        pack = self._writing
        if pack is None or pack.number != number or not pack.is_there():
            pack = self._writing = PackFile(self.file(number), write=True, number=number)
        return pack

    def _is_zeroed(self, number: int, stop: int) -> bool:
        """Whether this process wrote zeros in that pack up to there, which records may cover."""
        return self._zeroed.pack == number and stop <= self._zeroed.end

    def _zeros(self, pack: PackFile, tail: Tail, size: int) -> list[memoryview]:
        """What to write behind a small append for the sake of the next ones.

        A sync of bytes in room that was reserved and never written must note in the journal that
        now it is; of bytes written over zeros nothing is to be noted: 0.11 ms, not 0.17.
        """
        if size > SMALL_BYTES:
            return []
        stop = tail.end + size
        # As much as was written so far: who puts one object does not pay for a hundred.
        room = min(self._small_bytes, len(_ZEROS), max(0, pack.size() - stop))
        self._zeroed = Tail(tail.pack, stop + room)
        return [_ZEROS[:room]]

    def sync(self, pack: PackFile) -> None:
        """Return when the pack's bytes are on the disk. Raises StoreStoppedError."""
        try:
            disk.sync_data(pack.fd)
        except OSError as error:
            raise _unconfirmed(pack.path, error) from error

    def _room(self, tail: Tail, size: int, records: Sequence[Record]) -> Tail:
        """The tail, or the start of a new pack where the old one is full or unfit."""
        full = tail.end > HEADER_BYTES and tail.end + size > PACK_BYTES
        if tail.pack and tail.fit and not full and self._takes(tail.pack, records):
            return tail
        return self.leave(tail)

    def leave(self, tail: Tail) -> Tail:
        """Begin the next pack, durably. Raises OSError or StoreStoppedError."""
        if tail.pack and tail.fit:
            # Give back the room it never used.
            PackFile(self.file(tail.pack), write=True).cut(tail.end)
        return self.create(tail.pack + 1)

    def _takes(self, number: int, records: Sequence[Record]) -> bool:
        """Whether records of these kinds may stand in that pack, by its format."""
        kinds = {record.kind for record in records}
        if kinds <= _EVERYWHERE:
            return True
        head = self.head(number)
        return head is not None and head.version >= max(kind.since for kind in kinds)

    def close(self) -> None:
        """Forget the open packs; views keep theirs."""
        with self._lock:
            self._open.clear()
            self._writing = None


def place_of(record: Record, pack: int, offset: int) -> Place:
    """Where an object lies whose record stands there."""
    length = len(record.payload)
    if record.kind is Kind.OBJECT:  # asked first: most records are
        return Place(pack, offset, length, _OBJECT, length)
    if not record.kind.is_sealed:
        return Place.whole(pack, offset, length)
    # Of a damaged record nothing is known but that it is there.
    extent = sealed_extent(record.kind, record.cid, bytes(record.payload)) or Extent(0)
    return Place(pack, offset, length, int(record.kind), *extent)


def _write(
    pack: PackFile, places: Sequence[Place], records: Sequence[Record], behind: Sequence[memoryview]
) -> None:
    """Write records to their places; the disk takes the first while the next are laid out."""
    number, group = places[0][:2]
    first, start = 0, group
    for at, place in enumerate(places):
        if place.offset - start >= _BLOCK_BYTES:
            parts = laid_out(records[first:at], number, start, group)
            disk.write_all(pack.fd, parts, start)
            disk.start_writing(pack.fd, start, place.offset)
            first, start = at, place.offset
    parts = laid_out(records[first:], number, start, group)
    disk.write_all(pack.fd, [*parts, *behind], start)


def _placed(records: Sequence[Record], sizes: Sequence[int], tail: Tail) -> list[Place]:
    """Where objects lie whose records stand one after another at the tail."""
    offsets = accumulate(sizes, initial=tail.end)
    if len(records) > 1 and all(record.kind is Kind.OBJECT for record in records):
        # Thousands may come in one batch, so nothing of this is done in steps of Python.
        lengths = [len(record.payload) for record in records]
        same = repeat(tail.pack), repeat(_OBJECT), repeat(0)
        rows = zip(same[0], offsets, lengths, same[1], lengths, same[2], strict=False)
        return list(map(Place._make, rows))
    pairs = zip(records, offsets, strict=False)
    return [place_of(record, tail.pack, offset) for record, offset in pairs]


def _preallocate(pack: PackFile, end: int, stop: int) -> None:
    """Make room for what is about to be written, and some more for the writes to come."""
    # A sync of bytes inside the file's known length need not sync its metadata: 0.20 ms, not 0.32.
    size = pack.size()
    if stop <= size:
        return
    room = min(_ROOM_MAX, max(_ROOM_MIN, end))
    try:
        disk.preallocate(pack.fd, size, stop + room)
    except OSError:  # room to spare is a luxury; room for the records is checked by writing them
        disk.preallocate(pack.fd, size, stop)


def unreadable(path: Path, error: OSError) -> UnavailableError:
    """What to say when the system refuses a file."""
    return UnavailableError(
        f"{path} cannot be used ({error.strerror}); check the disk and the folder's permissions"
    )


def _unconfirmed(path: Path, error: OSError) -> StoreStoppedError:
    return StoreStoppedError(
        f"the disk did not confirm a write to {path} ({error.strerror}); this store takes no more "
        "writes until it is opened again, which checks the pack's end"
    )
