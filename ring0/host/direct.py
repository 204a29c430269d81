"""Whole calls by the compiled trampoline, where it was built: what `call.py` says, said in C.

Only for base kernels without fuel. Both ways give the same answers, and the same tests hold both.
"""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

from ring0.abi import MAX_PORTS, MEMORY_BYTES, Layout
from ring0.host.call import (
    RESULT,
    Answer,
    Call,
    halted,
    no_room,
    refused,
    too_long,
    too_much_output,
)
from ring0.host.engine import INTERRUPT, Module, Stopped, take_error, take_trap
from ring0.host.instance import Instance, holding
from ring0.host.library import ffi as engine_ffi
from ring0.host.trampoline.compile import NAME, sources
from ring0.host.watchdog import PERIOD_S, Watchdog
from ring0.kernel import Kernel

# What an instance may hold on to between calls, and how many idle ones a kernel keeps.
KEPT_BYTES = 64 * 1024 * 1024
_KEPT_INSTANCES = 4
_KEPT_SHAPES = 256
# Below this, letting go of Python's lock costs more than it lets another thread do.
_COPIED_UNLOCKED_BYTES = 64 * 1024
_NO_LIMIT = (1 << 64) - 1

# The engine's functions by their names in `rdx_engine`.
_FUNCTIONS = {
    "run": "wasmtime_func_call_unchecked",
    "data": "wasmtime_memory_data",
    "size": "wasmtime_memory_data_size",
    "grow": "wasmtime_memory_grow",
    "limit": "wasmtime_store_limiter",
    "set_ticks": "wasmtime_context_set_epoch_deadline",
    "delete_error": "wasmtime_error_delete",
}


@cache
def load() -> Any | None:  # noqa: ANN401 - a module that cffi made
    """The compiled trampoline; None where it is not built, or from other sources than these."""
    try:
        found: Any = import_module(f"ring0.host.{NAME}")
        made_of = found.ffi.string(found.lib.rdx_sources())
        return found if made_of == sources() else None
    except (ImportError, OSError):
        return None


@cache
def _unfilled() -> Any:  # noqa: ANN401 - a C function
    """Makes bytes that nobody has written to: whoever asked for them may, before anyone looks."""
    import ctypes  # noqa: PLC0415 - small results do without

    make = ctypes.pythonapi.PyBytes_FromStringAndSize
    make.restype, make.argtypes = ctypes.py_object, (ctypes.c_char_p, ctypes.c_ssize_t)
    return make


class DirectInstance:
    """An instance as C sees it. One thread uses it at a time; the watchdog looks on."""

    __slots__ = ("__weakref__", "_ffi", "_instance", "_lib", "_parts", "_seen", "_since", "c")

    def __init__(self, of: "DirectResident") -> None:
        """A fresh instance of that kernel. Raises Stopped."""
        self._instance = Instance(of.module, of.base)
        self._lib, self._ffi = of.lib, of.ffi
        ffi = of.ffi
        snapshot = ffi.from_buffer(of.snapshot)
        inputs = ffi.new("rdx_span[]", MAX_PORTS)
        outputs = ffi.new("rdx_span[]", of.most_outputs)
        # What C points at lives as long as this object.
        self._parts = (of.engine, snapshot, inputs, outputs)
        inner = of.snapshot.strip(b"\0")
        first = of.snapshot.find(inner) if inner else 0
        self.c = ffi.new("rdx_instance *")
        for name, address in self._instance.addresses().items():
            setattr(self.c, name, ffi.cast("void *", address))
        self.c.engine, self.c.snapshot = of.engine, snapshot
        self.c.inputs, self.c.outputs = inputs, outputs
        self.c.base = self.c.size = self.c.used = of.base
        self.c.first, self.c.last = first, first + len(inner)
        self.c.epochs = of.module.engine.epochs
        self._seen, self._since = 0, 0.0

    def look(self, now: float) -> None:
        """Stop the call that has been running since its time was over."""
        watch = self.c.watch
        if watch >> 1 != self._seen:
            self._seen, self._since = watch >> 1, now
        elif watch & 1 and now - self._since > self.c.wall_ms / 1000:
            self._lib.rdx_strike(self.c, watch)

    def lasting_window(self, address: int, length: int) -> Any:  # noqa: ANN401 - cffi's buffer type
        """A writable view of memory; as long as anyone holds it, the memory is there and ours."""
        assert 0 <= address <= address + length <= self.c.size, "the layout lies within memory"
        ffi = self._ffi
        return ffi.buffer(ffi.gc(self.c.data + address, holding(self)), length)

    def answer(self, ending: Any) -> Answer:  # noqa: ANN401 - a C structure
        """The answer of a call that did not end with a result."""
        kind, lib = int(ending.kind), self._lib
        if kind == lib.RDX_CODE:
            return refused(ending.code)
        if kind == lib.RDX_OUTPUT_LIMIT:
            return too_much_output(ending.said, ending.allowed)
        if kind == lib.RDX_RESULT_LENGTH:
            return too_long(ending.port, ending.said, ending.allowed)
        if kind in (lib.RDX_BOUNDARY, lib.RDX_MACHINE):
            return no_room(ending.said, within=kind == lib.RDX_MACHINE)
        stopped = self._take_stopped()
        if kind == lib.RDX_OVERDUE:
            stopped = Stopped(INTERRUPT, "the watchdog stopped it")
        return halted(stopped)

    def _take_stopped(self) -> Stopped:
        """Why the engine stopped it, freed."""
        error, trap, lib = self.c.error, self.c.trap, self._instance.lib
        if error:
            return Stopped("trap", take_error(lib, _again("wasmtime_error_t *", error)))
        return take_trap(lib, _again("wasm_trap_t *", trap)) if trap else Stopped("trap", "none")


