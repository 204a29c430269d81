"""The host itself: which kernel runs where, and under which limits.

Base kernels, known by CID, run in this process, uninstrumented, under a watchdog; with fuel in
their boundary, under an engine that counts it. All others run in a worker process with fuel, the
engine's NaN canonicalization, and limits on memory and time that hold for compiling as well.
"""

import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakKeyDictionary

from cid_store.cid import Cid
from cid_store.errors import UsageError
from cid_store.store import Buffer
from ring0 import abi
from ring0.boundary import DEFAULT, Boundary, is_whole
from ring0.errors import CapabilityError, EngineError
from ring0.host import stack, wire
from ring0.host.answers import outcome_of
from ring0.host.call import NO_MEMORY, NO_TIME, WORKER_DIED, Answer, Call, halted
from ring0.host.chain import DirectProgram
from ring0.host.engine import NO_ADDRESSES, NO_ROOM, Stopped, Tuning
from ring0.host.foreign import DEFAULT_TUNING, Workers, empty_request
from ring0.host.library import LibraryError, find
from ring0.host.residents import Residents
from ring0.host.session import NoLoan, Session
from ring0.host.watchdog import Watchdog
from ring0.kernel import Kernel
from ring0.outcome import Outcome
from ring0.program import Program, Ran
from ring0.sections import ModuleInfo

# What a worker is told of a boundary that has no limit to speak of; the time is seven weeks.
_NO_LIMIT = 1 << 62
_LONGEST_MS = (1 << 32) - 1

_OPS = frozenset(abi.Op)
# One number in memory, as `struct` writes it; what else a buffer may hold is pointers, or records.
_NUMBERS = frozenset("?bBcdefhHiIlLnNqQ")
_ORDERS = "@=<" if sys.byteorder == "little" else "<"


class Prepared:
    """One operation of one kernel with its parameters, ready to be called on any inputs."""

    __slots__ = ("_host", "_maximum_bytes", "_n_out", "kernel", "op", "params")

    def __init__(self, host: "Host", kernel: Kernel, op: abi.Op, params: bytes) -> None:
        if op not in _OPS:
            raise UsageError(f"no operation of ABI v1 has the number {op!a}; take one of Op")
        if type(params) is not bytes:
            raise UsageError(f"parameters are bytes, and not of type {type(params).__name__}")
        self._host = host
        self.kernel = kernel
        self.op = op
        self.params = params
        self._n_out = kernel.manifest.call_shape(op, params)[1]
        self._maximum_bytes = min(kernel.info.maximum_bytes, abi.MEMORY_BYTES)

    def __call__(self, inputs: Sequence[Buffer], boundary: Boundary = DEFAULT) -> Outcome:
        """Run it. Every end of the kernel is an Outcome, never an exception."""
        return self._host.perform(self.kernel, self._call(inputs, boundary), boundary)

    def open(self, lengths: Sequence[int], boundary: Boundary = DEFAULT) -> Session:
        """Lay a call out whose inputs have these lengths, to be written where the kernel reads.

        Only for base kernels without fuel: others have no memory in this process. The wall time
        counts while the kernel runs.
        """
        if boundary.fuel is not None or not self._host.is_base(self.kernel):
            raise UsageError(f"kernel '{self.kernel.name}' does not run in this process like that")
        if not all(is_whole(length) and length >= 0 for length in lengths):
            raise UsageError("a length is a whole number, and not negative")
        call = self._call([b""] * len(lengths), boundary)
        return self._host.lend(self.kernel, call, tuple(lengths), boundary)

    def strictly(self, inputs: Sequence[Buffer], boundary: Boundary = DEFAULT) -> Outcome:
        """Run it in a worker in several ways, as `ring0.host.strict` says; refuse what is a lie.

        The instance is that of all strict calls of this kernel before, without a reset between. So
        the outcome differs from a plain call's exactly when the kernel remembers something.
        """
        call = self._call(inputs, boundary)
        return self._host.strictly(self.kernel, call, boundary)

    def _call(self, inputs: Sequence[Buffer], boundary: Boundary) -> Call:
        if boundary.capabilities:
            granted = ", ".join(map(str, sorted(boundary.capabilities)))
            raise CapabilityError(
                f"a kernel holds no capabilities, and this boundary grants {granted}"
            )
        if len(inputs) > abi.MAX_PORTS:
            raise UsageError(f"a call has at most {abi.MAX_PORTS} inputs, not {len(inputs)}")
        return Call(
            self.op,
            self.params,
            [_flat(data) for data in inputs],
            self._n_out,
            min(boundary.memory_bytes, self._maximum_bytes),
            boundary.output_bytes,
        )


