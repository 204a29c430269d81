"""Stops a base kernel that runs for too long, at no cost to one that does not.

Base kernels run without fuel or epochs, which cost up to 1.8 times the time. Instead, when a call
passes its deadline, this thread takes the instance's memory away (mprotect): the next access traps
in the engine like any other out-of-bounds access, and the instance is thrown away. Two limits,
both kept by `Host`: a bulk instruction runs in the engine's own C code, where such a fault would
end the process, so kernels that use them count epochs instead; and a loop that never touches memory
is not stopped, which the examination of shipped kernels has to exclude.

A call through `Instance.run` enters its deadline here and takes it out again. A call in C only
counts up a number, which this thread compares with what it saw before: no clock is asked and no
lock is taken.
"""

import threading
import time
import weakref
from typing import Protocol

from ring0.host.engine import Engine
from ring0.host.instance import Instance
from ring0.host.library import libc

PERIOD_S = 0.02
_PROT_NONE = 0


class Followed(Protocol):
    """An instance whose calls tell by a number that they run: see calls.h."""

    def look(self, now: float) -> None:
        """Stop the call that has been running since its time was over."""
        ...


class Watchdog:
    """One thread, asleep but for a look at the clock every 20 ms; started by the first call."""

    def __init__(self) -> None:
        # The calls under way that a dictionary watches; an entry belongs to whoever takes it out.
        self.deadlines: dict[int, tuple[float, Instance]] = {}
        self._followed: set[weakref.ref[Followed]] = set()
        self._epochs: list[Engine] = []
        # Held while memory is taken away, so that nobody frees it meanwhile.
        self._striking = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def watch(self, deadline: float) -> "Timed":
        """The watch of one call that must end by that monotonic time."""
        self.start()
        return Timed(self, deadline)

    def follow(self, one: Followed) -> None:
        """Look at that instance now and then, for as long as it exists."""
        # Without a function that is called when it is gone: the exception of a signal's handler
        # that ran in there would be lost.
        self._followed.add(weakref.ref(one))
        self.start()

    def tick(self, engine: Engine) -> None:
        """Let the epochs of that engine pass with time."""
        self._epochs.append(engine)

    def close(self) -> None:
        """End the thread; calls still running are not stopped any more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def struck(self) -> bool:
        """What a call finds whose entry was taken: True, once its memory is gone."""
        with self._striking:
            return True

    def start(self) -> None:
        """Have the thread run; epochs pass and calls are looked at only then."""
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="redoxa-watchdog", daemon=True)
                thread.start()
                self._thread = thread

    def _work(self) -> None:
        while not self._stop.wait(PERIOD_S):
            for engine in self._epochs:
                engine.tick()
            now = time.monotonic()
            for key, (deadline, instance) in list(self.deadlines.items()):
                if now > deadline:
                    self._strike(key, instance)
            for reference in list(self._followed):
                one = reference()
                if one is None:
                    self._followed.discard(reference)
                else:
                    one.look(now)
                del one  # it may go while this thread sleeps

    def _strike(self, key: int, instance: Instance) -> None:
        with self._striking:
            if self.deadlines.pop(key, None) is not None:
                libc.mprotect(instance.data, instance.size, _PROT_NONE)


class Timed:
    """One call's deadline, in force only while the kernel itself runs."""

    __slots__ = ("_dog", "deadline", "entries")

    def __init__(self, dog: Watchdog, deadline: float) -> None:
        self._dog = dog
        self.deadline = deadline
        self.entries = dog.deadlines

    def ticks(self) -> int:
        """How many epochs are left until the deadline."""
        return int(max(self.deadline - time.monotonic(), 0.0) / PERIOD_S) + 2

    def struck(self) -> bool:
        """What an instance finds that was taken out: True, once its memory is gone."""
        return self._dog.struck()
