"""How fast each kernel is, beside the same C compiled for this machine without any sandbox.

    python bench/kernel_speed.py [--seconds S] [--write]

Only `run` is timed, on data that lie in memory already: 1 MiB, both directions, the sandboxed
module as the host calls it and the native one through ctypes, taken in turn; the best round of each
counts, because the machine may be busy. Native means the same compiler and flags with the x86-64
baseline (SSE2) as target. Both sides must give the same bytes. `--write` replaces
bench/results/kernel_speed.md.
"""

import argparse
import ctypes
import mmap
import os
import platform
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from rounds import fastest

from ring0 import abi
from ring0.abi import Op
from ring0.host.engine import Engine
from ring0.host.instance import Instance
from ring0.host.library import VERSION, find
from ring0.kernel import Kernel
from ring2_orchestrator.kernel_build import ZIGLANG, source_root
from ring2_orchestrator.kernels import KernelSet

RESULTS = Path(__file__).parent / "results" / "kernel_speed.md"
SIZE = 1 << 20
ROOM = 8 << 20
ROUNDS = 7
MAP_32BIT = 0x40  # addresses in a call block have 32 bits

PAGE = """\
# Kernels in the sandbox, beside the same C compiled natively

Measured by `python bench/kernel_speed.py --write` on {day}: wasmtime {wasmtime}, ziglang {zig},
{machine}, {cores} cores, load {load:.1f}. {size:,} bytes in memory, the best of {rounds} rounds,
MB/s of the data on the forward operation's input side. Native is the x86-64 baseline (SSE2); the
ratio is sandbox time to native time, so below 1 the sandbox is faster, which it can be because its
compiler uses what this processor has beyond the baseline.

| kernel | wasm bytes | case | forward | inverse | forward to native | inverse to native |
|---|---:|---|---:|---:|---:|---:|
{rows}

Geometric mean of the ratios: {mean:.2f}.
"""

# The types and parameters that are timed; a kernel that is not named here is timed with its
# defaults on every type.
CASES: dict[str, list[tuple[str | None, dict[str, int]]]] = {
    "delta": [
        ("u8", {}),
        ("u16", {}),
        ("u32", {}),
        ("u64", {}),
        ("u8", {"order": 2}),
        ("u8", {"lag": 3}),
        ("u16", {"order": 2, "lag": 100}),
    ],
    "mantissa_quant": [("f32", {"bits": 8}), ("f64", {"bits": 29})],
}


@dataclass
class Side:
    """Memory that a kernel works in, and the function that runs it; the block starts at `base`."""

    base: int
    run: Callable[[int], int]
    write: Callable[[int, bytes], None]
    read: Callable[[int, int], bytes]

    def prepare(
        self, op: Op, params: bytes, inputs: Sequence[bytes], n_out: int
    ) -> tuple[Callable[[], int], Callable[[], list[bytes]]]:
        """Lay a call out; give what runs it and what reads its outputs."""
        layout = abi.Layout.after(self.base, len(params), [*map(len, inputs)], n_out)
        self.write(layout.param, params)
        for at, data in zip(layout.inputs, inputs, strict=True):
            self.write(at, data)
        spans = [*zip(layout.inputs, map(len, inputs), strict=True)]
        head = [layout.param, len(params), len(spans), *(n for span in spans for n in span), n_out]
        words = struct.Struct(f"<{abi.block_words(len(inputs), n_out)}I")
        self.write(self.base, words.pack(op.bound, *head, *[0] * (3 * n_out + 2)))
        assert self.run(self.base) == 0, "the kernel gives its bound"
        said = words.unpack(self.read(self.base, words.size))
        at, outs = layout.end, list[int]()
        for port in range(n_out):
            outs += [at, said[len(head) + 3 * port + 2], 0]
            at = abi.align(at + outs[-2])
        assert at + said[-1] < self.base + ROOM, "the room is enough"
        self.write(at, bytes(said[-1]))
        self.write(self.base, words.pack(op, *head, *outs, at, said[-1]))

        def outputs() -> list[bytes]:
            block = words.unpack(self.read(self.base, words.size))
            first = len(head) + 1
            return [
                self.read(block[first + 3 * port], block[first + 3 * port + 2])
                for port in range(n_out)
            ]

        return lambda: self.run(self.base), outputs