class Host:
    """Calls kernels. Any number of threads may use one host; close it, or use it as a context.

    `base` names the kernels that run in this process: those that ship with Redoxa and are examined.
    `cache` is a folder of this user's own where their compiled code is kept for the next process.
    Where the compiled trampoline is built, calls without fuel go through it, unless `compiled` is
    False. `tuning` says how the other kernels are compiled, which no honest kernel's answer shows.
    """

    def __init__(
        self,
        *,
        base: frozenset[Cid] = frozenset(),
        cache: Path | None = None,
        compiled: bool = True,
        tuning: Tuning = DEFAULT_TUNING,
    ) -> None:
        """Find the engine. Raises EngineError where it is missing or another version."""
        try:
            self._library = find()
        except LibraryError as error:
            raise EngineError(str(error)) from error
        # By digest, whose hash Python remembers: these are looked up in every call.
        self._base = frozenset(cid.digest for cid in base)
        self._process = os.getpid()
        # How many calls ended, up to now, for want of this machine's time or memory.
        self.unsettled = 0
        self._counting = threading.Lock()
        self._cache = cache
        self._compiled = compiled
        self._tuning = tuning
        self._start()

    def is_base(self, kernel: Kernel) -> bool:
        """Whether the kernel is one of those that run in this process."""
        return kernel.cid.digest in self._base

    def prepare(self, kernel: Kernel, op: abi.Op, params: bytes = b"") -> Prepared:
        """The operation with these parameter bytes, to be called many times."""
        return Prepared(self, kernel, op, params)

    def call(
        self,
        kernel: Kernel,
        op: abi.Op,
        params: bytes,
        inputs: Sequence[Buffer],
        boundary: Boundary = DEFAULT,
    ) -> Outcome:
        """Run one operation once. Every end of the kernel is an Outcome, never an exception."""
        return Prepared(self, kernel, op, params)(inputs, boundary)

    def perform(self, kernel: Kernel, call: Call, boundary: Boundary) -> Outcome:
        """Run a call that `Prepared` has laid out, in the place where the kernel belongs."""
        return outcome_of(self._answer(kernel, call, boundary), boundary)

    def _answer(self, kernel: Kernel, call: Call, boundary: Boundary) -> Answer:
        self._check_process()
        if kernel.cid.digest not in self._base:
            return self._ask(_request(wire.CALL, kernel, call, boundary), kernel.wasm)
        try:
            resident = self._residents.get(kernel, metered=boundary.fuel is not None)
            if stack.is_large():
                return resident.call(call, boundary.wall_ms, boundary.fuel)
            return stack.run(lambda: resident.call(call, boundary.wall_ms, boundary.fuel))
        except Stopped as stopped:
            return (
                halted(stopped)
                if stopped.code not in NO_ROOM
                else self._alone(kernel, call, boundary)
            )

    def _alone(self, kernel: Kernel, call: Call, boundary: Boundary) -> Answer:
        """The answer without any idle instance. Raises EngineError where there is no room for one.

        Whoever tries many plans must not take that for a fault of this one.
        """
        self._residents.drop_idle()
        for program in [*self._programs.values()]:
            if program is not None:
                program.drop_idle()
        try:
            resident = self._residents.get(kernel, metered=boundary.fuel is not None)
            return stack.run(lambda: resident.call(call, boundary.wall_ms, boundary.fuel))
        except Stopped as stopped:
            if stopped.code not in NO_ROOM:
                return halted(stopped)
            raise _no_addresses("this process", stopped.detail) from stopped

    def lend(
        self, kernel: Kernel, call: Call, lengths: tuple[int, ...], boundary: Boundary
    ) -> Session:
        """See `Prepared.open`."""
        self._check_process()
        try:
            resident = self._residents.get(kernel, metered=False)
            loan = resident.lend(call, lengths, boundary.wall_ms)
        except Stopped as stopped:
            loan = NoLoan(halted(stopped))
        return Session(loan, boundary, self._check_process)

    def run(
        self, program: Program, given: Sequence[Buffer], boundary: Boundary, work_bytes: int
    ) -> Ran | None:
        """Run a whole program in C; None where it has to go call by call instead.

        The boundary is that of each call; all of them together take and give `work_bytes` at most.
        """
        self._check_process()
        if boundary.fuel is not None or boundary.capabilities:
            return None
        if program not in self._programs:
            try:
                self._programs[program] = self._direct(program)
            except Stopped:  # no room for it now; its calls say so, or find some
                return None
        direct = self._programs[program]
        if direct is None:
            return None
        flat = [_flat(data) for data in given]
        if stack.is_large():
            return direct.run(flat, boundary, work_bytes)
        return stack.run(lambda: direct.run(flat, boundary, work_bytes))

    def strictly(self, kernel: Kernel, call: Call, boundary: Boundary) -> Outcome:
        """See `Prepared.strictly`."""
        answer = self._ask(_request(wire.STRICT, kernel, call, boundary), kernel.wasm)
        return outcome_of(answer, boundary)

    def check(self, kernel: Kernel, boundary: Boundary) -> Outcome:
        """Validate and compile in a worker process, without running anything."""
        request = empty_request(kind=wire.CHECK, digest=kernel.cid.digest, **_limits(boundary))
        return outcome_of(self._ask(request, kernel.wasm), boundary)

    def exercise(self, wasm: bytes, info: ModuleInfo, boundary: Boundary) -> dict[str, Outcome]:
        """Instantiate any parsed module without imports and call each function it exports.

        Arguments are zeros; every call has a fresh instance. The empty name stands for
        instantiation alone. For modules that are no kernels, to see that they do no harm.
        """
        digest = Cid.of(wasm).digest
        slots = {"": 0}
        for export in info.exports:
            if export.kind == "function":
                signature = info.function_type(export)
                slots[export.name] = max(len(signature.params), len(signature.results))
        outcomes: dict[str, Outcome] = {}
        for name, count in slots.items():
            request = empty_request(
                kind=wire.EXERCISE,
                digest=digest,
                params=name.encode(),
                n_out=count,
                **_limits(boundary),
            )
            outcomes[name] = outcome_of(self._ask(request, wasm), boundary)
        return outcomes

    def close(self) -> None:
        """End the worker processes and the watchdog. The host can still be used; it starts anew."""
        self._workers.close()
        self._watchdog.close()
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> None:
        self._watchdog = Watchdog()
        self._workers = Workers(self._library, self._tuning)
        # A program goes with whoever made it: the host need not count them.
        self._programs: WeakKeyDictionary[Program, DirectProgram | None] = WeakKeyDictionary()
        self._residents = Residents(
            self._library, self._watchdog, self._cache, compiled=self._compiled
        )

    def _direct(self, program: Program) -> DirectProgram | None:
        if not all(self.is_base(link.kernel) for link in program.links):
            return None
        residents = [self._residents.get(link.kernel, metered=False) for link in program.links]
        return DirectProgram.of(program, residents)

    def _ask(self, request: wire.Request, wasm: bytes) -> Answer:
        self._check_process()
        try:
            answer = self._workers.ask(request, wasm)
        except LibraryError as error:
            raise EngineError(str(error)) from error
        if answer.word == NO_ADDRESSES:  # no worker has room for any kernel: none is to blame
            raise _no_addresses("a worker process", answer.detail)
        if answer.kind in (NO_TIME, NO_MEMORY) or answer.word == WORKER_DIED:
            with self._counting:
                self.unsettled += 1
        return answer

    def _check_process(self) -> None:
        # After a fork the engine's locks may be held by threads that do not exist here, and both
        # processes would talk to the same workers.
        if os.getpid() != self._process:
            raise EngineError(
                "this process was forked from one that has a host, where the engine would hang; "
                "start processes with spawn, and give each its own host"
            )


