"""What starts first where several wait: whatever most seconds hang on. Pure.

Tasks are numbers here, their places in the order in which a person named them, and `before` says
whom each waits for.
"""

import heapq
from collections.abc import Collection, Sequence
from typing import NamedTuple

Before = Sequence[Collection[int]]


def urgency(before: Before, seconds: Sequence[float | None]) -> list[float]:
    """The seconds from the start of each task to the end of the longest chain that it begins.

    A task of unknown length counts as long as the longest known one: one that turns out to be long
    costs most where it is started late, and one that turns out to be short costs nothing early.
    """
    known = [each for each in seconds if each is not None]
    unknown = max(known, default=1.0)
    own = [unknown if each is None else each for each in seconds]
    after: list[list[int]] = [[] for _ in own]
    for later, earlier in enumerate(before):
        for at in earlier:
            after[at].append(later)
    found = [0.0] * len(own)
    for at in reversed(_in_order(before)):
        found[at] = own[at] + max((found[later] for later in after[at]), default=0.0)
    return found


class Slot(NamedTuple):
    """When a task runs."""

    task: int
    begin_s: float
    end_s: float


def simulate(
    before: Before, seconds: Sequence[float], ranks: Sequence[float], *, width: int
) -> list[Slot]:
    """What becomes of tasks of these lengths when whoever is free takes the highest rank.

    Of equal ranks the earlier named goes first. Tasks that wait for each other never start.
    """
    left = [len(set(each)) for each in before]
    after: list[list[int]] = [[] for _ in before]
    for later, earlier in enumerate(before):
        for at in set(earlier):
            after[at].append(later)
    ready = [(-ranks[at], at) for at, count in enumerate(left) if not count]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    slots: list[Slot] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < width:
            _, at = heapq.heappop(ready)
            slots.append(Slot(at, now, now + seconds[at]))
            heapq.heappush(running, (now + seconds[at], at))
        now, ended = heapq.heappop(running)
        for later in after[ended]:
            left[later] -= 1
            if not left[later]:
                heapq.heappush(ready, (-ranks[later], later))
    return slots


def makespan(slots: Sequence[Slot]) -> float:
    """When the last one ends."""
    return max((slot.end_s for slot in slots), default=0.0)


def lower_bound(before: Before, seconds: Sequence[float], *, width: int) -> float:
    """What no order goes below: the longest chain, and all work shared among `width`."""
    return max(max(urgency(before, seconds), default=0.0), sum(seconds) / width)


def _in_order(before: Before) -> list[int]:
    """All tasks, each after those it waits for; cycles, where there are any, come last."""
    slots = simulate(before, [0.0] * len(before), [0.0] * len(before), width=1)
    order = [slot.task for slot in slots]
    return order + [at for at in range(len(before)) if at not in set(order)]
