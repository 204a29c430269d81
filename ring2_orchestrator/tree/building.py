"""A tree that grows entry by entry: each name becomes plain names in folders, or is refused."""

from collections.abc import Callable

from cid_store.cid import Cid
from cid_store.errors import InputError
from cid_store.store import Store
from ring2_orchestrator.tree.content import Readable, blocks_of_stream, keep_file
from ring2_orchestrator.tree.node import (
    MAX_DEPTH,
    MAX_TARGET_BYTES,
    MODE_BITS,
    Entry,
    File,
    Folder,
    Link,
    check_name,
    put_tree,
    shown,
    too_deep,
)
from ring2_orchestrator.tree.survey import Limits

Progress = Callable[[float], object]


class _Grown:
    """A folder that is being filled."""

    def __init__(self) -> None:
        self.mode: int | None = None  # until the archive says
        self.entries: dict[bytes, _Grown | File | Link] = {}


class Building:
    """The tree so far, and what may still come."""

    def __init__(self, store: Store, label: str, limits: Limits, progress: Progress | None) -> None:
        self.store = store
        self.label = label
        self.limits = limits
        self._top = _Grown()
        self._bytes = self._entries = 0
        self._progress = progress

    def folder(self, name: bytes, mode: int) -> None:
        """Say that a folder is there; an archive may say so more than once."""
        place = self._top
        for part in self._parts(name, folder=True):
            place = self._below(place, part, name)
        if place is not self._top:
            place.mode = mode & MODE_BITS

    def link(self, name: bytes, target: bytes) -> None:
        """Add a symbolic link."""
        if not 0 < len(target) <= MAX_TARGET_BYTES or b"\0" in target:
            raise self.refused(name, "is a link that leads nowhere")
        self._put(name, Link(target))

    def file(self, name: bytes, mode: int, source: Readable) -> None:
        """Add a file with what the source gives."""
        counted = _Counted(source, self)
        blocks = blocks_of_stream(counted)
        # The name first: what is refused for it need not be read.
        self._vacant(name)
        self._put(name, keep_file(self.store, mode & MODE_BITS, blocks, lambda: counted.size))

    def same_file(self, name: bytes, other: bytes) -> None:
        """Add another name of a file that was added before."""
        place: _Grown | File | Link | None = self._top
        for part in self._parts(other):
            place = place.entries.get(part) if isinstance(place, _Grown) else None
        if not isinstance(place, File):
            raise self.refused(name, f"is another name of {shown(other)}, which is no file in it")
        self.count(place.size)
        self._put(name, place)

    def count(self, size_bytes: int) -> None:
        """Take note of contents. Raises InputError where it becomes too much."""
        self._bytes += size_bytes
        if self._bytes > self.limits.max_bytes:
            raise InputError(
                f"{self.label} unpacks to more than {self.limits.max_bytes:,} bytes; if it may, "
                "raise the limit with --max-bytes"
            )
        if self._progress is not None:
            self._progress(size_bytes)

    def refused(self, name: bytes, fact: str) -> InputError:
        """The error for an entry that no tree can hold."""
        return InputError(f"{shown(name)} in {self.label} {fact}; the archive is left alone")

    def finish(self) -> Cid:
        """Keep the lists of all folders; the name of the topmost."""
        return self._kept(self._top)

    def _kept(self, folder: _Grown) -> Cid:
        entries: dict[bytes, Entry] = {}
        for name, entry in folder.entries.items():
            if isinstance(entry, _Grown):
                mode = 0o755 if entry.mode is None else entry.mode
                entries[name] = Folder(mode, self._kept(entry))
            else:
                entries[name] = entry
        return put_tree(self.store, entries)

    def _vacant(self, name: bytes) -> tuple[_Grown, bytes]:
        """The folder a new entry goes into, and its last name, which must be free."""
        *leading, last = self._parts(name)
        place = self._top
        for part in leading:
            place = self._below(place, part, name)
        if last in place.entries:
            raise self.refused(name, "is there twice")
        return place, last

    def _put(self, name: bytes, entry: File | Link) -> None:
        place, last = self._vacant(name)
        self._count_entry()
        place.entries[last] = entry

    def _below(self, place: _Grown, part: bytes, name: bytes) -> _Grown:
        below = place.entries.get(part)
        if below is None:
            self._count_entry()
            below = place.entries[part] = _Grown()
        if not isinstance(below, _Grown):
            kind = "a link" if isinstance(below, Link) else "a file"
            raise self.refused(name, f"lies below {shown(part)}, which is {kind}")
        return below

    def _parts(self, name: bytes, *, folder: bool = False) -> list[bytes]:
        """The plain names that a path consists of; './' in front changes nothing."""
        if name.startswith(b"/"):
            raise self.refused(name, "begins at the root of the file system")
        parts = name.split(b"/")
        if folder and len(parts) > 1 and not parts[-1]:
            parts.pop()
        while len(parts) > 1 and parts[0] == b".":
            del parts[0]
        if folder and parts == [b"."]:
            return []
        for part in parts:
            if part in (b"", b".", b"..") or b"\0" in part:
                raise self.refused(name, f"has the part {shown(part)}, which is no plain name")
            check_name(part)
        if len(parts) > MAX_DEPTH:
            raise too_deep(name[:200])
        return parts

    def _count_entry(self) -> None:
        self._entries += 1
        if self._entries > self.limits.max_entries:
            raise InputError(f"{self.label} has more than {self.limits.max_entries:,} entries")


class _Counted:
    """A source that says how much came out of it, and stops at the limit."""

    def __init__(self, source: Readable, into: Building) -> None:
        self._source = source
        self._into = into
        self.size = 0

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._into.count(len(data))
        self.size += len(data)
        return data