def _again(kind: str, pointer: Any) -> Any:  # noqa: ANN401 - C pointers
    """A pointer of the trampoline's declarations as one of the engine's."""
    found = load()
    assert found is not None, "there is a pointer of its declarations"
    return engine_ffi.cast(kind, int(found.ffi.cast("uintptr_t", pointer)))


class DirectResident:
    """One compiled kernel, its idle instances and what C needs to know of each kind of call."""

    def __init__(
        self,
        trampoline: Any,  # noqa: ANN401 - a module that cffi made
        module: Module,
        kernel: Kernel,
        watchdog: Watchdog,
    ) -> None:
        """Only for kernels whose instances can be used again: see `Resident`."""
        self.ffi, self.lib = trampoline.ffi, trampoline.lib
        self.module = module
        self.base = kernel.info.initial_bytes
        self.snapshot = Instance(module, self.base).read(0, self.base)
        self.most_outputs = kernel.manifest.most_streams
        library = module.engine.lib
        self.engine = self.ffi.new("rdx_engine *")
        for name, function in _FUNCTIONS.items():
            address = engine_ffi.cast("uintptr_t", engine_ffi.addressof(library, function))
            setattr(self.engine, name, self.ffi.cast("void *", int(address)))
        self._maximum_bytes = min(kernel.info.maximum_bytes, MEMORY_BYTES)
        self._watchdog = watchdog
        self._idle: list[DirectInstance] = []
        self._operations: dict[tuple[int, bytes, int, int], tuple[Any, bytes]] = {}
        self._bounds: dict[tuple[int, int, int], Any] = {}

    def call(self, call: Call, wall_ms: int, fuel: int | None) -> Answer:
        """Perform the call on an instance that no other call is using."""
        assert fuel is None, "only calls without fuel are made directly"
        op, params, inputs, n_out, memory_bytes, output_bytes = call
        operation, _held = self.operation(op, params, len(inputs), n_out)
        key = (memory_bytes, output_bytes, wall_ms)
        bounds = self._bounds.get(key) or self._bound(key)
        one = self._take()
        c = one.c
        if len(inputs) == 1 and type(inputs[0]) is bytes:
            kind = self.lib.rdx_call_one(c, operation, bounds, inputs[0], len(inputs[0]))
        else:
            held = fill(self.ffi, c.inputs, inputs, range(len(inputs)))
            kind = self.lib.rdx_call(c, operation, bounds)
            del held
        if kind == self.lib.RDX_DONE:
            spans = c.outputs
            outputs = [self.take_out(spans[at]) for at in range(n_out)]
            answer = Answer(RESULT, 0, "", "", outputs)
        else:
            answer = one.answer(c.ending)
        if kind not in (self.lib.RDX_STOPPED, self.lib.RDX_OVERDUE):
            self.keep(one)
        return answer

    def take_out(self, span: Any) -> bytes:  # noqa: ANN401 - a C structure
        """A copy of what lies there; other threads run meanwhile where it is large."""
        length = span.length
        if length < _COPIED_UNLOCKED_BYTES:
            return self.ffi.unpack(span.data, length)
        made = _unfilled()(None, length)
        self.lib.rdx_copy(self.ffi.addressof(span), self.ffi.from_buffer(made))
        return made

    def lend(self, call: Call, lengths: tuple[int, ...], wall_ms: int) -> "DirectLoan":
        """An instance for a call whose inputs, of these lengths, are written in place."""
        return DirectLoan(self, self._take(), call, lengths, wall_ms)

    def make(self) -> DirectInstance:
        """A new instance, watched for as long as it exists. Raises Stopped."""
        one = DirectInstance(self)
        if self.module.engine.epochs:
            self._watchdog.start()
        else:
            self._watchdog.follow(one)
        return one

    def operation(self, op: int, params: bytes, n_in: int, n_out: int) -> tuple[Any, bytes]:
        """The operation as C knows it, and what must be held while C looks at it."""
        key = (op, params, n_in, n_out)
        known = self._operations.get(key)
        if known is None:
            made = self.ffi.new("rdx_operation *")
            made.op, made.n_in, made.n_out = op, n_in, n_out
            made.params, made.params_length = self.ffi.from_buffer(params), len(params)
            made.maximum_bytes = self._maximum_bytes
            if len(self._operations) >= _KEPT_SHAPES:
                self._operations.clear()
            known = self._operations[key] = (made, params)
        return known

    def _take(self) -> DirectInstance:
        # Not asked first: between the question and the taking, another thread may take the last.
        try:
            return self._idle.pop()
        except IndexError:
            return self.make()

    def _bound(self, key: tuple[int, int, int]) -> Any:  # noqa: ANN401 - a C structure
        if len(self._bounds) >= _KEPT_SHAPES:
            self._bounds.clear()
        made = self._bounds[key] = new_bounds(self.ffi, *key)
        return made

    def keep(self, one: DirectInstance) -> None:
        """Take an instance back that was not stopped."""
        if one.c.used > self.base + KEPT_BYTES:
            self.lib.rdx_forget(one.c, KEPT_BYTES)
        if len(self._idle) < _KEPT_INSTANCES:
            self._idle.append(one)

    def drop_idle(self) -> None:
        """Free the instances that no call is using."""
        self._idle.clear()


