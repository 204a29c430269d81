"""One kernel call through the host, beside the same call through wasmtime's Python binding.

    python bench/host_call.py [--seconds S] [--write]

Both sides do the whole ABI v1 conversation: call block, parameters and input into memory, the
bound, the operation, the output back as bytes. The binding's side is written as its documentation
suggests: `Func(...)`, `Memory.write`, `Memory.read`, one instance kept, and no safety beyond that;
ours also resets the instance, checks every number, and keeps a deadline. Rounds alternate between
the two sides and the best round of each is reported, because the machine may be busy. `--write`
replaces bench/results/host_call.md.
"""

import argparse
import os
import platform
import struct
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import wasmtime

from cid_store.cid import Cid
from ring0.abi import Layout, Op, align, block_words
from ring0.boundary import Boundary
from ring0.host import Host
from ring0.host.call import RESULT, Call, perform
from ring0.host.engine import Engine
from ring0.host.instance import Instance
from ring0.host.library import VERSION, find
from ring0.kernel import Kernel
from ring0.outcome import Result
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.rounds import fastest

RESULTS = Path(__file__).parent / "results" / "host_call.md"
KERNEL = "delta"
DTYPE = "u32"
SIZES = (16, 4_096, 65_536, 1_048_576)
ROUNDS = 40

Work = Callable[[], object]

PAGE = """\
# A kernel call through the host, beside wasmtime's Python binding

Measured by `python bench/host_call.py --write` on {day}: Python {python}, wasmtime {wasmtime},
{machine}, {cores} cores, load {load:.1f}.

One whole call of `{kernel}` forward on {dtype}, microseconds, best of
{rounds} rounds. The binding's side keeps one instance and neither resets, checks nor limits
anything; the host's side does.

| input bytes | binding | host, base kernel | ratio | metered | in a worker |
|---:|---:|---:|---:|---:|---:|
{rows}

One call of `run` that returns at once: {direct:.2f} us through the C API as the host calls it,
{binding:.1f} us through the binding's `Func.__call__`, {ratio:.0f} times as long. A kernel call
makes two of them. A kernel outside the base set pays a trip to a worker process and, the first
time, that process's start.

The first call of a base kernel takes {cold_base:.0f} ms (engine opened, kernel compiled), the first
call of a foreign one {cold_worker:.0f} ms (worker started, engine opened, kernel compiled).

What instrumenting the code would cost, each kernel forward on 1 MiB, relative to none:

| kernel | epochs | fuel | fuel and NaN canonicalization |
|---|---:|---:|---:|
{variants}
"""


