"""An index that is written late: small appends reach its file some at a time.

The packs have what the file does not, so nothing depends on when it is written: who finds the file
behind the packs reads on in the packs.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from cid_store.census import Census, Totals
from cid_store.cid import Cid
from cid_store.errors import UnavailableError
from cid_store.folder import Place, Tail
from cid_store.index import Index, IndexDamagedError, PackEnd
from cid_store.tiers import Books

# What another process has to read in the packs at most, before it can answer.
_LATE_OBJECTS = 4096
_LATE_BYTES = 16 << 20


class _Late:
    """What one process appended to a pack since the index was written."""

    def __init__(self, start: PackEnd) -> None:
        self.start = self.end = start
        self.objects: dict[Cid, Place] = {}
        self.roots: dict[str, Cid | None] = {}

    @property
    def is_full(self) -> bool:
        """Whether it is time to write."""
        entries = len(self.objects) + len(self.roots)
        return entries >= _LATE_OBJECTS or self.end.end - self.start.end >= _LATE_BYTES

    def continues(self, known: PackEnd | None) -> bool:
        """Whether an index that knows the packs so far may learn this."""
        if known is None or known[:2] != self.end[:2]:
            return False
        return self.start.end <= known.end <= self.end.end


class LateIndex(Index):
    """The same answers as if everything were written at once; unwritten rows are lost at exit.

    What `close` cannot write, the next process that opens the store learns from the packs.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path | None = None) -> None:
        super().__init__(connection, path)
        self._late: _Late | None = None

    @property
    def is_late(self) -> bool:
        """Whether there is something that the file does not know."""
        return self._late is not None

    def waits(self, cids: Iterable[Cid]) -> bool:
        """Whether the place of any of these is one that the file does not know."""
        late = self._late
        return late is not None and not late.objects.keys().isdisjoint(cids)

    def apply_late(
        self,
        objects: Iterable[tuple[Cid, Place]],
        roots: Mapping[str, Cid | None],
        *,
        start: Tail,
        end: Tail,
    ) -> None:
        """Learn what was appended to the last pack, from `start` on, and write it some time."""
        with self._lock:
            late = self._late
            known = super().last_pack() if late is None else late.end
            if known is None or (known.number, known.end) != (end.pack, start.end):
                raise IndexDamagedError
            late = late or _Late(known)
            late.objects.update(objects)
            late.roots.update(roots)
            late.end = PackEnd(known.number, known.identity, end.end)
            self._late = late
            if late.is_full:
                self.write()

    def write(self) -> None:
        """Write what waits, unless others have learnt it from the packs meanwhile."""
        with self._lock:
            late = self._late
            if late is not None:
                self._apply(late.objects.items(), late.roots, late.end, where=late.continues)
                self._late = None

    # What is asked for every object: answered from both. What waits is looked at first, because
    # what has left there is in the file already.

    def places(self, cids: Sequence[Cid]) -> dict[Cid, Place]:
        """Where each of the objects lies."""
        late = self._late
        if late is None or late.objects.keys().isdisjoint(cids):
            return super().places(cids)
        known = {cid: late.objects[cid] for cid in cids if cid in late.objects}
        missing = [cid for cid in cids if cid not in known]
        return known | super().places(missing) if missing else known

    def root(self, name: str) -> Cid | None:
        """The CID bound to a name."""
        late = self._late
        if late is not None and name in late.roots:
            return late.roots[name]
        return super().root(name)

    def roots(self, prefix: str) -> dict[str, Cid]:
        """Every bound name with that prefix, in order."""
        with self._lock:
            late = self._late
            return merged(super().roots(prefix), late.roots if late is not None else {}, prefix)

    def last_pack(self) -> PackEnd | None:
        """How far the newest pack is known, with what waits."""
        with self._lock:
            known = super().last_pack()
            late = self._late
            if late is None:
                return known
            if late.continues(known):
                return late.end
            self._late = None  # others learnt it from the packs, and may have dropped it since
            return known

    # Everything else: the file is brought up to date first.

    def rows(self) -> Iterator[tuple[Cid, Place]]:
        """As Index.rows, of everything."""
        self.write()
        return super().rows()

    def sealed(self) -> list[tuple[Cid, int]]:
        """As Index.sealed, of everything."""
        self.write()
        return super().sealed()

    def whole(self, least_bytes: int) -> list[tuple[Cid, Place]]:
        """As Index.whole, of everything."""
        self.write()
        return super().whole(least_bytes)

    def snapshot(self) -> tuple[list[PackEnd], dict[str, Cid]]:
        """As Index.snapshot, of everything."""
        with self._lock:  # nothing may begin to wait once the moment is fixed
            self.write()
            return super().snapshot()

    def packs(self) -> list[PackEnd]:
        """As Index.packs, of everything."""
        self.write()
        return super().packs()

    def totals(self) -> Totals:
        """As Index.totals, of everything."""
        self.write()
        return super().totals()

    def census(self) -> Census:
        """As Index.census, of everything."""
        self.write()
        return super().census()

    def books(self, packs: Sequence[int] = ()) -> Books:
        """As Index.books, of everything."""
        self.write()
        return super().books(packs)

    def apply(
        self,
        objects: Iterable[tuple[Cid, Place]],
        roots: Mapping[str, Cid | None],
        end: PackEnd,
    ) -> None:
        """As Index.apply, after what waits."""
        self.write()
        super().apply(objects, roots, end)

    def drop(self, numbers: Sequence[int]) -> None:
        """As Index.drop, after what waits."""
        self.write()
        super().drop(numbers)

    def adopt(self, objects: Iterable[tuple[Cid, Place]], end: PackEnd) -> None:
        """As Index.adopt, after what waits."""
        self.write()
        super().adopt(objects, end)

    def repoint(self, cid: Cid, place: Place) -> None:
        """As Index.repoint, after what waits."""
        self.write()
        super().repoint(cid, place)

    def copy(self) -> Self:
        """As Index.copy, of everything."""
        self.write()
        return super().copy()

    def close(self) -> None:
        """Write what waits, if the disk takes it, and let the connection go."""
        with suppress(IndexDamagedError, UnavailableError):
            self.write()
        super().close()


def merged(
    bound: Mapping[str, Cid], newer: Mapping[str, Cid | None], prefix: str
) -> dict[str, Cid]:
    """Every bound name with that prefix, in order, where `newer` stands over `bound`."""
    if not newer:
        return dict(bound)
    both: dict[str, Cid | None] = {**bound}
    both.update((name, cid) for name, cid in newer.items() if name.startswith(prefix))
    # As SQLite orders them, by their UTF-8.
    names = sorted(both, key=str.encode)
    return {name: cid for name in names if (cid := both[name]) is not None}
