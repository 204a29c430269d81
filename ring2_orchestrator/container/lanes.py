"""Blocks worked on at the same time: kernels run without Python's lock, so threads pay."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Generic, TypeVar

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")

# Every lane holds a block with all that a plan makes of it, so more cores than this are not used.
MOST_LANES = 4
# Larger blocks are worked on one after another: memory is worth more than a second core.
_LARGEST = 16 * 1024 * 1024
# Drawn beyond one for each lane, so that whoever is done first need not wait for the others.
_AHEAD = 1


def in_order(
    work: Callable[[_Item], _Made], items: Iterable[_Item], *, lanes: int | None = None
) -> Iterator[_Made]:
    """What the work makes of each item, in their order, a few of them worked on at the same time.

    Items are drawn in the thread that asks, as results are taken: never more of both together than
    there are lanes, and two. An error comes where its result would have come.
    """
    count = min(os.cpu_count() or 1, MOST_LANES) if lanes is None else lanes
    waiting = iter(items)
    first = [*islice(waiting, 2)]
    if count == 1 or len(first) < 2:
        for item in first:
            yield work(item)
        yield from map(work, waiting)
        return
    jobs = _Jobs(work, count - 1)
    try:
        running = deque(map(jobs.add, first))
        running.extend(map(jobs.add, islice(waiting, count + _AHEAD - len(first))))
        while running:
            done = jobs.result(running.popleft())
            running.extend(map(jobs.add, islice(waiting, 1)))
            yield done
            del done
    finally:
        jobs.end()


def lanes_for(block_bytes: int) -> int | None:
    """How many blocks of that many bytes may be worked on at once; None for as many as cores."""
    return 1 if block_bytes > _LARGEST else None


class _Job(Generic[_Item, _Made]):
    """One item, and what became of it. Whoever takes it out of the queue does it, once."""

    __slots__ = ("_item", "_made", "_raised", "open")

    def __init__(self, item: _Item) -> None:
        # Each is let go as soon as it has been used: blocks are large.
        self._item = [item]
        self._made: list[_Made] = []
        self._raised: BaseException | None = None
        # Held until the job is done: the cheapest thing another thread can wait for.
        self.open = Lock()
        self.open.acquire()

    def do(self, work: Callable[[_Item], _Made]) -> None:
        """Do it. An error is kept for whoever asks for the result; an interrupt is raised here."""
        try:
            self._made.append(work(self._item.pop()))
        except BaseException as error:
            self._raised = error
            if not isinstance(error, Exception):
                raise
        finally:
            self.open.release()

    def take(self) -> _Made:
        """The result of a job that is done, once."""
        if self._raised is not None:
            raise self._raised
        return self._made.pop()


class _Jobs(Generic[_Item, _Made]):
    """Jobs in a queue, done by some threads and by the thread that asks for results.

    That one takes part because it would wait otherwise, and being woken takes longer than a short
    job: jobs one after another go through without anybody falling asleep.
    """

    def __init__(self, work: Callable[[_Item], _Made], helpers: int) -> None:
        self._work = work
        self._queue: SimpleQueue[_Job[_Item, _Made] | None] = SimpleQueue()
        self._helpers = [
            Thread(target=self._help, name=f"redoxa-lane-{at}", daemon=True)
            for at in range(helpers)
        ]
        for helper in self._helpers:
            helper.start()

    def add(self, item: _Item) -> _Job[_Item, _Made]:
        job: _Job[_Item, _Made] = _Job(item)
        self._queue.put(job)
        return job

    def result(self, job: _Job[_Item, _Made]) -> _Made:
        """What became of that job; until it is done, this thread does others."""
        while job.open.locked():
            try:
                other = self._queue.get_nowait()
            except Empty:
                job.open.acquire()
                break
            assert other is not None, "helpers are told to end when nobody asks any more"
            other.do(self._work)
        return job.take()

    def end(self) -> None:
        """Wait for the jobs under way; those not begun are dropped."""
        while True:
            try:
                self._queue.get_nowait()
            except Empty:
                break
        for _ in self._helpers:
            self._queue.put(None)
        for helper in self._helpers:
            helper.join()

    def _help(self) -> None:
        while (job := self._queue.get()) is not None:
            job.do(self._work)
            del job
