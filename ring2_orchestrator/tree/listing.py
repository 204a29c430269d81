"""A directory's list: every name in it, and which bytes after the list each file consists of.

It names contents by where they stand and not by their hashes: what holds the list vouches for every
byte. The form is fixed in docs/formats/listing.md.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from cid_store.cid import Cid
from cid_store.store import Store
from ring0.abi import unsigned_leb128 as varint
from ring2_orchestrator.container import DamagedContainerError
from ring2_orchestrator.container.wire import Fields
from ring2_orchestrator.tree.node import (
    MAX_DEPTH,
    MAX_NAME_BYTES,
    MAX_SIZE,
    MAX_TARGET_BYTES,
    MODE_BITS,
    Extent,
    File,
    Folder,
    Link,
    get_tree,
    put_tree,
)

MAGIC = b"\x89RDT\x01"
MAX_LISTING = 1 << 28
MAX_ENTRIES = 4_000_000
# The length of a list takes no more bytes than this.
FRONT = len(MAGIC) + 10

_FILE, _SPARSE, _FOLDER, _LINK = range(4)
_ALIGNMENT = 16
_WHAT = "the list of the directory"


class Stretch(NamedTuple):
    """A stretch of a file, and the number of the content that it is."""

    offset: int
    length: int
    content: int


class ListedFile(NamedTuple):
    """A regular file; outside of its stretches it reads as zeros."""

    mode: int
    size: int
    stretches: tuple[Stretch, ...]


class ListedFolder(NamedTuple):
    """A folder and what stands in it."""

    mode: int
    entries: "Mapping[bytes, Listed]"


Listed: TypeAlias = ListedFile | ListedFolder | Link


class Content(NamedTuple):
    """Some bytes that files consist of, under the first path that has them."""

    path: bytes
    length: int


class Place(NamedTuple):
    """Where a content stands after the list, and how many zeros stand before it."""

    content: int
    begin: int
    padding: int


class Listing(NamedTuple):
    """What stands in a directory, and the contents by their numbers: the order of the list."""

    entries: Mapping[bytes, Listed]
    contents: list[Content]


def places(contents: Iterable[Content], begin: int) -> Iterator[Place]:
    """Where each content stands if the first may from `begin` on, in the order of their places.

    Those of one suffix stand together, and begin where lanes of any width would.
    """
    suffixes = [_suffix(content.path) for content in contents]
    lengths = [content.length for content in contents]
    last: bytes | None = None
    for number in sorted(range(len(lengths)), key=lambda number: (suffixes[number], number)):
        padding = -begin % _ALIGNMENT if suffixes[number] != last else 0
        begin, last = begin + padding, suffixes[number]
        yield Place(number, begin, padding)
        begin += lengths[number]


def taken(store: Store, root: Cid) -> tuple[Listing, list[Cid]]:
    """The list of a tree in a store, and the objects that its contents are."""
    contents: list[Content] = []
    numbers: dict[Cid, int] = {}

    def stretch(extent: Extent, path: bytes) -> Stretch:
        if extent.data not in numbers:
            numbers[extent.data] = len(contents)
            contents.append(Content(path, extent.length))
        return Stretch(extent.offset, extent.length, numbers[extent.data])

    def folder(tree: Cid, path: bytes) -> dict[bytes, Listed]:
        listed: dict[bytes, Listed] = {}
        for name, entry in get_tree(store, tree).items():
            match entry:
                case Folder(mode, below):
                    listed[name] = ListedFolder(mode, folder(below, path + name + b"/"))
                case File(mode, size, extents):
                    kept = [stretch(one, path + name) for one in extents if one.length]
                    listed[name] = ListedFile(mode, size, tuple(kept))
                case Link():
                    listed[name] = entry
        return listed

    return Listing(folder(root, b""), contents), [*numbers]


def kept(store: Store, listing: Listing, data: Callable[[int], Cid]) -> Cid:
    """Keep the tree of a list in a store, given the object of each content; the tree's name."""

    def folder(entries: Mapping[bytes, Listed]) -> Cid:
        return put_tree(store, {name: entry(each) for name, each in entries.items()})

    def entry(listed: Listed) -> File | Folder | Link:
        match listed:
            case ListedFolder(mode, entries):
                return Folder(mode, folder(entries))
            case ListedFile(mode, 0, _):
                return File(mode, 0, (Extent(0, 0, store.put(b"")),))
            case ListedFile(mode, size, stretches):
                extents = (Extent(one.offset, one.length, data(one.content)) for one in stretches)
                return File(mode, size, tuple(extents))
            case Link():
                return listed

    return folder(listing.entries)


def encode_listing(listing: Listing) -> bytes:
    """The list's bytes, its magic and its length included."""
    out = bytearray()
    _encode_folder(out, listing.entries, 0)
    return MAGIC + varint(len(out)) + out


def decode_front(front: bytes) -> tuple[int, int]:
    """Where a list begins and ends, from the bytes before it. Raises DamagedContainerError."""
    fields = Fields(front, _WHAT)
    if fields.take(len(MAGIC)) != MAGIC:
        raise DamagedContainerError(f"{_WHAT} is of a kind that is not known here")
    length = fields.varint()
    if length > MAX_LISTING:
        raise DamagedContainerError(f"{_WHAT} is longer than any may be")
    return fields.at, fields.at + length


