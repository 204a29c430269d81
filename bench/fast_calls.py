"""What calling a kernel costs beyond the kernel: crossing, whole call, step of a plan, cold load.

    python bench/fast_calls.py [--seconds S] [--write]

In one run beside wasmtime's Python binding and, where it is installed (`pip install
'redoxa[bench]'`), beside Extism's; where it is not, the page says so. All ways are timed in turn,
in many short rounds of which the best counts: the machine may be busy. `--write` replaces
bench/results/fast_calls.md.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import two_cores
import wasmtime
from host_call import Binding

from ring0.abi import Op
from ring0.host import Host, direct
from ring0.host.chain import DirectProgram
from ring0.host.direct import DirectResident, new_bounds
from ring0.host.engine import Engine
from ring0.host.instance import Instance
from ring0.host.library import VERSION, find
from ring0.host.residents import Residents
from ring0.host.watchdog import Watchdog
from ring0.kernel import Kernel
from ring0.program import Link, Program
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.rounds import fastest

RESULTS = Path(__file__).parent / "results" / "fast_calls.md"
ROUNDS = 300
SIZES = (16, 4_096, 65_536, 1_048_576)
LINKS = 64
MIB = 1 << 20
NOTHING = '(module (memory (export "memory") 1) (func (export "run") (result i32) (i32.const 0)))'

PAGE = """\
# What a call costs beyond the kernel

Measured by `python bench/fast_calls.py --write` on {day}: Python {python}, wasmtime {wasmtime},
extism {extism}, {machine}, {cores} cores, load {load:.1f}. The best of {rounds} short rounds.

## One crossing

A call of an exported function that returns at once, from Python, in microseconds:

| way | us |
|---|---:|
{crossings}

## One whole call

`delta` forward on u32, from bytes to bytes, in microseconds. The host's ways put memory back, check
every number and keep a deadline; the binding's does none of it. In place, the input is written
and the output read where it lies; what that costs itself is not counted.

| input bytes | binding | host, plain | host, compiled | compiled, in place |
|---:|---:|---:|---:|---:|
{calls}

## One step of a plan

`zigzag` after `zigzag`, {links} of them in one list that C runs through, nanoseconds a step:

| what a step is | ns |
|---|---:|
| the crossing alone | {cross:.0f} |
| a whole step on 16 bytes | {step:.0f} |

The crossing: `run` called on a block as it stands, under watch, its code looked at. The whole step
has two of them, for the bound and for the work; it also puts the instance's own 64 KiB back after
looking them over, writes the block, copies the value in, checks sizes, gives room and checks the
length of what was made.

## A kernel's first call

From the cache of compiled code: file read, hash over its every byte checked, loaded, in
microseconds, and beside it what compiling takes.

| kernel | code bytes | load | compile |
|---|---:|---:|---:|
{loads}

## Two cores

64 MiB in blocks, one block after another and two at a time, MB/s of the data. Beside it what two
processes come to, one on each core and with half of the blocks each, one after another: they
share nothing but the machine, so their ratio is what its cores and memory allow; and a plain copy,
which is bound by memory alone. The last columns are the ratios of both, and of processor time:
twice that of one thread by that of two, which would be their ratio if no other process ran and
neither of them waited. Blocks are handed to threads as packing does it, short ones several at a
time, and freed memory stays with the process, as it does in the commands that pack and unpack.

| KiB | plan | direction | one thread | two threads | two processes | threads | processes | time |
|---:|---|---|---:|---:|---:|---:|---:|---:|
{lanes}
"""


def main() -> None:
    """Measure, print the page, and write it where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=0.001, help="length of one round")
    parser.add_argument(
        "--blocks", type=int, nargs="+", default=[256, 1024], help="KiB of one block on two cores"
    )
    parser.add_argument("--write", action="store_true", help=f"replace {RESULTS.name}")
    args = parser.parse_args()
    if direct.load() is None:
        sys.exit("the trampoline is not built: `pip install -e .` with a C compiler on PATH")
    text = report(args.seconds, args.blocks)
    print(text)
    if args.write:
        RESULTS.write_text(text, encoding="utf-8")


def report(round_s: float, blocks_kib: list[int]) -> str:
    """The page of results."""
    load = os.getloadavg()[0]
    kernels = KernelSet.shipped()
    cross, step = steps(kernels.by_name("zigzag"), round_s)
    return PAGE.format(
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        python=platform.python_version(),
        wasmtime=VERSION,
        extism=extism_version(),
        machine=platform.machine(),
        cores=os.cpu_count(),
        load=load,
        rounds=ROUNDS,
        crossings=crossings(kernels.by_name("delta"), round_s),
        calls=calls(kernels, round_s),
        links=LINKS,
        cross=cross * 1e9,
        step=step * 1e9,
        loads="\n".join(cold_load(kernel) for kernel in kernels),
        lanes="\n".join(line for kib in blocks_kib for line in two_cores.rows(kib * 1024)),
    )


def extism_version() -> str:
    """Its version, or that it is not there."""
    try:
        return version("extism")
    except PackageNotFoundError:
        return "not installed"


def resident_of(kernel: Kernel) -> DirectResident:
    """The kernel as the host holds it when it calls it through C."""
    module = Engine(find(), metered=False, canonical_nan=False).compile(kernel.wasm)
    return DirectResident(direct.load(), module, kernel, Watchdog())


