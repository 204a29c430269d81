"""Blocks worked on at the same time: kernels run without Python's lock, so threads pay."""

import os
import time
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
# Waking a thread takes as long as a short job, so short jobs are handed over in pieces that take
# about so long and have no more bytes than this; what they give stays in the caches meanwhile.
_PIECE_S = 0.000_4
_PIECE_BYTES = 2 * 1024 * 1024
_MOST_TOGETHER = 64


def in_order(
    work: Callable[[_Item], _Made],
    items: Iterable[_Item],
    *,
    lanes: int | None = None,
    size: Callable[[_Item], int] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[_Made]:
    """What the work makes of each item, in their order, a few of them worked on at the same time.

    Items are drawn in the thread that asks, as results are taken: never more of both together than
    there are lanes, and two. Where `size` tells how many bytes an item is, small ones that are soon
    done are drawn and handed over several at a time, of 2 MiB together at most, and a piece of them
    counts as one. An error comes where its result would have come.
    """
    count = min(os.cpu_count() or 1, MOST_LANES) if lanes is None else lanes
    waiting = iter(items)
    first = [*islice(waiting, 2)]
    if count == 1 or len(first) < 2:
        for item in first:
            yield work(item)
        yield from map(work, waiting)
        return
    pieces = _Pieces(waiting, size)
    jobs = _Jobs(work, count - 1, clock)
    try:
        running = deque(jobs.add([item]) for item in first)
        running.extend(map(jobs.add, pieces.take(count + _AHEAD - len(first))))
        while running:
            job = jobs.done(running.popleft())
            pieces.learn(job.count, job.seconds)
            running.extend(map(jobs.add, pieces.take(1)))
            yield from job.take()
            del job
    finally:
        jobs.end()


def lanes_for(block_bytes: int) -> int | None:
    """How many blocks of that many bytes may be worked on at once; None for as many as cores."""
    return 1 if block_bytes > _LARGEST else None


class _Pieces(Generic[_Item]):
    """Items in the pieces in which they are handed over."""

    def __init__(self, items: Iterator[_Item], size: Callable[[_Item], int] | None) -> None:
        self._items = items
        self._size = size
        self._together = 1

    def take(self, count: int) -> Iterator[list[_Item]]:
        """So many pieces, or as many as there are."""
        for _ in range(count):
            if piece := [*self._piece()]:
                yield piece

    def learn(self, count: int, seconds: float) -> None:
        """So many items took that long: the next piece is to take neither much more nor less."""
        if self._size is not None and count:
            fitting = int(count * _PIECE_S / seconds) if seconds > 0 else _MOST_TOGETHER
            self._together = max(1, min(fitting, _MOST_TOGETHER))

    def _piece(self) -> Iterator[_Item]:
        room = _PIECE_BYTES
        for item in islice(self._items, self._together):
            # Asked first: whoever takes the item may empty it.
            room -= self._size(item) if self._size is not None else 0
            yield item
            if room <= 0:
                return


class _Job(Generic[_Item, _Made]):
    """Some items, and what became of them. Whoever takes it out of the queue does it, once."""

    __slots__ = ("_items", "_made", "_raised", "count", "open", "seconds")

    def __init__(self, items: list[_Item]) -> None:
        # Each is let go as soon as it has been used: blocks are large.
        self._items = deque(items)
        self._made: deque[_Made] = deque()
        self._raised: BaseException | None = None
        # How many items are done, and in what time.
        self.count, self.seconds = 0, 0.0
        # Held until the job is done: the cheapest thing another thread can wait for.
        self.open = Lock()
        self.open.acquire()

    def do(self, work: Callable[[_Item], _Made], clock: Callable[[], float]) -> None:
        """Do it. An error is kept for whoever asks for the result; an interrupt is raised here."""
        started = clock()
        try:
            while self._items:
                self._made.append(work(self._items.popleft()))
                self.count += 1
        except BaseException as error:
            self._raised = error
            self._items.clear()
            if not isinstance(error, Exception):
                raise
        finally:
            self.seconds = clock() - started
            self.open.release()

    def take(self) -> Iterator[_Made]:
        """The results of a job that is done, once; then the error that ended it, if one did."""
        while self._made:
            yield self._made.popleft()
        if self._raised is not None:
            raise self._raised


class _Jobs(Generic[_Item, _Made]):
    """Jobs in a queue, done by some threads and by the thread that asks for results.

    That one takes part because it would wait otherwise, and being woken takes longer than a short
    job: jobs one after another go through without anybody falling asleep.
    """

    def __init__(
        self, work: Callable[[_Item], _Made], helpers: int, clock: Callable[[], float]
    ) -> None:
        self._work = work
        self._clock = clock
        self._queue: SimpleQueue[_Job[_Item, _Made] | None] = SimpleQueue()
        self._helpers = [
            Thread(target=self._help, name=f"redoxa-lane-{at}", daemon=True)
            for at in range(helpers)
        ]
        for helper in self._helpers:
            helper.start()

    def add(self, items: list[_Item]) -> _Job[_Item, _Made]:
        job: _Job[_Item, _Made] = _Job(items)
        self._queue.put(job)
        return job

    def done(self, job: _Job[_Item, _Made]) -> _Job[_Item, _Made]:
        """That job, done; until it is, this thread does others."""
        while job.open.locked():
            try:
                other = self._queue.get_nowait()
            except Empty:
                job.open.acquire()
                break
            assert other is not None, "helpers are told to end when nobody asks any more"
            other.do(self._work, self._clock)
        return job

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
            job.do(self._work, self._clock)
            del job
