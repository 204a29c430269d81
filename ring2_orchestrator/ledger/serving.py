"""The log as a tiled log serves it (C2SP tlog-tiles): files that never change, and a checkpoint."""

from collections.abc import Iterator
from typing import NamedTuple

from ring2_orchestrator.ledger.reader import LogReader, Tip
from ring2_orchestrator.ledger.tiles import TILE_WIDTH, frame, index_path


class Resource(NamedTuple):
    """One file below the address of the log."""

    path: str
    data: bytes


def resources(log: LogReader, tip: Tip, size: int, *, since: int) -> Iterator[Resource]:
    """The bundles and tiles of the first `size` entries, each proven by the log's head.

    Full ones that a log of `since` entries served already are left out.
    """
    assert 0 <= since <= size <= tip.size, "a log only grows"
    for index, width in _tiles(size, since):
        entries = log.entries(tip, index)[:width]
        yield Resource(_path("entries", index, width), b"".join(map(frame, entries)))
    level, span = 0, 1
    while size // span:
        for index, width in _tiles(size // span, since // span):
            first = index * TILE_WIDTH
            hashes = [
                log.span_root(tip, at * span, (at + 1) * span) for at in range(first, first + width)
            ]
            yield Resource(_path(str(level), index, width), b"".join(hashes))
        level, span = level + 1, span * TILE_WIDTH


def _tiles(size: int, since: int) -> Iterator[tuple[int, int]]:
    """Index and width of the tiles over `size` things; the last may be partial, none is empty."""
    for first in range(since - since % TILE_WIDTH, size, TILE_WIDTH):
        yield first // TILE_WIDTH, min(TILE_WIDTH, size - first)


def _path(level: str, index: int, width: int) -> str:
    partial = f".p/{width}" if width < TILE_WIDTH else ""
    return f"tile/{level}/{index_path(index)}{partial}"
