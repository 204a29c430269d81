"""What a container holds, part by part: segments with a plan each, cut into blocks."""

import enum
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from cid_store.cid import Cid
from ring0.plan import Plan
from ring2_orchestrator.container.carried import Carried

MAX_SEGMENTS = 65_536

# What is written now. From it on, a kernel is named by its prefix alone, and the last stream of a
# container has no length of its own.
VERSION = 3
# What has room besides, for plans that work on more bytes than they stand for.
ROOMY = 4
# No deflated byte becomes more.
MOST_EXPANSION = 1032


class Contents(enum.IntEnum):
    """What the original is."""

    FILE = 0
    TREE = 1


@dataclass(frozen=True, slots=True)
class Segment:
    """So many bytes of the original, one after another. Without a plan they are stored."""

    length: int
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """One block before it is coded: where it begins in the original, and its plan, if any.

    The last stream of an `open` one has no length of its own: it ends where the container does.
    `room` is the container's.
    """

    index: int
    begin: int
    length: int
    plan: Plan | None
    open: bool = False
    room: int = 0

    @property
    def counted(self) -> int:
        """How many bytes it counts as where there are limits on decoding it."""
        return max(self.length, min(self.room, MOST_EXPANSION * self.length))

    @property
    def end(self) -> int:
        """Where it ends in the original."""
        return self.begin + self.length


@dataclass(frozen=True)
class Header:
    """What a container says before its blocks. No segment is empty; an empty file has none.

    `block_bytes` is 0 where every segment is one block. `room` is how many bytes a block may count
    as that stands for fewer; 0 where none does.
    """

    length: int
    digest: bytes
    segments: tuple[Segment, ...]
    block_bytes: int = 0
    contents: Contents = Contents.FILE
    carried: tuple[Carried, ...] = ()
    version: int = VERSION
    room: int = 0

    @property
    def is_divided(self) -> bool:
        """Whether its parts are listed: one plan for a file, or one stored piece, needs no list."""
        plain = self.contents is Contents.FILE and not self.carried and len(self.segments) < 2
        return not (plain and (self.plans or not self.block_bytes))

    @property
    def has_blocks(self) -> bool:
        """Whether blocks follow, and not the bytes themselves."""
        return self.is_divided or bool(self.plans)

    @cached_property
    def plans(self) -> tuple[Plan, ...]:
        """The plans, each once, in the order of their first segments."""
        given = (segment.plan for segment in self.segments)
        return tuple(dict.fromkeys(plan for plan in given if plan is not None))

    @property
    def kernels(self) -> tuple[Cid, ...]:
        """The kernels of all plans, each once, in ascending order."""
        return tuple(sorted({cid for plan in self.plans for cid in plan.kernels}))

    @property
    def block_count(self) -> int:
        """How many blocks follow; what is stored in one piece is not divided."""
        return self._firsts[-1] if self.has_blocks else 0

    def cut(self, index: int) -> Cut:
        """The block of that number."""
        at = bisect_right(self._firsts, index) - 1
        segment = self.segments[at]
        size = self.block_bytes or segment.length
        skipped = (index - self._firsts[at]) * size
        length = min(size, segment.length - skipped)
        is_open = self.version >= VERSION and index + 1 == self.block_count
        return Cut(index, self._begins[at] + skipped, length, segment.plan, is_open, self.room)

    def cuts(self, first: int = 0) -> Iterator[Cut]:
        """The blocks in order, from one of them on."""
        return map(self.cut, range(first, self.block_count))

    def block_at(self, offset: int) -> int:
        """The number of the block that holds this byte of the original."""
        assert 0 <= offset < self.length, "there is no such byte"
        at = bisect_right(self._begins, offset) - 1
        size = self.block_bytes or self.segments[at].length
        return self._firsts[at] + (offset - self._begins[at]) // size

    @cached_property
    def _begins(self) -> list[int]:
        """Where each segment begins in the original, and where the last one ends."""
        return [*accumulate((segment.length for segment in self.segments), initial=0)]

    @cached_property
    def _firsts(self) -> list[int]:
        """The number of each segment's first block, and how many there are."""
        return [*accumulate(map(self._blocks, self.segments), initial=0)]

    def _blocks(self, segment: Segment) -> int:
        return -(-segment.length // (self.block_bytes or segment.length))


def joined(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """The same bytes with nothing empty, and what is stored and adjoins in one piece."""
    kept: list[Segment] = []
    for segment in segments:
        if not segment.length:
            continue
        if kept and kept[-1].plan is None and segment.plan is None:
            kept[-1] = Segment(kept[-1].length + segment.length)
        else:
            kept.append(segment)
    return tuple(kept)
