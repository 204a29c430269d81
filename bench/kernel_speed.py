"""How fast each kernel is, beside the same C compiled for this machine without any sandbox.

    python bench/kernel_speed.py [--seconds S] [--write]

Only `run` is timed, on data that lie in memory already: 1 MiB, both directions, the sandboxed
module as the host calls it and the native one through ctypes, taken in turn; the best round of each
counts, because the machine may be busy. Native means the same compiler and flags with the x86-64
baseline (SSE2) as target. Both sides must give the same bytes. `--write` replaces
bench/results/kernel_speed.md.
"""

import argparse
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from math import prod
from pathlib import Path

from ring0.host.engine import Engine
from ring0.host.library import VERSION, find
from ring0.kernel import Kernel
from ring2_orchestrator.kernel_build import ZIGLANG, source_root
from ring2_orchestrator.kernel_speed import (
    ROUNDS,
    SIZE,
    Choice,
    Side,
    every_choice,
    measure,
    native,
    require_machine,
    sandbox,
)
from ring2_orchestrator.kernels import KernelSet

RESULTS = Path(__file__).parent / "results" / "kernel_speed.md"

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
CASES: dict[str, list[Choice]] = {
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


def rows(
    kernel: Kernel, sides: tuple[Side, Side], round_s: float
) -> list[tuple[str, float, float]]:
    """The table's lines for one kernel, each with its two ratios."""
    lines: list[tuple[str, float, float]] = []
    for choice in CASES.get(kernel.name, every_choice(kernel)):
        timed = measure(kernel, sides, choice, round_s=round_s)
        (forward, inverse), ratios = timed.speeds, timed.ratios
        text = (
            f"| {kernel.name} | {len(kernel.wasm):,} | {timed.case} | {forward:,.0f} "
            f"| {inverse:,.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |"
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
    require_machine()
    load = os.getloadavg()[0]
    engine = Engine(find(), metered=False, canonical_nan=False, epochs=False)
    lines: list[tuple[str, float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for kernel in KernelSet.shipped():
            source = source_root() / kernel.name / f"{kernel.name}.c"
            library = Path(folder) / f"{kernel.name}.so"
            sides = sandbox(engine, kernel), native(source, library)
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
