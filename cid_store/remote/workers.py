"""Threads that wait for a service, so that the person who waits for them can interrupt."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

from cid_store.errors import UsageError

_Value = TypeVar("_Value")
_Words = ParamSpec("_Words")

_LOOK_UP_S = 0.2  # a signal that comes just before a wait begins is seen when that wait ends


def result_of(future: Future[_Value]) -> _Value:
    """What the task gave or raised, as soon as it did; Ctrl-C is never missed meanwhile."""
    while not future.done():
        wait((future,), _LOOK_UP_S)
    return future.result()


class Workers:
    """At most so many threads. The process ends without waiting for what they still wait for."""

    def __init__(self, count: int) -> None:
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._left = count
        self._lock = threading.Lock()
        self._closed = False

    def submit(
        self, do: Callable[_Words, _Value], *words: _Words.args, **names: _Words.kwargs
    ) -> Future[_Value]:
        """Have it done by one of the threads. Raises UsageError after `close`."""
        future: Future[_Value] = Future()

        def task() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                value = do(*words, **names)
            except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
                future.set_exception(error)
            else:
                future.set_result(value)

        with self._lock:
            if self._closed:  # nobody would ever do it
                raise UsageError("this store is closed; open it again")
            if not self._idle.acquire(blocking=False) and self._left:
                self._left -= 1
                # A daemon: the interpreter joins all others at its end, however long they wait.
                threading.Thread(target=self._work, name="remote", daemon=True).start()
            self._tasks.put(task)
        return future

    def run(self, do: Callable[[], _Value]) -> _Value:
        """Do it now. Ctrl-C comes to the main thread only, and not while that is in a request."""
        if threading.current_thread() is threading.main_thread():
            return result_of(self.submit(do))
        return do()

    def close(self) -> None:
        """Let the threads end when they have done what they do."""
        with self._lock:
            self._closed = True
            self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
            del task  # its result may be large
            self._idle.release()
        self._tasks.put(None)  # for the next one
