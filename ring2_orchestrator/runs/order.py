"""Which script is to run before which, told from what each reads and writes. Pure.

Scripts are numbers here: their places in the order in which a person named them.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from ring2_orchestrator.runs.marks import Marks
from ring2_orchestrator.runs.paths import folder_of

Links = dict[int, dict[int, bytes]]  # who comes after: whom it comes after, and a path for which


class Order(NamedTuple):
    """Whom each script waits for; following it leads nowhere twice.

    `needs` are those of which it reads what they write, `cycles` the sets of scripts each of which
    reads, at first or second hand, what every other one of the set writes; among these the given
    order holds. `shared` are files that two of them write: the later one has the last word.
    """

    before: tuple[frozenset[int], ...]
    needs: tuple[Mapping[int, bytes], ...]
    cycles: tuple[tuple[int, ...], ...] = ()
    shared: tuple[tuple[int, int, bytes], ...] = ()


def order_of(marks: Sequence[Marks | None]) -> Order:
    """The order that follows from what is known of each; of whom nothing is, nobody waits."""
    writers = _writers(marks)
    needs = _needs(marks, writers)
    reach = _Reach(len(marks))
    for later, earlier in _pairs(needs):
        reach.add(earlier, later)
    cycles = reach.cycles()
    places = {at: number for number, cycle in enumerate(cycles) for at in cycle}

    def holds(later: int, earlier: int) -> bool:
        """Whether it is no cycle, or goes with the given order."""
        same = later in places and places.get(later) == places.get(earlier)
        return not same or earlier < later

    kept: list[dict[int, bytes]] = [
        {at: path for at, path in needs.get(later, {}).items() if holds(later, at)}
        for later in range(len(marks))
    ]
    before: list[set[int]] = [set(each) for each in kept]
    final = _Reach(len(marks))
    for later, earlier in ((later, at) for later, each in enumerate(before) for at in each):
        final.add(earlier, later)
    shared = _shared(writers)
    wishes = [(later, earlier) for earlier, later, _ in shared]
    wishes += _pairs(_listings(marks, writers))
    for later, earlier in wishes:
        # Less than a need: where it contradicts what is known already, it is let go.
        if holds(later, earlier) and not final.has(later, earlier):
            final.add(earlier, later)
            before[later].add(earlier)
    return Order(tuple(map(frozenset, before)), tuple(kept), cycles, shared)


def _writers(marks: Sequence[Marks | None]) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = {}
    for at, each in enumerate(marks):
        for path in () if each is None else each.writes:
            found.setdefault(path, []).append(at)
    return found


def _needs(marks: Sequence[Marks | None], writers: Mapping[bytes, Sequence[int]]) -> Links:
    found: Links = {}
    for later, each in enumerate(marks):
        for path in () if each is None else sorted(each.reads & writers.keys()):
            for earlier in writers[path]:
                if earlier != later:
                    found.setdefault(later, {}).setdefault(earlier, path)
    return found


def _listings(marks: Sequence[Marks | None], writers: Mapping[bytes, Sequence[int]]) -> Links:
    """Who lists a folder in which another writes; a Python lists the folder of every script."""
    folders: dict[bytes, dict[int, bytes]] = {}
    for path, owners in writers.items():
        for at in owners:
            folders.setdefault(folder_of(path), {})[at] = path
    found: Links = {}
    for later, each in enumerate(marks):
        for folder in () if each is None else each.lists & folders.keys():
            for earlier, path in folders[folder].items():
                if earlier != later:
                    found.setdefault(later, {}).setdefault(earlier, path)
    return found


def _shared(writers: Mapping[bytes, Sequence[int]]) -> tuple[tuple[int, int, bytes], ...]:
    found: dict[tuple[int, int], bytes] = {}
    for path in sorted(writers):
        owners = writers[path]
        for earlier, later in pairwise(owners):
            found.setdefault((earlier, later), path)
    return tuple((earlier, later, path) for (earlier, later), path in sorted(found.items()))


def _pairs(links: Links) -> list[tuple[int, int]]:
    return [(later, earlier) for later in sorted(links) for earlier in sorted(links[later])]


class _Reach:
    """Who comes, at first or second hand, after whom; sets of scripts are the bits of a number."""

    def __init__(self, count: int) -> None:
        self._after = [0] * count

    def add(self, earlier: int, later: int) -> None:
        gained = self._after[later] | 1 << later
        if self._after[earlier] & gained == gained:
            return
        for at, reached in enumerate(self._after):
            if at == earlier or reached >> earlier & 1:
                self._after[at] |= gained

    def has(self, earlier: int, later: int) -> bool:
        return bool(self._after[earlier] >> later & 1)

    def cycles(self) -> tuple[tuple[int, ...], ...]:
        """The largest sets of scripts that come after themselves by way of each other."""
        found: dict[int, list[int]] = {}
        for at, reached in enumerate(self._after):
            if reached >> at & 1:
                first = next(
                    other for other in range(len(self._after))
                    if self.has(at, other) and self.has(other, at)
                )  # fmt: skip
                found.setdefault(first, []).append(at)
        return tuple(tuple(cycle) for cycle in found.values())
