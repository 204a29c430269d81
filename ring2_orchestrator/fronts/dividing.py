"""Parts of a file put together: those that lie side by side as one run, those alike as one group.

A run costs a frame in the container and a group costs a search, so small parts do not stand alone:
hundreds of tensors are a few of both.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

from ring2_orchestrator.container import MAX_SEGMENTS, Source
from ring2_orchestrator.fronts.part import Coat, Kind, Layout, Part

# A part is small below this part of its file, within these bounds.
_SMALL_PART, _LEAST_SMALL, _MOST_SMALL = 64, 4096, 65_536
# What is no longer than this only fills a gap.
_PADDING = 15
_MOST_GROUPS = 8
# What is in a coat is taken out of it, in memory.
_MOST_INSIDE = 32 << 20


@dataclass(frozen=True, slots=True)
class Run:
    """Parts side by side. `largest` is the size of the largest, whose kind is the run's.

    With a coat, `inside` bytes of contents are said to be in it, and the kind is theirs.
    """

    begin: int
    size: int
    kind: Kind | None
    family: str
    largest: int
    coat: Coat = ()
    inside: int = 0
    alone: bool = False

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.begin + self.size


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that are likely to suit the same plan, in the order of the file."""

    kind: Kind | None
    runs: tuple[Run, ...]

    @property
    def is_coated(self) -> bool:
        """Whether it is their contents that are planned: of all of its runs, or of none."""
        return bool(self.runs[0].coat)

    @property
    def size(self) -> int:
        """The bytes of all of them."""
        return sum(run.size for run in self.runs)


def runs_of(layout: Layout) -> list[Run]:
    """The parts of a file as runs, which are all of it."""
    total = layout.parts[-1].end
    small = min(max(total // _SMALL_PART, _LEAST_SMALL), _MOST_SMALL)
    runs: list[Run] = []
    for part in layout.parts:
        joining = _joined_coats if part.coat or (runs and runs[-1].coat) else _joined
        found = joining(runs[-1], part, small) if runs else None
        if found is not None:
            runs[-1] = found
        else:
            runs.append(_run(part))
    return runs


def groups_of(runs: Iterable[Run]) -> list[Group]:
    """The runs by what they hold, the largest groups first; of very many kinds few are told apart.

    None at all where there are more runs than a container has room for.
    """
    runs = [*runs]
    if len(runs) > MAX_SEGMENTS:
        return []
    groups = _grouped(runs, lambda run: (bool(run.coat), run.kind, run.family))
    for coarser in (_lanes, _nothing):
        if len(groups) > _MOST_GROUPS:
            rest = [run for group in groups[_MOST_GROUPS - 1 :] for run in group.runs]
            groups = groups[: _MOST_GROUPS - 1] + _grouped(rest, coarser)
    return sorted(groups, key=_order)


def _order(group: Group) -> tuple[int, int]:
    return (-group.size, group.runs[0].begin)


def _grouped(runs: Iterable[Run], key: Callable[[Run], Hashable]) -> list[Group]:
    found: dict[Hashable, list[Run]] = {}
    for run in runs:
        found.setdefault(key(run), []).append(run)
    groups = [_group(sorted(those, key=lambda run: run.begin)) for those in found.values()]
    return sorted(groups, key=_order)


def _group(runs: list[Run]) -> Group:
    kind = runs[0].kind
    for run in runs[1:]:
        kind = _common(kind, run.kind)
    return Group(kind, tuple(runs))


def _joined(run: Run, part: Part, small: int) -> Run | None:
    """The run with a part after it; None where the part begins another."""
    both = replace(run, size=run.size + part.size, largest=max(run.largest, part.size))
    if part.size <= _PADDING and part.kind is None:
        return replace(both, largest=run.largest)
    alike = run.family == part.family
    if alike and run.kind == part.kind:
        return both
    # What is small goes with a larger neighbour of its type, or with others that are small.
    if run.largest >= small and part.size >= small:
        return None
    if alike and run.kind is not None and _lanes(run) == _lanes(part):
        return replace(both, kind=run.kind if run.largest >= part.size else part.kind)
    if run.largest < small and part.size < small:
        return replace(both, kind=_common(run.kind, part.kind), family="")
    return None


def _joined_coats(run: Run, part: Part, small: int) -> Run | None:
    """Parts in one coat, and what lies between them: whoever takes it off leaves that as it is."""
    if not run.coat or run.alone or part.alone or part.coat not in ((), run.coat):
        return None
    if run.inside + part.inside > _MOST_INSIDE or (not part.coat and part.size >= small):
        return None
    return replace(run, size=run.size + part.size, inside=run.inside + part.inside)


def _run(part: Part) -> Run:
    return Run(
        part.begin,
        part.size,
        part.kind,
        part.family,
        part.size,
        part.coat,
        part.inside,
        part.alone,
    )


def _lanes(of: Run | Part) -> Hashable:
    return None if of.kind is None else (bool(of.coat), of.kind.dtype, of.kind.big_endian)


def _nothing(of: Run) -> Hashable:
    return bool(of.coat)


def _common(one: Kind | None, other: Kind | None) -> Kind | None:
    """What both are: their type, if it is one, without distances that only one of them has."""
    if one is None or other is None or one == other:
        return one if one == other else None
    if (one.dtype, one.big_endian) != (other.dtype, other.big_endian):
        return None
    shared = tuple(stride for stride in one.strides if stride in other.strides)
    return replace(one, strides=shared)


class Gathered:
    """The runs of a group as one source, one after another."""

    def __init__(self, whole: Source, group: Group) -> None:
        self._whole = whole
        self._runs = group.runs
        self.name = whole.name
        self.size = group.size

    @cached_property
    def _places(self) -> list[int]:
        return [*accumulate((run.size for run in self._runs), initial=0)]

    def read(self, offset: int, size: int) -> bytes:
        """These bytes, or what there is of them."""
        end = min(offset + size, self.size)
        pieces: list[bytes] = []
        for run, place in zip(self._runs, self._places, strict=False):
            begin, stop = max(offset, place), min(end, place + run.size)
            if begin < stop:
                pieces.append(self._whole.read(run.begin + begin - place, stop - begin))
        return b"".join(pieces)