def sandbox(engine: Engine, kernel: Kernel) -> Side:
    """The kernel as the host holds it."""
    base = kernel.info.initial_bytes
    instance = Instance(engine.compile(kernel.wasm), base)
    assert instance.grow_to(base + ROOM), "8 MiB are to be had"
    return Side(base, instance.run, instance.write, instance.read)


def native(kernel: Kernel, folder: Path) -> Side:
    """The kernel's source as a shared library, on memory below 4 GiB."""
    library = folder / f"{kernel.name}.so"
    source = source_root() / kernel.name / f"{kernel.name}.c"
    subprocess.run(
        [
            sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu", "-mcpu=baseline",
            "-std=c17", "-O3", "-ffreestanding", "-fno-sanitize=undefined", "-ffp-contract=off",
            "-shared", "-fPIC", source, "-o", library,
        ],
        check=True,
    )  # fmt: skip
    run: Any = ctypes.CDLL(str(library)).run
    run.argtypes, run.restype = [ctypes.c_uint32], ctypes.c_uint32
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_32BIT
    memory = mmap.mmap(-1, ROOM, flags=flags)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert base + ROOM < 1 << 32, "the system gave an address of 32 bits"

    def write(at: int, data: bytes) -> None:
        memory[at - base : at - base + len(data)] = data

    return Side(base, run, write, lambda at, size: memory[at - base : at - base + size])


def sample(dtype: str | None) -> bytes:
    """1 MiB such as the kernel is meant for: a walk, or bytes of a skewed distribution."""
    rng = np.random.default_rng(1)
    if dtype is None:
        return np.minimum(rng.geometric(0.08, SIZE), 255).astype(np.uint8).tobytes()
    width = int(dtype[1:]) // 8
    walk = np.cumsum(rng.normal(0, 40, SIZE // width))
    kind = np.dtype(f"<{dtype[0]}{width}")
    return (walk if dtype[0] == "f" else walk.astype(np.int64)).astype(kind).tobytes()


def rows(
    kernel: Kernel, sides: tuple[Side, Side], round_s: float
) -> list[tuple[str, float, float]]:
    """The table's lines for one kernel, each with its two ratios."""
    lines: list[tuple[str, float, float]] = []
    every: list[str | None] = [*kernel.manifest.types] or [None]
    for dtype, values in CASES.get(kernel.name, [(one, {}) for one in every]):
        params = kernel.manifest.encode_parameters(values, dtype=dtype)
        data = [sample(dtype)]
        figures: list[float] = []
        for op in (Op.FORWARD, Op.INVERSE):
            n_out = kernel.manifest.call_shape(op, params)[1]
            calls, outputs = zip(
                *(side.prepare(op, params, data, n_out) for side in sides), strict=True
            )
            assert [call() for call in calls] == [0, 0], "both do their work"
            here, there = (read() for read in outputs)
            assert here == there, f"{kernel.name}: native code gives other bytes"
            data = here
            figures += fastest(calls, rounds=ROUNDS, round_s=round_s)
        said = " ".join(f"{name}={value}" for name, value in values.items())
        speeds = [SIZE / seconds / 1e6 for seconds in figures]
        ratios = figures[0] / figures[1], figures[2] / figures[3]
        text = (
            f"| {kernel.name} | {len(kernel.wasm):,} | {dtype or ''} {said} | {speeds[0]:,.0f} "
            f"| {speeds[2]:,.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |"
        )
        print(text, file=sys.stderr)
        lines.append((text, *ratios))
    return lines


def main() -> None:
    """Measure, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=0.02, help="length of one round")
    parser.add_argument("--write", action="store_true", help=f"replace {RESULTS.name}")
    args = parser.parse_args()
    if platform.machine() != "x86_64" or sys.platform != "linux":
        sys.exit("this bench compares with native code on Linux and x86-64 only")
    load = os.getloadavg()[0]
    engine = Engine(find(), metered=False, canonical_nan=False, epochs=False)
    lines: list[tuple[str, float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for kernel in KernelSet.shipped():
            sides = sandbox(engine, kernel), native(kernel, Path(folder))
            lines += rows(kernel, sides, args.seconds)
    ratios = [ratio for _, *both in lines for ratio in both]
    text = PAGE.format(
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        wasmtime=VERSION,
        zig=ZIGLANG,
        machine=platform.machine(),
        cores=os.cpu_count(),
        load=load,
        size=SIZE,
        rounds=ROUNDS,
        rows="\n".join(text for text, *_ in lines),
        mean=prod(ratios) ** (1 / len(ratios)),
    )
    print(text)
    if args.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