def crossings(kernel: Kernel, round_s: float) -> str:
    """The table of single crossings."""
    params = kernel.manifest.encode_parameters({}, dtype="u32")
    resident = resident_of(kernel)
    one = resident.make()
    # Each has had a whole call, but for the instance: a block of zeros is refused as quickly.
    instance = Instance(resident.module, resident.base)
    assert instance.grow_to(resident.base + 65_536), "a page more is to be had"
    instance.watch = Watchdog().watch(time.monotonic() + 600)
    operation, _ = resident.operation(Op.FORWARD, params, 1, 1)
    bounds = new_bounds(resident.ffi, MIB, MIB, 60_000)
    resident.lib.rdx_call_one(one.c, operation, bounds, bytes(16), 16)
    cross, c = resident.lib.rdx_cross, one.c
    binding = Binding(kernel)
    binding.call(params, bytes(16))
    ways: dict[str, Callable[[], object]] = {
        "the host, compiled trampoline (cffi, API mode)": partial(cross, c, 1),
        "the host without it (cffi, ABI mode)": partial(instance.run, instance.base),
        "wasmtime's Python binding, `Func.__call__`": binding.bare,
    }
    plugin = extism_plugin()
    if plugin is not None:
        ways["Extism's Python SDK, `Plugin.call` with 16 bytes"] = lambda: plugin.call(
            "run", bytes(16)
        )
    best = fastest([*ways.values()], rounds=ROUNDS, round_s=round_s)
    rows = [f"| {name} | {seconds * 1e6:.2f} |" for name, seconds in zip(ways, best, strict=True)]
    if plugin is None:
        rows.append("| Extism's Python SDK | not installed: `pip install 'redoxa[bench]'` |")
    return "\n".join(rows)


def extism_plugin() -> Any:  # noqa: ANN401 - a class of a package that need not be there
    """A plugin that does nothing, or None where Extism is not installed."""
    try:
        import extism  # noqa: PLC0415 - nothing but this table needs it
    except ImportError:
        return None
    return extism.Plugin(bytes(wasmtime.wat2wasm(NOTHING)))


def calls(kernels: KernelSet, round_s: float) -> str:
    """The table of whole calls."""
    kernel = kernels.by_name("delta")
    params = kernel.manifest.encode_parameters({}, dtype="u32")
    binding = Binding(kernel)
    rows: list[str] = []
    with (
        Host(base=kernels.cids, compiled=False) as plain,
        Host(base=kernels.cids) as compiled,
    ):
        ours = [host.prepare(kernel, Op.FORWARD, params) for host in (plain, compiled)]

        def in_place(size: int) -> None:
            with ours[1].open([size]) as session:
                assert session.run() is None, "the kernel accepts zeros"

        for size in SIZES:
            data = bytes(size)
            best = fastest(
                [
                    partial(binding.call, params, data),
                    partial(ours[0], [data]),
                    partial(ours[1], [data]),
                    partial(in_place, size),
                ],
                rounds=ROUNDS,
                round_s=round_s,
            )
            rows.append(
                f"| {size:,} | " + " | ".join(f"{seconds * 1e6:,.1f}" for seconds in best) + " |"
            )
    return "\n".join(rows)


def steps(kernel: Kernel, round_s: float) -> tuple[float, float]:
    """Seconds of one crossing in C's loop, and of one whole step in a list of many."""
    resident = resident_of(kernel)
    params = kernel.manifest.encode_parameters({}, dtype="u32")
    link = Link(0, kernel, Op.FORWARD, params, (0,), (1,))
    links = [link._replace(inputs=(at,), outputs=(at + 1,)) for at in range(LINKS)]
    program = Program((*links,), LINKS + 1, (0,), (LINKS,))
    made = DirectProgram(program, [resident] * LINKS)
    rig = made.make_rig()
    bounds = new_bounds(resident.ffi, MIB, MIB, 60_000)
    value = resident.ffi.from_buffer(bytes(16))
    rig.values[0].data, rig.values[0].length = value, 16
    run_all, cross = resident.lib.rdx_call_all, resident.lib.rdx_cross
    assert run_all(rig.steps, LINKS, rig.values, bounds, rig.ending, rig.work) == 0, "all are done"
    times = 1000
    crossed, one, many = fastest(
        [
            lambda: cross(rig.instances[0].c, times),
            lambda: run_all(rig.steps, 1, rig.values, bounds, rig.ending, rig.work),
            lambda: run_all(rig.steps, LINKS, rig.values, bounds, rig.ending, rig.work),
        ],
        rounds=ROUNDS,
        round_s=round_s,
    )
    assert rig.ending.kind == 0, "every list came to its end"
    return crossed / times, (many - one) / (LINKS - 1)


def cold_load(kernel: Kernel) -> str:
    """One line: loading a kernel's code from the cache, and compiling it."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "kernels"
        residents = Residents(find(), Watchdog(), cache, compiled=True)
        residents.get(kernel, metered=False)
        (kept,) = cache.glob("*.code")
        again = Residents(find(), Watchdog(), cache, compiled=True)
        again.get(kernel, metered=False)
        engine = Engine(find(), metered=False, canonical_nan=False)
        loads = [timed(lambda: again.load(kernel, metered=False)) for _ in range(300)]
        compiles = [timed(lambda: engine.compile(kernel.wasm)) for _ in range(5)]
        return (
            f"| {kernel.name} | {kept.stat().st_size - 33:,} | {min(loads) * 1e6:.0f} "
            f"| {min(compiles) * 1e6:,.0f} |"
        )


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes once."""
    started = time.perf_counter()
    kept = work()
    passed = time.perf_counter() - started
    del kept
    return passed


if __name__ == "__main__":
    main()
