"""The program of a worker process: compile and run code nobody vouches for, under hard limits.

It answers one request at a time on its standard input, a socket, and may die at any moment without
harm: the host makes an outcome of that, too. It imports little, because a cold call waits for it.
"""

import gc
import os
import resource
import signal
import time
from typing import Any

from ring0.host import wire
from ring0.host.call import (
    NO_MEMORY,
    REFUSED,
    RESULT,
    Answer,
    Call,
    halted,
    metered,
    perform,
)
from ring0.host.engine import Engine, Module, Stopped, Tuning
from ring0.host.exercise import exercise
from ring0.host.instance import Instance
from ring0.host.strict import perform_strictly

_MIB = 1 << 20
# The interpreter, the engine and what compiling a module within our caps has been seen to take.
_OWN_BYTES = 256 * _MIB
_STACK_BYTES = 16 * _MIB
_KEPT_MODULES = 8
_NO_LIMIT = 1 << 62
_SOCKET = 0

# The instance of the last strict call, by its module's digest.
_strict: dict[bytes, Instance] = {}


def main(library: str, tuning: Tuning) -> None:
    """Serve until the host closes the socket."""
    _harden()
    engine = Engine(library, metered=True, **tuning._asdict())
    modules: dict[bytes, Module] = {}
    _send(wire.pack_answer(Answer(RESULT)))
    while True:
        try:
            request = wire.unpack_request(wire.split(_receive, _NO_LIMIT))
        except EOFError:
            return
        try:
            answer = _serve(engine, modules, request)
        except Stopped as stopped:
            answer = halted(stopped)
        except MemoryError:
            answer = Answer(NO_MEMORY, detail="the worker process ran out of memory")
        del request
        _send(wire.pack_answer(answer))


def _serve(engine: Engine, modules: dict[bytes, Module], request: wire.Request) -> Answer:
    _bound(request)
    module = modules.get(request.digest)
    if module is None:
        if not request.wasm:
            return Answer(wire.UNKNOWN_MODULE)
        module = engine.compile(bytes(request.wasm))
        if len(modules) >= _KEPT_MODULES:
            del modules[next(iter(modules))]
        modules[request.digest] = module
    fuel = None if request.fuel < 0 else request.fuel
    if request.kind == wire.CHECK:
        return Answer(RESULT)
    if request.kind == wire.EXERCISE:
        name, slots = request.params.decode(), request.n_out
        return exercise(module, name, slots, fuel=fuel, memory_bytes=request.memory_bytes)
    return _call(module, request, fuel)


def _call(module: Module, request: wire.Request, fuel: int | None) -> Answer:
    call = Call(
        request.op,
        bytes(request.params),
        request.inputs,
        request.n_out,
        request.memory_bytes,
        request.output_bytes,
    )
    if request.kind == wire.STRICT:
        return _strictly(module, request, call, fuel)
    instance = Instance(module, request.base, fuel=fuel)
    return metered(instance, perform(instance, call))


def _strictly(module: Module, request: wire.Request, call: Call, fuel: int | None) -> Answer:
    """On the instance of all strict calls of this module before, if it came to its end in each."""
    instance = _strict.pop(request.digest, None) or Instance(module, request.base, fuel=fuel)
    answer = metered(instance, perform_strictly(instance, call, fuel))
    _strict.clear()
    if answer.kind in (RESULT, REFUSED):
        _strict[request.digest] = instance
    return answer


def _harden() -> None:
    """Limits that hold for the whole life of the process."""
    # A terminal sends its interrupt to every process; what the host does about it is enough.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()  # nothing here makes cycles, and a collection at the wrong moment costs time
    for what, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 16),
    ):
        resource.setrlimit(what, (limit, limit))
    # The main thread's stack grows up to its limit; a small one would turn recursion into a crash.
    _soften(resource.RLIMIT_STACK, _STACK_BYTES)


def _bound(request: wire.Request) -> None:
    """Limits of this request: memory for the engine and the call, processor time for its wall time.

    The host keeps the wall clock itself; the processor limit ends a worker whose host has died.
    """
    # Outputs lie in the module's memory before they are copied.
    copies = sum(map(len, request.inputs)) + min(request.output_bytes, request.memory_bytes)
    _soften(resource.RLIMIT_DATA, _OWN_BYTES + request.memory_bytes + 2 * copies)
    used_s = time.process_time()
    _soften(resource.RLIMIT_CPU, int(used_s + request.wall_ms / 1000) + 2)


def _soften(what: int, limit: int) -> None:
    hard = resource.getrlimit(what)[1]
    soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(what, (soft, hard))


def _receive(length: int) -> bytearray:
    data = bytearray(length)
    view, at = memoryview(data), 0
    while at < length:
        got = os.readv(_SOCKET, [view[at:]])
        if got == 0:
            raise EOFError
        at += got
    return data


def _send(parts: list[Any]) -> None:
    for part in parts:
        view = memoryview(part)
        while view:
            view = view[os.write(_SOCKET, view) :]
