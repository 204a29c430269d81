"""Repairing a store as far as its own bytes allow, and saying what is lost where they do not."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from cid_store import recovery
from cid_store.cid import Cid, Codec
from cid_store.encoding import decode
from cid_store.errors import DamageError, MalformedNodeError
from cid_store.keeper import Keeper
from cid_store.nodes import links
from cid_store.pack import roots_record
from cid_store.reading import Reader
from cid_store.verify import Progress, VerifyReport, verify_store

# Says of a root that leads to something lost how that can be made again; None where it cannot say.
Derives = Callable[[str, Cid], str | None]


class LostRoot(NamedTuple):
    """A root that leads to something lost."""

    name: str
    cid: Cid
    lost: Cid  # the first such thing
    again: str | None  # how it can be made again, as far as the caller could say


class RepairReport(NamedTuple):
    """What was found once the index agreed with the packs again."""

    found: VerifyReport
    lost: tuple[Cid, ...]  # damaged, or needed by a root or a starting point and not there
    roots: tuple[LostRoot, ...]
    starts: int  # how many of the caller's starting points lead to something lost


class _Trail:
    """Which objects lead to something lost. Links never form a circle: a name is a hash."""

    def __init__(self, keeper: Keeper, reader: Reader, damaged: Iterable[Cid]) -> None:
        self._keeper = keeper
        self._reader = reader
        self._ends: dict[Cid, Cid | None] = {cid: cid for cid in damaged}

    @property
    def lost(self) -> Iterator[Cid]:
        """Everything that is known to be lost itself."""
        return (cid for cid, end in self._ends.items() if end == cid)

    def end(self, start: Cid) -> Cid | None:
        """The first lost object that this one leads to; None where all of it is there."""
        stack: list[tuple[Cid, list[Cid] | None]] = [(start, None)]
        while stack:
            cid, below = stack.pop()
            if cid in self._ends:
                continue
            if below is None:
                below = self._below(cid)
                if below is None:
                    self._ends[cid] = cid
                    continue
                stack.append((cid, below))
                stack += [(link, None) for link in below if link not in self._ends]
            else:
                ends = (self._ends[link] for link in below)
                self._ends[cid] = next((end for end in ends if end is not None), None)
        return self._ends[start]

    def _below(self, cid: Cid) -> list[Cid] | None:
        """What the object consists of or links to; None where it cannot be read."""
        if not self._keeper.ask(lambda index: index.places([cid])):
            return None
        below: list[Cid] = []
        try:
            chunks = self._reader.chunks(cid)
            if chunks is not None:
                below += (name for name, _ in chunks.chunks())
            demotion = self._reader.demotion(cid)
            if demotion is not None:
                below += demotion.links  # what rebuilds it was looked at: it is damaged, or not
            elif cid.codec is Codec.NODE:
                below += links(decode(self._reader.get(cid)))
        except MalformedNodeError:
            pass  # bytes that are no node link to nothing
        except DamageError:
            return None
        return below


def repair(
    keeper: Keeper,
    reader: Reader,
    *,
    starts: Iterable[Cid],
    derives: Derives,
    progress: Progress | None,
) -> RepairReport:
    """Make the index anew from the packs, read everything, and follow the roots to what is lost.

    Roots that damage took from the packs are bound again first, as the index still has them.
    """
    keeper.check_writable()
    _rescue_roots(keeper)
    keeper.rebuild_index()
    found = verify_store(keeper, reader, progress)
    trail = _Trail(keeper, reader, found.lost)
    roots: list[LostRoot] = []
    for name, cid in keeper.ask(lambda index: index.roots("")).items():
        end = trail.end(cid)
        if end is not None:
            roots.append(LostRoot(name, cid, end, derives(name, cid)))
    lost_starts = sum(trail.end(cid) is not None for cid in starts)
    return RepairReport(found, tuple(trail.lost), tuple(roots), lost_starts)


def _rescue_roots(keeper: Keeper) -> None:
    """Bind again what the index knows and damaged packs do not."""
    with keeper.exclusive():
        tail = keeper.followed()
        ends, bound = keeper.ask(lambda index: index.snapshot())
        told, whole = recovery.told_roots(keeper.packs, ends)
        missing = {name: cid for name, cid in bound.items() if told.get(name) != cid}
        if missing and not whole:
            keeper.append(tail, [roots_record(missing)], missing)