def decode_listing(data: bytes) -> Listing:
    """The list of these bytes. Raises DamagedContainerError."""
    reading = _Reading(data)
    entries = reading.folder(b"", 1)
    reading.fields.end()
    return Listing(entries, reading.contents)


def _encode_folder(out: bytearray, entries: Mapping[bytes, Listed], seen: int) -> int:
    """Write what stands in a folder; how many contents were met so far."""
    out += varint(len(entries))
    for name in sorted(entries):
        out += varint(len(name)) + name
        match entries[name]:
            case Link(target):
                out += bytes([_LINK]) + varint(len(target)) + target
            case ListedFolder(mode, below):
                out += bytes([_FOLDER]) + varint(mode)
                seen = _encode_folder(out, below, seen)
            case ListedFile(mode, size, stretches):
                seen = _encode_file(out, ListedFile(mode, size, stretches), seen)
    return seen


def _encode_file(out: bytearray, file: ListedFile, seen: int) -> int:
    is_sparse = [one.length for one in file.stretches] != [file.size] and file.size > 0
    out += bytes([_SPARSE if is_sparse else _FILE]) + varint(file.mode) + varint(file.size)
    if is_sparse:
        out += varint(len(file.stretches))
    end = 0
    for one in file.stretches:
        if is_sparse:
            out += varint(one.offset - end) + varint(one.length)
            end = one.offset + one.length
        # What is new has the next number, so it needs none.
        is_new = one.content == seen
        seen += is_new
        out += varint(0 if is_new else one.content + 1)
    return seen


class _Reading:
    """A list on its way back: every number in it may be anything."""

    def __init__(self, data: bytes) -> None:
        self.fields = Fields(data, _WHAT)
        self.contents: list[Content] = []
        self._entries = 0

    def folder(self, path: bytes, depth: int) -> dict[bytes, Listed]:
        """The entries of a folder whose path this is."""
        if depth > MAX_DEPTH:
            raise DamagedContainerError(f"{_WHAT} has folders too deep in one another")
        entries: dict[bytes, Listed] = {}
        last = b""
        for _ in range(self._count()):
            name = self._bytes(MAX_NAME_BYTES)
            if name <= last or name in (b".", b"..") or b"/" in name or b"\0" in name:
                raise DamagedContainerError(f"{_WHAT} holds a name that is none, or out of order")
            entries[name] = self._entry(path + name, depth)
            last = name
        return entries

    def _entry(self, path: bytes, depth: int) -> Listed:
        kind = self.fields.byte()
        if kind == _LINK:
            target = self._bytes(MAX_TARGET_BYTES)
            if not target or b"\0" in target:
                raise DamagedContainerError(f"{_WHAT} holds a link that leads nowhere")
            return Link(target)
        if kind > _LINK:
            raise DamagedContainerError(f"{_WHAT} holds what is neither folder, file nor link")
        mode = self._number(MODE_BITS)
        if kind == _FOLDER:
            return ListedFolder(mode, self.folder(path + b"/", depth + 1))
        size = self._number(MAX_SIZE)
        if kind == _SPARSE:
            return ListedFile(mode, size, self._stretches(size, path))
        whole = (Stretch(0, size, self._content(size, path)),) if size else ()
        return ListedFile(mode, size, whole)

    def _stretches(self, size: int, path: bytes) -> tuple[Stretch, ...]:
        found: list[Stretch] = []
        end = 0
        for _ in range(self._count()):
            begin = end + self._number(size - end)
            length = self._number(size - begin)
            if not length:
                raise DamagedContainerError(f"{_WHAT} holds a stretch of no bytes")
            end = begin + length
            found.append(Stretch(begin, length, self._content(length, path)))
        if not size or [one.length for one in found] == [size]:
            raise DamagedContainerError(f"{_WHAT} is not in its one form")
        return tuple(found)

    def _content(self, length: int, path: bytes) -> int:
        number = self._number(len(self.contents)) - 1
        if number < 0:
            self.contents.append(Content(path, length))
            return len(self.contents) - 1
        if self.contents[number].length != length:
            raise DamagedContainerError(f"{_WHAT} gives one content two lengths")
        return number

    def _count(self) -> int:
        count = self._number(MAX_ENTRIES)
        self._entries += count
        if self._entries > MAX_ENTRIES:
            raise DamagedContainerError(f"{_WHAT} has more than {MAX_ENTRIES:,} entries")
        return count

    def _number(self, most: int) -> int:
        number = self.fields.varint()
        if number > most:
            raise DamagedContainerError(f"{_WHAT} holds a number that is absurd")
        return number

    def _bytes(self, most: int) -> bytes:
        return self.fields.take(self._number(most))


def _suffix(path: bytes) -> bytes:
    stem, dot, suffix = path.rpartition(b"/")[2].rpartition(b".")
    return suffix.lower() if stem and dot else b""
