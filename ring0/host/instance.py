"""One instance of a kernel in a store of its own: memory the host may touch, and `run`.

Every address the host uses is one it computed itself and checked against the size it knows; no
number read from the module ever becomes an address.
"""

from collections.abc import Callable
from typing import Any, Protocol

from ring0 import abi
from ring0.host.engine import (
    INSTANTIATION,
    INTERRUPT,
    Module,
    Stopped,
    refusal,
    take_error,
    take_trap,
)
from ring0.host.library import NULL, ffi, libc

_TABLE_ELEMENTS = 10_000
_UNMETERED_FUEL = (1 << 63) - 1
_FOREVER_TICKS = 1 << 62


class Watch(Protocol):
    """Whoever stops an instance that runs for too long.

    An instance without epochs is stopped while it stands among the entries, and who stops it takes
    it out.
    """

    entries: "dict[int, tuple[float, Instance]]"
    deadline: float

    def ticks(self) -> int:
        """How many epochs are left until the deadline."""
        ...

    def struck(self) -> bool:
        """What an instance finds that was taken out: True, once it is stopped."""
        ...


def holding(owner: object) -> Callable[[Any], object]:
    """A destructor for a pointer into the owner's memory: it does nothing but keep the owner alive.

    Not a function in Python: the exception of a signal's handler that ran in there would be lost.
    """
    return {0: owner}.get


