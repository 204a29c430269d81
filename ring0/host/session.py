"""A call whose inputs are written, and outputs read, where they lie: in the kernel's memory.

What is handed out are views of just these stretches, so every touch is checked against their
bounds, and they live only as long as nothing else can happen to the memory: the inputs' until the
kernel runs, the outputs' until the session ends. A released view raises ValueError. Arrays made of
a view cannot be released; so nothing runs while there are any, and memory that one still sees when
the session ends is left to it and never used for another call.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, Self
from weakref import ref

from cid_store.errors import UsageError
from ring0.boundary import Boundary
from ring0.host import stack
from ring0.host.answers import outcome_of
from ring0.host.call import Answer
from ring0.outcome import Outcome

Places = list[tuple[int, int]]


class Loan(Protocol):
    """An instance that no other call uses, with the call that is to be made on it."""

    def open(self) -> Places | Answer:
        """Lay the call out, its inputs as zeros: where they lie, or why it is not possible."""
        ...

    def work(self) -> Places | Answer:
        """Do what is laid out: where the outputs lie, or what it came to instead."""
        ...

    def window(self, address: int, length: int) -> Any:  # noqa: ANN401 - cffi's buffer type
        """That stretch of memory, which stays where it is while the window exists."""
        ...

    def give_back(self) -> None:
        """Let other calls have the instance, if it is fit for them."""
        ...


class NoLoan:
    """A loan of nothing: why there is none is the answer to every call that wants it."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def open(self) -> Places | Answer:
        """See `Loan`."""
        return self._answer

    def work(self) -> Places | Answer:
        """See `Loan`."""
        return self._answer

    def window(self, address: int, length: int) -> Any:  # noqa: ANN401 - as in `Loan`
        """See `Loan`; nothing was laid out, so nobody asks."""
        raise AssertionError(f"a window of {length} bytes at {address} of no memory")

    def give_back(self) -> None:
        """See `Loan`."""


class Session:
    """One call in place, from `Prepared.open`. Close it, or use it as a context manager.

    `inputs` are writable views, all zeros at first; after `run` gave None, `outputs` are views of
    the results. One thread uses a session.
    """

    def __init__(self, loan: Loan, boundary: Boundary, check: Callable[[], None]) -> None:
        """`check` raises where no kernel may run now, as in a forked process."""
        self._check = check
        self._loan: Loan | None = loan
        self._boundary = boundary
        self._seen: list[ref[Any]] = []
        self._ready = False
        self.inputs: Sequence[memoryview] = ()
        self.outputs: Sequence[memoryview] = ()
        opened = loan.open()
        self._ended = None if isinstance(opened, list) else opened
        if isinstance(opened, list):
            self.inputs = [self._view(place) for place in opened]

    def run(self) -> Outcome | None:
        """Run the kernel on what `inputs` hold, once: None when it is done, or why it is not.

        Raises UsageError while an array made of an input view still exists, and EngineError in a
        process that was forked since.
        """
        self._check()
        if self._loan is None or self._ready:
            raise UsageError("a session makes one call; open another for the next")
        if self._ended is None:
            self._let_go(self.inputs)
            if self._is_seen():
                raise UsageError(
                    "an array or a slice of this call's inputs still exists, and could be touched "
                    "while the kernel runs; let go of it first (`del`), and run again"
                )
            self.inputs = ()
            # While it works, and for ever if that is interrupted, nobody may give it back: how the
            # call ended is not known then, nor on a thread of its own that it ended.
            loan, self._loan = self._loan, None
            made = loan.work() if stack.is_large() else stack.run(loan.work)
            self._loan = loan
            if isinstance(made, list):
                self._ready = True
                self.outputs = [self._view(place).toreadonly() for place in made]
                return None
            self._ended = made
        self._ready = True
        return outcome_of(self._ended, self._boundary)

    def close(self) -> None:
        """Release every view; closing twice is harmless."""
        loan, self._loan = self._loan, None
        self._let_go(self.inputs)
        self._let_go(self.outputs)
        self.inputs = self.outputs = ()
        if loan is not None and not self._is_seen():
            loan.give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _view(self, place: tuple[int, int]) -> memoryview:
        assert self._loan is not None, "views are made while the session is open"
        window = self._loan.window(*place)
        self._seen.append(ref(window))
        return memoryview(window)

    def _let_go(self, views: Sequence[memoryview]) -> None:
        for view in views:
            with suppress(BufferError):  # an array was made of it, and `_is_seen` tells so
                view.release()

    def _is_seen(self) -> bool:
        # Whatever was made of a view, however indirectly, holds on to the window.
        return any(window() is not None for window in self._seen)
