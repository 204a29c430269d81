"""Base kernels made ready to be called: compiled, or loaded as an earlier process compiled them."""

import threading
from contextlib import suppress
from functools import cache
from pathlib import Path

from ring0.errors import EngineError
from ring0.host import stack
from ring0.host.aot import CodeCache
from ring0.host.direct import DirectResident, load
from ring0.host.engine import Engine, Module, Stopped, settings
from ring0.host.library import LibraryError
from ring0.host.resident import Resident
from ring0.host.watchdog import Watchdog
from ring0.instructions import BULK_MEMORY, TABLES, scan
from ring0.kernel import Kernel

# The first byte of what is kept, before the code: what a look at the instructions found.
_BULK, _TABLES = 1, 2


class Residents:
    """The base kernels of one host, each compiled once for metered and once for plain calls.

    Where `cache` names a folder, code is kept there for the next process.
    """

    def __init__(
        self, library: str, watchdog: Watchdog, cache: Path | None, *, compiled: bool
    ) -> None:
        """`compiled` says that calls without fuel go through C, where the trampoline is built."""
        self._library = library
        self._trampoline = load() if compiled else None
        self._watchdog = watchdog
        self._folder = cache
        self._cache: CodeCache | None = None
        self._found: dict[tuple[bytes, bool], Resident | DirectResident] = {}
        self._engines: dict[tuple[bool, bool], Engine] = {}
        self._making = threading.Lock()

    def get(self, kernel: Kernel, *, metered: bool) -> Resident | DirectResident:
        """The kernel, ready. Raises Stopped where the engine refuses it, or EngineError."""
        key = (kernel.cid.digest, metered)
        resident = self._found.get(key)
        if resident is None:
            with self._making:
                resident = self._found.get(key)
                if resident is None:
                    # Compiling overflows the stack of a small thread, too.
                    resident = stack.run(lambda: self._make(kernel, metered=metered))
                    self._found[key] = resident
        return resident

    def drop_idle(self) -> None:
        """Free the instances that no call is using."""
        for resident in [*self._found.values()]:
            resident.drop_idle()

    def load(self, kernel: Kernel, *, metered: bool) -> tuple[Module, int] | None:
        """The module that was kept, with its traits; None where there is none to trust."""
        if self._folder is None:
            return None
        if self._cache is None:
            self._cache = CodeCache.open(self._folder)
            if self._cache is None:
                self._folder = None
                return None
        kept = self._cache.find(kernel.cid.digest, _configuration(metered=metered))
        if kept is None:
            return None
        try:
            return self._engine(metered=metered, traits=kept[0]).load(kept[1:]), kept[0]
        except Stopped:
            return None  # an engine that says no to its own code gets the kernel itself

    def _make(self, kernel: Kernel, *, metered: bool) -> Resident | DirectResident:
        found = self.load(kernel, metered=metered)
        module, traits = found if found is not None else self._compile(kernel, metered=metered)
        # A mutable global besides the stack pointer, or a table that is written to, could carry
        # state from call to call.
        mutable = sum(one.mutable for one in kernel.info.globals)
        reusable = mutable <= 1 and not traits & _TABLES
        if reusable and not metered and self._trampoline is not None:
            return DirectResident(self._trampoline, module, kernel, self._watchdog)
        return Resident(module, kernel, self._watchdog, reusable=reusable)

    def _compile(self, kernel: Kernel, *, metered: bool) -> tuple[Module, int]:
        kinds = scan(kernel.wasm, kernel.info)
        traits = _BULK * (BULK_MEMORY in kinds) | _TABLES * (TABLES in kinds)
        module = self._engine(metered=metered, traits=traits).compile(kernel.wasm)
        if self._cache is not None:
            with suppress(Stopped):  # no memory for a copy, which nobody needs
                content = bytes([traits]) + module.code()
                self._cache.keep(kernel.cid.digest, _configuration(metered=metered), content)
        return module, traits

    def _engine(self, *, metered: bool, traits: int) -> Engine:
        # The watchdog must not take memory away inside a bulk instruction: see watchdog.py.
        epochs = bool(traits & _BULK)
        key = (metered, epochs)
        if key not in self._engines:
            try:
                engine = Engine(self._library, metered=metered, canonical_nan=False, epochs=epochs)
            except LibraryError as error:
                raise EngineError(str(error)) from error
            if epochs:
                self._watchdog.tick(engine)
            self._engines[key] = engine
        return self._engines[key]


@cache
def _configuration(*, metered: bool) -> str:
    """The engine's whole configuration; epochs follow from the kernel, which is named as well."""
    return repr(sorted(settings(metered=metered, canonical_nan=False, epochs=False).items()))
