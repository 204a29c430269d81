"""Several scripts, each in a process of its own: when each starts, and which has to run again.

What the scripts read and write is learned from their earlier runs, and from these. Where that shows
too late that one should have waited for another, it is run again after it.
"""

import selectors
import signal
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import NamedTuple, Self, cast

from ring2_orchestrator.clock import Clock, SystemClock
from ring2_orchestrator.recorder.terminal import has_foreground
from ring2_orchestrator.runs.marks import Marks
from ring2_orchestrator.runs.order import Order, order_of
from ring2_orchestrator.runs.worker import Worker

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Told(NamedTuple):
    """What a script's process tells of one run. `answer` is None where it could not be run."""

    exit_code: int
    answer: Mapping[str, object] | None = None
    marks: Marks | None = None
    wrote: bool = False  # it may have changed what it writes
    again: bool = True  # False: it was asked once more, and what it had done still holds


@dataclass(slots=True)
class Script:
    """One script of a round, and how it went."""

    name: str
    command: Sequence[str]
    told: Told | None = None
    runs: int = 0
    skipped_for: int | None = None  # the script that failed, and of which it reads what it writes
    began: int = 0
    ended: int = 0
    marks: Marks | None = None
    began_ns: int = 0  # of its last run, on the clock of the round
    ended_ns: int = 0

    @property
    def failed(self) -> bool:
        """Whether it ran and failed, or was left out because another one did."""
        return self.skipped_for is not None or (self.told is not None and bool(self.told.exit_code))


class Round:
    """A round of scripts. `act` runs one in a process of its own, and gives what `told` reads.

    `act` is told whether the script has run in this round already. `show` is given what a script
    prints when several run at a time; `say` that a script has ended, and its place. Of those that
    may start, the one of the highest `rank` does, and of equal ones the first named; none that does
    not fit beside those that run.
    """

    def __init__(
        self,
        scripts: Sequence[Script],
        *,
        width: int,
        fail_fast: bool,
        act: Callable[[Script, bool], bytes],
        read: Callable[[bytes, int], Told],
        show: Callable[[int, bytes], None],
        say: Callable[[int, Told], None],
        status: Callable[[Iterable[int]], None],
        rank: Callable[[Order], Sequence[float]] | None = None,
        fits: Callable[[int, Collection[int]], bool] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.scripts = scripts
        self._rank, self._fits = rank, fits
        self._clock = clock or SystemClock()
        self.began_ns = self._clock.monotonic_ns()
        self._learn_order()
        self.interrupted_by: int | None = None
        self._width = width
        self._fail_fast = fail_fast
        self._act, self._read = act, read
        self._show, self._say, self._status = show, say, status
        self._workers: dict[int, Worker] = {}
        self._ticks = 0

    def run(self) -> None:
        """Run them all, and those again that came too early."""
        with _Listening(self):
            try:
                due = set(range(len(self.scripts)))
                # Each further turn moves at least one script behind those it waits for.
                for _ in range(len(self.scripts) + 1):
                    self._turn(due)
                    self._learn_order()
                    if self._stops() or not (due := self._too_early()):
                        break
            finally:
                self._end()

    def _learn_order(self) -> None:
        self.order: Order = order_of([script.marks for script in self.scripts])
        ranks = self._rank(self.order) if self._rank else [0.0] * len(self.scripts)
        places = sorted(range(len(ranks)), key=lambda at: (-ranks[at], at))
        self._turns = {at: turn for turn, at in enumerate(places)}

    def interrupt(self, number: int) -> None:
        """Start nothing more, and hand the signal on; keys reach the scripts by themselves."""
        self.interrupted_by = number
        if number != signal.SIGINT or not has_foreground():
            for worker in self._workers.values():
                worker.send(number)

    def _stops(self) -> bool:
        failed = self._fail_fast and any(script.failed for script in self.scripts)
        return failed or self.interrupted_by is not None

    def _too_early(self) -> set[int]:
        """Whoever began before one had ended whose work it reads or overwrites."""
        return {
            at
            for at, script in enumerate(self.scripts)
            if script.told is not None
            and any(self._came_after(script, self.scripts[each]) for each in self.order.before[at])
            and not any(self.scripts[each].failed for each in self.order.needs[at])
        }

    def _came_after(self, script: Script, other: Script) -> bool:
        return other.told is not None and other.told.wrote and other.ended > script.began

    # One turn.

    def _turn(self, due: set[int]) -> None:
        """Run these, each after those that it waits for, as many at a time as may be."""
        waiting = set(due)
        with selectors.DefaultSelector() as selector:
            while waiting or self._workers:
                self._start_some(waiting, selector)
                if not self._workers:
                    break  # nobody is to start any more
                self._status(self._workers)
                for key, _ in selector.select():
                    at = cast("int", key.data)
                    if at in self._workers:
                        self._on_ready(at, key.fd, selector)

    def _start_some(self, waiting: set[int], selector: selectors.BaseSelector) -> None:
        for at in sorted(waiting, key=self._turns.__getitem__):
            if self._stops() or len(self._workers) >= self._width:
                return
            if self.order.before[at] & (waiting | self._workers.keys()):
                continue
            if self._workers and self._fits and not self._fits(at, self._workers.keys()):
                continue
            waiting.discard(at)
            failed = next(
                (each for each in self.order.needs[at] if self.scripts[each].failed), None
            )
            if failed is not None:
                self.scripts[at].skipped_for = failed
                continue
            self._start(at, selector)
        if waiting and not self._workers and not self._stops():
            # Skipping one may have let others start.
            self._start_some(waiting, selector)

    def _start(self, at: int, selector: selectors.BaseSelector) -> None:
        script = self.scripts[at]
        again = script.told is not None
        script.began = self._tick()
        script.began_ns = self._clock.monotonic_ns()
        worker = Worker(lambda: self._act(script, again), apart=self._width > 1)
        self._workers[at] = worker
        for descriptor in worker.descriptors:
            selector.register(descriptor, selectors.EVENT_READ, at)

    def _on_ready(self, at: int, descriptor: int, selector: selectors.BaseSelector) -> None:
        worker = self._workers[at]
        before = set(worker.descriptors)
        ended = worker.read(descriptor)
        for gone in before - set(worker.descriptors):
            selector.unregister(gone)
        for stream, data in worker.output():
            self._show(stream, data)
        if ended:
            del self._workers[at]
            self._on_end(at, worker)

    def _on_end(self, at: int, worker: Worker) -> None:
        script = self.scripts[at]
        script.ended = self._tick()
        script.ended_ns = self._clock.monotonic_ns()
        told = self._read(worker.answer, cast("int", worker.status))
        if not told.again:
            return
        script.told = told
        script.runs += 1
        script.marks = told.marks or script.marks
        self._say(at, told)

    def _tick(self) -> int:
        self._ticks += 1
        return self._ticks

    def _end(self) -> None:
        """After an error of our own nothing may go on unseen."""
        for worker in self._workers.values():
            worker.abandon()


class _Listening:
    """While it is open, signals are the round's; what was ignored before stays ignored."""

    def __init__(self, listener: Round) -> None:
        self._round = listener
        self._old: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._old[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, cast("signal.Handlers", handler))

    def _note(self, number: int, _: FrameType | None) -> None:
        self._round.interrupt(number)