class DirectLoan:
    """An instance whose memory is filled and read in place; see `session.Loan`."""

    def __init__(
        self,
        resident: DirectResident,
        one: DirectInstance,
        call: Call,
        lengths: tuple[int, ...],
        wall_ms: int,
    ) -> None:
        self._resident = resident
        self._one = one
        self._operation = resident.operation(call.op, call.params, len(lengths), call.n_out)
        self._bounds = new_bounds(resident.ffi, call.memory_bytes, call.output_bytes, wall_ms)
        self._lengths = lengths
        self._params_length, self._n_out = len(call.params), call.n_out
        self._stopped = False

    def open(self) -> list[tuple[int, int]] | Answer:
        """See `session.Loan`."""
        if sum(self._lengths) > MEMORY_BYTES:  # C would count such lengths past 2^64
            shape = (self._resident.base, self._params_length, self._lengths, self._n_out)
            return no_room(Layout.after(*shape).end, within=False)
        spans = self._one.c.inputs
        for at, length in enumerate(self._lengths):
            spans[at].data, spans[at].length = self._resident.ffi.NULL, length
        return self._done(self._resident.lib.rdx_open, spans, len(self._lengths))

    def work(self) -> list[tuple[int, int]] | Answer:
        """See `session.Loan`."""
        return self._done(self._resident.lib.rdx_work, self._one.c.outputs, self._n_out)

    def window(self, address: int, length: int) -> Any:  # noqa: ANN401 - cffi's buffer type
        """See `session.Loan`."""
        return self._one.lasting_window(address, length)

    def give_back(self) -> None:
        """See `session.Loan`."""
        if not self._stopped:
            self._resident.keep(self._one)

    def _done(self, function: Any, spans: Any, count: int) -> list[tuple[int, int]] | Answer:  # noqa: ANN401 - C
        c, lib, cast = self._one.c, self._resident.lib, self._resident.ffi.cast
        kind = function(c, self._operation[0], self._bounds)
        if kind != lib.RDX_DONE:
            self._stopped = kind in (lib.RDX_STOPPED, lib.RDX_OVERDUE)
            return self._one.answer(c.ending)
        start = int(cast("uintptr_t", c.data))
        return [
            (int(cast("uintptr_t", spans[at].data)) - start, int(spans[at].length))
            for at in range(count)
        ]


def new_bounds(
    ffi: Any,  # noqa: ANN401 - the trampoline's declarations
    memory_bytes: int,
    output_bytes: int,
    wall_ms: int,
    work_bytes: int = _NO_LIMIT,
) -> Any:  # noqa: ANN401 - a C structure
    """What a call may use, as C knows it; beyond what fits, a number means no limit."""
    made = ffi.new("rdx_bounds *")
    made.memory_bytes = min(memory_bytes, _NO_LIMIT)
    made.output_bytes = min(output_bytes, _NO_LIMIT)
    made.wall_ms = min(wall_ms, _NO_LIMIT)
    made.ticks = min(int(wall_ms / 1000 / PERIOD_S) + 2, 1 << 62)
    made.work_bytes = min(work_bytes, _NO_LIMIT)
    made.kept_bytes = KEPT_BYTES
    return made


def fill(
    ffi: Any,  # noqa: ANN401 - the trampoline's declarations
    spans: Any,  # noqa: ANN401 - a C array
    buffers: Sequence[Any],
    places: Sequence[int],
) -> list[Any]:
    """Point spans at buffers; those stay where they are while what this gives is held."""
    held: list[Any] = []
    for at, buffer in zip(places, buffers, strict=True):
        view = ffi.from_buffer(buffer)
        held.append(view)
        spans[at].data, spans[at].length = view, len(view)
    return held
