"""Blocks worked on at the same time: kernels run without Python's lock, so threads pay."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")

# Every lane holds a block with all that a plan makes of it, so more cores than this are not used.
MOST_LANES = 4


def in_order(
    work: Callable[[_Item], _Made], items: Iterable[_Item], *, lanes: int | None = None
) -> Iterator[_Made]:
    """What the work makes of each item, in their order, a few of them worked on at the same time.

    Items are drawn in the thread that asks, as results are taken: never more of both together than
    there are lanes, and one. An error comes where its result would have come.
    """
    count = min(os.cpu_count() or 1, MOST_LANES) if lanes is None else lanes
    waiting = iter(items)
    first = [*islice(waiting, 2)]
    if count == 1 or len(first) < 2:
        for item in first:
            yield work(item)
        yield from map(work, waiting)
        return
    from concurrent.futures import Future, ThreadPoolExecutor  # noqa: PLC0415 - small work has none

    with ThreadPoolExecutor(count, "redoxa-lane") as pool:
        running: deque[Future[_Made]] = deque(pool.submit(work, item) for item in first)
        try:
            running.extend(pool.submit(work, item) for item in islice(waiting, count - 2))
            while running:
                done = running.popleft().result()
                running.extend(pool.submit(work, item) for item in islice(waiting, 1))
                yield done
                del done
        finally:
            for one in running:
                one.cancel()
