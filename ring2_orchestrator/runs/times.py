"""The times of files that are put back among others that stand: in the order the run wrote them."""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

STEP_NS = 1000  # between files that were written one after the other


class Place(NamedTuple):
    """A file's place in the order of writing; its time, where it stands and is to keep it."""

    path: bytes
    rank: int
    mtime_ns: int | None


def times_among(places: Iterable[Place], *, after_ns: int, now_ns: int) -> dict[bytes, int]:
    """New times that keep all places in the order of their ranks, by path.

    A file between two that stand gets a time between theirs and after `after_ns`, so that whatever
    was made of the later one stays up to date. Without room the later ones get new times, too.
    """
    ordered = sorted(places, key=lambda place: place.rank)
    found: dict[bytes, int] = {}
    beside = {place.rank: place.mtime_ns for place in ordered if place.mtime_ns is not None}
    for at, place in enumerate(ordered):
        time_ns = beside.get(place.rank, after_ns)
        if place.mtime_ns is None and time_ns > after_ns:
            # Written at one time with a file that stands.
            ordered[at], found[place.path] = place._replace(mtime_ns=time_ns), time_ns
    floors, ceilings = _floors(ordered, after_ns), _ceilings(ordered)
    for first, last in _gaps(ordered):
        floor, ceiling = floors[first], ceilings[last]
        if ceiling is None:
            start = max(now_ns, floor + STEP_NS)
            return found | _from(ordered[first:], start)
        ranks = sorted({place.rank for place in ordered[first : last + 1]})
        share = {rank: at for at, rank in enumerate(ranks, start=1)}
        if ceiling - floor <= len(ranks):
            return found | _from(ordered[first:], max(now_ns, floor + STEP_NS))
        floor = max(floor, ceiling - (len(ranks) + 1) * STEP_NS)
        for place in ordered[first : last + 1]:
            found[place.path] = floor + (ceiling - floor) * share[place.rank] // (len(ranks) + 1)
    return found


def _from(places: Sequence[Place], start_ns: int) -> dict[bytes, int]:
    """Times from a moment on, for all of them."""
    least = places[0].rank
    return {place.path: start_ns + (place.rank - least) * STEP_NS for place in places}


def _gaps(ordered: Sequence[Place]) -> list[tuple[int, int]]:
    """First and last of each stretch of files without a time."""
    gaps: list[tuple[int, int]] = []
    for at, place in enumerate(ordered):
        if place.mtime_ns is not None:
            continue
        if gaps and gaps[-1][1] == at - 1:
            gaps[-1] = (gaps[-1][0], at)
        else:
            gaps.append((at, at))
    return gaps


def _floors(ordered: Sequence[Place], after_ns: int) -> list[int]:
    """For each place the newest time that must stay before it."""
    times = (after_ns if place.mtime_ns is None else place.mtime_ns for place in ordered)
    return list(accumulate(times, max, initial=after_ns))[:-1]


def _ceilings(ordered: Sequence[Place]) -> list[int | None]:
    """For each place the oldest time that must stay after it."""
    ceilings: list[int | None] = []
    oldest: int | None = None
    for place in reversed(ordered):
        ceilings.append(oldest)
        if place.mtime_ns is not None:
            oldest = place.mtime_ns if oldest is None else min(oldest, place.mtime_ns)
    return ceilings[::-1]