class Instance:
    """A fresh instance with its memory at the module's initial size."""

    __slots__ = (
        "_args",
        "_context",
        "_given",
        "_lib",
        "_memory",
        "_run",
        "_store",
        "_trap",
        "base",
        "data",
        "epochs",
        "size",
        "used",
        "watch",
    )

    def __init__(self, module: Module, base: int, *, fuel: int | None = None) -> None:
        """Instantiate. `base` is the initial memory size, known from inspection. Raises Stopped."""
        engine = module.engine
        self._lib = lib = engine.lib
        self._store = ffi.gc(
            lib.wasmtime_store_new(engine.pointer, NULL, NULL), lib.wasmtime_store_delete
        )
        self._context = lib.wasmtime_store_context(self._store)
        self.epochs = engine.epochs
        self._trap = ffi.new("wasm_trap_t **")
        self._args = ffi.new("wasmtime_val_raw_t *")
        self.base = self.used = base
        self.watch: Watch | None = None
        self._limit(base)
        self._given = 0
        if engine.metered:
            self.set_fuel(None)
        if engine.epochs:
            self.set_ticks(_FOREVER_TICKS)
        exports = self._instantiate(module)
        memory, run = abi.MEMORY_EXPORT, abi.RUN_EXPORT
        found = self._export(exports, memory)
        self._memory = ffi.new("wasmtime_memory_t *", found.of.memory)
        found = self._export(exports, run)
        self._run = ffi.new("wasmtime_func_t *", found.of.func)
        self._measure()
        assert self.size == base, "the inspector and the engine agree on the initial memory"
        if engine.metered:
            # Only now: what instantiation took is not the call's, and has no start function in it.
            self.set_fuel(fuel)

    def _instantiate(self, module: Module) -> Any:  # noqa: ANN401 - a C pointer
        instance = ffi.new("wasmtime_instance_t *")
        lib = self._lib
        error = lib.wasmtime_instance_new(
            self._context, module.pointer, NULL, 0, instance, self._trap
        )
        if error != NULL:
            raise refusal(INSTANTIATION, take_error(lib, error))
        self._raise_trap()
        return instance

    def _export(self, instance: Any, name: str) -> Any:  # noqa: ANN401 - C structures
        item = ffi.new("wasmtime_extern_t *")
        text = name.encode()
        found = self._lib.wasmtime_instance_export_get(
            self._context, instance, text, len(text), item
        )
        assert found, "the inspector and the engine agree on the exports"
        # Not `item.of`: a part of a structure does not keep the whole alive.
        return item

    def _measure(self) -> None:
        self.data = self._lib.wasmtime_memory_data(self._context, self._memory)
        self.size = self._lib.wasmtime_memory_data_size(self._context, self._memory)

    def _limit(self, memory_bytes: int) -> None:
        # At its current size the module's own memory.grow always fails: no result depends on it.
        self._lib.wasmtime_store_limiter(self._store, memory_bytes, _TABLE_ELEMENTS, 1, 4, 1)

    def _raise_trap(self) -> None:
        trap = self._trap[0]
        if trap != NULL:
            self._trap[0] = NULL
            raise take_trap(self._lib, trap)

    def _forget_trap(self) -> None:
        trap = self._trap[0]
        if trap != NULL:
            self._trap[0] = NULL
            self._lib.wasm_trap_delete(trap)

    @property
    def lib(self) -> Any:  # noqa: ANN401 - cffi libraries have no static type
        """The engine's library."""
        return self._lib

    def addresses(self) -> dict[str, int]:
        """Where its parts lie, for the compiled trampoline; they live as long as this object."""
        parts = {
            "store": self._store,
            "context": self._context,
            "run": self._run,
            "memory": self._memory,
            "data": self.data,
        }
        return {name: int(ffi.cast("uintptr_t", part)) for name, part in parts.items()}

    def grow_to(self, size: int) -> bool:
        """Have at least `size` bytes of memory; False where module or machine do not allow it."""
        if size <= self.size:
            return True
        pages = -(-(size - self.size) // abi.PAGE_BYTES)
        self._limit(self.size + pages * abi.PAGE_BYTES)
        before = ffi.new("uint64_t *")
        error = self._lib.wasmtime_memory_grow(self._context, self._memory, pages, before)
        if error != NULL:
            take_error(self._lib, error)
            self._limit(self.size)
            return False
        self._measure()
        return True

    def write(self, address: int, data: Any) -> None:  # noqa: ANN401 - any buffer
        """Copy bytes into memory; the caller has laid them out within `size`."""
        length = len(data)
        assert 0 <= address <= address + length <= self.size, "the layout lies within memory"
        ffi.memmove(self.data + address, data, length)

    def fill(self, address: int, length: int, byte: int) -> None:
        """Write that byte so many times; the caller has laid it out within `size`."""
        assert 0 <= address <= address + length <= self.size, "the layout lies within memory"
        libc.memset(self.data + address, byte, length)

    def is_filled(self, address: int, length: int, byte: int) -> bool:
        """Whether that byte lies there so many times."""
        assert 0 <= address <= address + length <= self.size, "the layout lies within memory"
        if length == 0:
            return True
        at = self.data + address
        # All are alike if each is like the next one.
        return at[0] == byte and libc.memcmp(at, at + 1, length - 1) == 0

    def holds(self, address: int, data: bytes) -> bool:
        """Whether these bytes lie there."""
        assert 0 <= address <= address + len(data) <= self.size, "the layout lies within memory"
        return libc.memcmp(self.data + address, data, len(data)) == 0

    def read(self, address: int, length: int) -> bytes:
        """Copy bytes out of memory, at an address the host laid out."""
        assert 0 <= address <= address + length <= self.size, "the layout lies within memory"
        return ffi.buffer(self.data + address, length)[:]

    def window(self, address: int, length: int) -> Any:  # noqa: ANN401 - cffi's buffer type
        """A writable view of memory, valid until the memory grows or the instance ends."""
        assert 0 <= address <= address + length <= self.size, "the layout lies within memory"
        return ffi.buffer(self.data + address, length)

    def lasting_window(self, address: int, length: int) -> Any:  # noqa: ANN401 - cffi's buffer type
        """The same, and as long as anyone holds it, the memory is there and this instance's."""
        assert 0 <= address <= address + length <= self.size, "the layout lies within memory"
        return ffi.buffer(ffi.gc(self.data + address, holding(self)), length)

    def run(self, address: int) -> int:
        """Call `run`; its return code. Raises Stopped."""
        args = self._args
        args.i32 = address if address < 1 << 31 else address - (1 << 32)
        watch, key = self.watch, id(self)
        # Written out, because calls of a method would take a tenth of the time that all this takes.
        try:
            if watch is not None:
                if self.epochs:
                    self.set_ticks(watch.ticks())
                else:
                    watch.entries[key] = watch.deadline, self
            error = self._lib.wasmtime_func_call_unchecked(
                self._context, self._run, args, 1, self._trap
            )
            # Whoever takes the entry out decides: either the call has ended, or it is stopped.
            struck = (
                watch is not None
                and watch.entries.pop(key, None) is None
                and not self.epochs
                and watch.struck()
            )
        except BaseException:  # a signal came meanwhile, and its handler raised it
            if watch is not None:
                watch.entries.pop(key, None)
            self._forget_trap()
            raise
        if error != NULL:
            raise Stopped("trap", take_error(self._lib, error))
        if struck:
            self._forget_trap()
            raise Stopped(INTERRUPT, "the watchdog stopped it")
        if self._trap[0] != NULL:
            self._raise_trap()
        return args.i32

    def reset(self, snapshot: bytes) -> None:
        """Make memory what it was when the instance was new, but for its size."""
        assert len(snapshot) == self.base, "the snapshot is of the initial memory"
        # Most calls change nothing there, and looking costs half of what writing does.
        if libc.memcmp(self.data, snapshot, self.base):
            ffi.memmove(self.data, snapshot, self.base)
        if self.used > self.base:
            libc.memset(self.data + self.base, 0, self.used - self.base)
            self.used = self.base

    def set_fuel(self, fuel: int | None) -> None:
        """Let the instance use this much fuel; None is more than any call can use."""
        # The engine looks at its tank only now and then and never shows less than nothing. With one
        # unit more than allowed, an empty tank means that too much was used, exactly.
        self._given = _UNMETERED_FUEL if fuel is None else fuel + 1
        error = self._lib.wasmtime_context_set_fuel(self._context, self._given)
        assert error == NULL, "only metered engines are given fuel"

    def fuel_used(self) -> int | None:
        """The fuel used since it was set; None if it was more than allowed."""
        left = ffi.new("uint64_t *")
        error = self._lib.wasmtime_context_get_fuel(self._context, left)
        assert error == NULL, "only metered engines have fuel"
        return self._given - left[0] if left[0] else None

    def set_ticks(self, ticks: int) -> None:
        """Stop the instance after this many epochs; only engines with epochs."""
        self._lib.wasmtime_context_set_epoch_deadline(self._context, ticks)