def main() -> None:
    """Measure, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=0.01, help="length of one round")
    parser.add_argument("--write", action="store_true", help=f"replace {RESULTS.name}")
    args = parser.parse_args()
    text = report(args.seconds)
    print(text)
    if args.write:
        RESULTS.write_text(text, encoding="utf-8")


def report(round_s: float) -> str:
    """The page of results."""
    load = os.getloadavg()[0]
    kernels = KernelSet.shipped()
    kernel = kernels.by_name(KERNEL)
    with Host(base=kernels.cids) as host, Host() as foreign:
        rows = [row(size, kernel, (host, foreign), round_s) for size in SIZES]
    direct, binding = engine_call(kernel, round_s)
    cold_base, cold_worker = cold(kernel, kernels.cids), cold(kernel, frozenset())
    return PAGE.format(
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        python=platform.python_version(),
        wasmtime=VERSION,
        machine=platform.machine(),
        cores=os.cpu_count(),
        load=load,
        kernel=KERNEL,
        dtype=DTYPE,
        rounds=ROUNDS,
        rows="\n".join(rows),
        direct=direct,
        binding=binding,
        ratio=binding / direct,
        cold_base=cold_base * 1e3,
        cold_worker=cold_worker * 1e3,
        variants="\n".join(variants(one, round_s) for one in kernels),
    )


def row(size: int, kernel: Kernel, hosts: tuple[Host, Host], round_s: float) -> str:
    """One line of the table."""
    data = bytes(at * 7 % 251 for at in range(size))
    params = kernel.manifest.encode_parameters({}, dtype=DTYPE)
    metered, patient = Boundary(fuel=1 << 40), Boundary(wall_ms=600_000)
    plain = Binding(kernel)
    ours, theirs = (host.prepare(kernel, Op.FORWARD, params) for host in hosts)
    expected = ours([data])
    assert isinstance(expected, Result), "the kernel accepts the input"
    assert plain.call(params, data) == expected.outputs[0], "both sides give the same bytes"
    best = fastest(
        [
            lambda: plain.call(params, data),
            lambda: ours([data]),
            lambda: ours([data], metered),
            lambda: theirs([data], patient),
        ],
        rounds=ROUNDS,
        round_s=round_s,
    )
    binding, base, counted, worker = (seconds * 1e6 for seconds in best)
    return (
        f"| {size:,} | {binding:,.1f} | {base:,.1f} | {binding / base:.1f} | {counted:,.1f} "
        f"| {worker:,.0f} |"
    )


class Binding:
    """The same conversation through wasmtime's Python binding."""

    def __init__(self, kernel: Kernel) -> None:
        self._store = wasmtime.Store()
        module = wasmtime.Module(self._store.engine, kernel.wasm)
        exports = wasmtime.Instance(self._store, module, []).exports(self._store)
        self._memory: Any = exports["memory"]
        self._run: Any = exports["run"]
        self._base = kernel.info.initial_bytes

    def call(self, params: bytes, data: bytes) -> bytes:
        """The kernel's one output for one input."""
        store, memory, base = self._store, self._memory, self._base
        layout = Layout.after(base, len(params), [len(data)], 1)
        words = struct.Struct(f"<{block_words(1, 1)}I")
        head = (layout.param, len(params), 1, layout.inputs[0], len(data), 1)
        self._room(layout.end)
        memory.write(store, words.pack(Op.BOUND_FORWARD, *head, 0, 0, 0, 0, 0), base)
        memory.write(store, params, layout.param)
        memory.write(store, data, layout.inputs[0])
        assert self._run(store, base) == 0, "the kernel gives its bound"
        said = words.unpack(memory.read(store, base, base + words.size))
        cap, scratch = said[8], said[11]
        self._room(align(layout.end + cap) + scratch)
        memory.write(
            store,
            words.pack(Op.FORWARD, *head, layout.end, cap, 0, align(layout.end + cap), scratch),
            base,
        )
        assert self._run(store, base) == 0, "the kernel does its work"
        length = words.unpack(memory.read(store, base, base + words.size))[9]
        return bytes(memory.read(store, layout.end, layout.end + length))

    def bare(self) -> None:
        """`run` alone, on a block it refuses at once."""
        self._run(self._store, self._base)

    def _room(self, size: int) -> None:
        lacking = size - self._memory.data_len(self._store)
        if lacking > 0:
            self._memory.grow(self._store, -(-lacking // 65_536))


def engine_call(kernel: Kernel, round_s: float) -> tuple[float, float]:
    """Microseconds of one call of `run` that returns at once: C API by cffi, and binding."""
    module = Engine(find(), metered=False, canonical_nan=False).compile(kernel.wasm)
    instance = Instance(module, kernel.info.initial_bytes)
    instance.grow_to(kernel.info.initial_bytes + 65_536)
    plain = Binding(kernel)
    plain._room(kernel.info.initial_bytes + 65_536)  # noqa: SLF001 - our own class
    ours, theirs = fastest(
        [lambda: instance.run(instance.base), plain.bare], rounds=ROUNDS, round_s=round_s
    )
    return ours * 1e6, theirs * 1e6


def cold(kernel: Kernel, base: frozenset[Cid]) -> float:
    """Seconds from making a host to its first result, the best of a few."""
    params = kernel.manifest.encode_parameters({}, dtype=DTYPE)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        with Host(base=base) as host:
            outcome = host.call(kernel, Op.FORWARD, params, [bytes(16)])
            best = min(best, time.perf_counter() - started)
        assert isinstance(outcome, Result), "the kernel accepts the input"
    return best


def variants(kernel: Kernel, round_s: float) -> str:
    """One line: what each way of instrumenting the code costs this kernel."""
    manifest = kernel.manifest
    dtype = manifest.types[-1] if manifest.types else None
    data = bytes(at * 7 % 251 for at in range(1 << 20))
    call = Call(
        Op.FORWARD, manifest.encode_parameters({}, dtype=dtype), [data], 0, 1 << 31, 1 << 30
    )
    call = call._replace(n_out=manifest.call_shape(Op.FORWARD, call.params)[1])
    engines = [
        Engine(find(), metered=False, canonical_nan=False),
        Engine(find(), metered=False, canonical_nan=False, epochs=True),
        Engine(find(), metered=True, canonical_nan=False),
        Engine(find(), metered=True, canonical_nan=True),
    ]
    instances = [
        Instance(engine.compile(kernel.wasm), kernel.info.initial_bytes) for engine in engines
    ]
    assert all(perform(one, call).kind == RESULT for one in instances), "the input is accepted"
    bare, *others = fastest(
        [partial(perform, one, call) for one in instances], rounds=ROUNDS, round_s=round_s
    )
    return f"| {kernel.name} | " + " | ".join(f"{other / bare:.2f}" for other in others) + " |"


if __name__ == "__main__":
    sys.exit(main())
