"""The parts of a container by the names that the front ends know them by."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate

from ring0.execution import Executor
from ring0.plan import Plan
from ring2_orchestrator.container import Container
from ring2_orchestrator.fronts import Part, outline, recognise

# Headers may be anywhere; for their sake no more than this is decoded.
_MOST_DECODED = 64 << 20
_UNNAMED = "part"


@dataclass(frozen=True, slots=True)
class NamedPart:
    """One segment: what it is called, how long it was and is, and its plan; None if stored."""

    name: str
    original_bytes: int
    stored_bytes: int
    plan: Plan | None


def named_parts(container: Container, executor: Executor) -> list[NamedPart]:
    """The parts of a container, none where it is not divided.

    Headers are decoded for their names, unless the container brings kernels of its own: nobody
    allowed those to run. Raises DamagedContainerError.
    """
    header = container.header
    if not header.is_divided:
        return []
    ends = [*accumulate(segment.length for segment in header.segments)]
    stored = [0] * len(ends)
    at = 0
    for extent in container.extents():
        at += extent.cut.begin >= ends[at]
        stored[at] += extent.size
    parts = _recognised(container, executor)
    return [
        NamedPart(_name(parts, end - segment.length, end), segment.length, size, segment.plan)
        for segment, end, size in zip(header.segments, ends, stored, strict=True)
    ]


def _recognised(container: Container, executor: Executor) -> Sequence[Part]:
    if container.header.carried:
        return ()
    # The members of an archive have names even where it would take too long to look into them.
    for look in (recognise, outline):
        with suppress(_TooMuchError):
            layout = look(_Decoded(container, executor))
            return () if layout is None else layout.parts
    return ()


def _name(parts: Sequence[Part], begin: int, end: int) -> str:
    inside = [part for part in parts if begin <= part.begin < end]
    telling = [part.name for part in inside if part.kind is not None or part.family]
    names = telling or [part.name for part in inside]
    if not names:
        within = [part.name for part in parts if part.begin < begin < part.end]
        return f"a part of {within[0]}" if within else _UNNAMED
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more"


class _TooMuchError(Exception):
    """More would have to be decoded than a few names are worth."""


class _Decoded:
    """The original of a container as a source, block by block, up to a limit."""

    def __init__(self, container: Container, executor: Executor) -> None:
        self._container = container
        self._executor = executor
        self._left = _MOST_DECODED
        self._block = (0, b"")
        self.name = container.source.name
        self.size = container.header.length

    def read(self, offset: int, size: int) -> bytes:
        """These bytes, or what there is of them."""
        end = min(offset + size, self.size)
        pieces: list[bytes] = []
        while offset < end:
            begin, block = self._holding(offset)
            pieces.append(block[offset - begin : end - begin])
            offset += len(pieces[-1])
        return b"".join(pieces)

    def _holding(self, offset: int) -> tuple[int, bytes]:
        begin, block = self._block
        if not begin <= offset < begin + len(block):
            cut = self._container.header.cut(self._container.header.block_at(offset))
            self._left -= cut.length
            if self._left < 0:
                raise _TooMuchError
            block = self._container.read(cut.begin, cut.length, self._executor)
            self._block = (cut.begin, block)
        return self._block
