"""Base kernels in this process: compiled once, their instances reset and used again."""

import time
from typing import Any

from ring0 import abi
from ring0.host.call import (
    REFUSED,
    RESULT,
    Answer,
    Call,
    EndedError,
    Shape,
    halted,
    lay_out,
    metered,
    perform,
    work,
)
from ring0.host.engine import Module, Stopped
from ring0.host.instance import Instance, Watch
from ring0.host.watchdog import Watchdog
from ring0.kernel import Kernel

# What an idle instance may hold on to, and how many idle instances a kernel keeps.
_KEPT_BYTES = 64 * 1024 * 1024
_KEPT_INSTANCES = 4


class Resident:
    """One compiled kernel and its idle instances. Any number of threads may call it."""

    def __init__(
        self, module: Module, kernel: Kernel, watchdog: Watchdog, *, reusable: bool
    ) -> None:
        """`reusable` says that nothing but memory could carry state from call to call."""
        self._module = module
        self._watchdog = watchdog
        self._base = kernel.info.initial_bytes
        self._idle: list[Instance] = []
        self._reusable = reusable
        self._snapshot = Instance(self._module, self._base).read(0, self._base)

    def call(self, call: Call, wall_ms: int, fuel: int | None) -> Answer:
        """Perform the call on an instance that no other call is using."""
        watch = self.watch(wall_ms)
        instance = self._take()
        instance.watch = watch
        if self._module.engine.metered:
            instance.set_fuel(fuel)
            answer = metered(instance, perform(instance, call))
        else:
            answer = perform(instance, call)
        self.keep(instance, answer)
        return answer

    def lend(self, call: Call, lengths: tuple[int, ...], wall_ms: int) -> "Loan":
        """An instance for a call whose inputs, of these lengths, are written in place."""
        return Loan(self, self._take(), call, lengths, wall_ms)

    def watch(self, wall_ms: int) -> Watch:
        """What stops a call that takes longer than that from now."""
        return self._watchdog.watch(time.monotonic() + wall_ms / 1000)

    def _take(self) -> Instance:
        # Not asked first: between the question and the taking, another thread may take the last.
        try:
            return self._idle.pop()
        except IndexError:
            return Instance(self._module, self._base)

    def keep(self, instance: Instance, answer: Answer) -> None:
        """Take an instance back after a call that ended like that."""
        # Only a call that came to its end leaves an instance anyone can vouch for.
        if (
            self._reusable
            and answer.kind in (RESULT, REFUSED)
            and instance.size <= max(_KEPT_BYTES, self._base + abi.PAGE_BYTES)
            and len(self._idle) < _KEPT_INSTANCES
        ):
            instance.reset(self._snapshot)
            self._idle.append(instance)

    def drop_idle(self) -> None:
        """Free the instances that no call is using."""
        self._idle.clear()


class Loan:
    """An instance whose memory is filled and read in place; see `session.Loan`."""

    def __init__(
        self,
        resident: Resident,
        instance: Instance,
        call: Call,
        lengths: tuple[int, ...],
        wall_ms: int,
    ) -> None:
        self._resident = resident
        self._instance = instance
        self._call = call
        self._lengths = lengths
        self._wall_ms = wall_ms
        self._shape: Shape | None = None
        self._answer = Answer(RESULT)

    def open(self) -> list[tuple[int, int]] | Answer:
        """See `session.Loan`."""
        try:
            self._shape = lay_out(self._instance, self._call, self._lengths)
        except EndedError as ended:
            self._answer = ended.answer
            return ended.answer
        return [*zip(self._shape.inputs, self._lengths, strict=True)]

    def work(self) -> list[tuple[int, int]] | Answer:
        """See `session.Loan`."""
        assert self._shape is not None, "what works was opened"
        self._instance.watch = self._resident.watch(self._wall_ms)
        try:
            return work(self._instance, self._call, self._shape)
        except EndedError as ended:
            self._answer = ended.answer
        except Stopped as stopped:
            self._answer = halted(stopped)
        return self._answer

    def window(self, address: int, length: int) -> Any:  # noqa: ANN401 - cffi's buffer type
        """See `session.Loan`."""
        return self._instance.lasting_window(address, length)

    def give_back(self) -> None:
        """See `session.Loan`."""
        self._resident.keep(self._instance, self._answer)
