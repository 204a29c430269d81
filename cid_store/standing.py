"""An index in memory, in place of the file that a reader may not bring up to date."""

import time
from pathlib import Path

from cid_store import disk, recovery
from cid_store.folder import PackFolder
from cid_store.index import Index, IndexDamagedError
from cid_store.late import LateIndex
from cid_store.pack import HEADER_BYTES


def files_mark(packs: PackFolder, index_path: Path) -> object:
    """A value that differs whenever a writer has been at the packs or the index since."""
    numbers = packs.numbers()
    paths = [index_path, index_path.with_name(index_path.name + "-wal")]
    paths += [packs.file(number) for number in numbers[-1:]]
    found: list[tuple[int, int, int]] = []
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    newest = max((mtime for *_, mtime in found), default=0)
    if time.time_ns() - newest < disk.CLOCK_TICK_NS:
        return object()  # too fresh to tell from the next write: equal to nothing
    return len(numbers), found


def stand_in(packs: PackFolder, behind: LateIndex | None, mark: object) -> tuple[LateIndex, object]:
    """What the index would say if it were brought up to date, and the mark of what it was made of.

    `mark` is that of the files before any of them was looked at.
    """
    index, finished = _in_memory(packs, behind)
    if not finished and time.time_ns() - _written_ns(packs) < disk.WRITE_NS:
        mark = object()  # what is half-way may end and bear no other time: equal to nothing
    return index, mark


def _in_memory(packs: PackFolder, behind: LateIndex | None) -> tuple[LateIndex, bool]:
    if behind is not None:
        try:
            copy = behind.copy()
            return copy, _learn(packs, copy)
        except IndexDamagedError:
            pass
        finally:
            behind.close()
    index = LateIndex.create(None)
    return index, recovery.rebuild(packs, index, writable=False)


def _learn(packs: PackFolder, index: Index) -> bool:
    """Bring the index up to the packs' end; whether everything there is finished."""
    last = index.last_pack()
    if last is None:
        raise IndexDamagedError
    number, start = last.number, last.end
    finished = True
    while (pack := packs.pack(number)) is not None:
        found = recovery.survey(pack, number, start)
        try:
            disk.sync_data(pack.fd)  # a power cut must not take back what is shown
        except OSError:
            return False  # then its writer hears the same, if it was not told before
        recovery.learn(index, packs, number, found.readable(), end=start)
        finished = found.is_all_of(pack)
        number, start = number + 1, HEADER_BYTES
    return finished


def _written_ns(packs: PackFolder) -> int:
    """When the last pack was written to."""
    return max((packs.written_ns(number) or 0 for number in packs.numbers()[-1:]), default=0)
