"""Base kernels in this process: compiled once, their instances reset and used again."""

import time

from ring0 import abi
from ring0.host.call import REFUSED, RESULT, Answer, Call, metered, perform
from ring0.host.engine import Module
from ring0.host.instance import Instance
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
        watch = self._watchdog.watch(time.monotonic() + wall_ms / 1000)
        try:
            instance = self._idle.pop()
        except IndexError:
            instance = Instance(self._module, self._base)
        instance.watch = watch
        if self._module.engine.metered:
            instance.set_fuel(fuel)
            answer = metered(instance, perform(instance, call))
        else:
            answer = perform(instance, call)
        self._keep(instance, answer)
        return answer

    def _keep(self, instance: Instance, answer: Answer) -> None:
        # Only a call that came to its end leaves an instance anyone can vouch for.
        if (
            self._reusable
            and answer.kind in (RESULT, REFUSED)
            and instance.size <= max(_KEPT_BYTES, self._base + abi.PAGE_BYTES)
            and len(self._idle) < _KEPT_INSTANCES
        ):
            instance.reset(self._snapshot)
            self._idle.append(instance)
