"""What an object rests on: everything that is read when it is read."""

from collections.abc import Iterable

from cid_store import recovery
from cid_store.cid import Cid
from cid_store.errors import DamageError, MalformedNodeError
from cid_store.folder import Place
from cid_store.keeper import Keeper
from cid_store.pack import Kind
from cid_store.reading import Reader


class Ground:
    """Follows objects to their chunks, recipes and needs; good for as long as nobody writes.

    An object that rests on itself cannot be read. Where `deep`, bytes are hashed; otherwise an
    object counts as there that the index knows.
    """

    def __init__(
        self, keeper: Keeper, reader: Reader, *, deep: bool = False, without: Iterable[Cid] = ()
    ) -> None:
        self._keeper = keeper
        self._reader = reader
        self._deep = deep
        # What is being followed, and what is not to be read at all.
        self._open: set[Cid] = set(without)
        self._faults: dict[Cid, Cid | None] = {}

    def fault(self, start: Cid) -> Cid | None:
        """The first object under this one, or it itself, that is not there; None where all are."""
        # Not by recursion: what was demoted from what was demoted may go on for long.
        stack: list[tuple[Cid, list[Cid] | None]] = [(start, None)]
        while stack:
            cid, below = stack.pop()
            if below is not None:
                self._open.discard(cid)
                faults = (self._faults[under] for under in below)
                self._faults[cid] = next((fault for fault in faults if fault is not None), None)
            elif cid in self._open:
                self._faults[cid] = cid
            elif cid not in self._faults:
                below = self.below(cid)
                if below is None:
                    self._faults[cid] = cid
                    continue
                self._open.add(cid)
                stack.append((cid, below))
                stack += [(under, None) for under in reversed(below)]
        return self._faults[start]

    def below(self, cid: Cid) -> list[Cid] | None:
        """What is read to read this object; None where that cannot be known."""
        place = self._keeper.find(cid)
        if place is None or (self._deep and not self._stands(cid, place)):
            return None
        if place.kind == Kind.OBJECT:
            return []
        try:
            return self._reader.below(cid)
        except (DamageError, MalformedNodeError):
            return None

    def _stands(self, cid: Cid, place: Place) -> bool:
        return recovery.is_sound_place(self._keeper.packs, cid, place)