def _no_addresses(who: str, detail: str) -> EngineError:
    return EngineError(
        f"this machine lacks address space: {who} could not reserve what the engine takes for "
        f"every kernel ({detail}); raise the limit on virtual memory (ulimit -v)"
    )


def _request(kind: int, kernel: Kernel, call: Call, boundary: Boundary) -> wire.Request:
    return empty_request(
        kind=kind,
        op=int(call.op),
        n_out=call.n_out,
        base=kernel.info.initial_bytes,
        digest=kernel.cid.digest,
        params=call.params,
        inputs=call.inputs,
        **{**_limits(boundary), "memory_bytes": call.memory_bytes},
    )


def _limits(boundary: Boundary) -> dict[str, int]:
    return {
        "fuel": -1 if boundary.fuel is None else boundary.fuel,
        "memory_bytes": min(boundary.memory_bytes, abi.MEMORY_BYTES),
        "output_bytes": min(boundary.output_bytes, _NO_LIMIT),
        "wall_ms": min(boundary.wall_ms, _LONGEST_MS),
    }


def _flat(data: Buffer) -> Buffer:
    """The same bytes, so that `len` counts bytes; copied where they do not lie side by side."""
    if type(data) is bytes or type(data) is bytearray:
        return data
    # Arrays come here, too, and the length of one counts its elements.
    try:
        view = memoryview(data)
    except (TypeError, ValueError, BufferError) as error:
        raise _no_bytes(data) from error
    if view.format.lstrip(_ORDERS) not in _NUMBERS:
        raise _no_bytes(data)
    if not view.c_contiguous:
        return view.tobytes()
    if view.itemsize == 1 and view.ndim == 1:
        return view
    if view.format in _NUMBERS:
        return view.cast("B") if view.nbytes else b""
    return view.tobytes()  # `cast` knows no format with a sign of its byte order


def _no_bytes(data: object) -> UsageError:
    return UsageError(
        "a kernel takes bytes, or arrays of integers or floats in little-endian order; convert the "
        f"value of type {type(data).__name__} first"
    )
