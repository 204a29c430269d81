"""How fast each kernel is, beside the same C compiled for this machine without any sandbox.

    REDOXA_SHARED=/path/to/shared python bench/kernel_speed.py [--seconds S] [--kernels NAME...]
        [--write]

Only `run` is timed, on data that lie in memory already, both directions, the sandboxed module as
the host calls it and the native one through ctypes, taken in turn; the best call of each counts, in
processor time, because the machine may be busy. Native means the same compiler and flags with the
x86-64 baseline (SSE2) as target. Both sides must give the same bytes. Kernels for data of one kind
are timed on a file of that kind: see kernel_inputs.py. `--write` replaces
bench/results/kernel_speed.md.
"""

import argparse
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import geometric_mean

from kernel_inputs import Real, data_folder, inputs

from ring0.host.engine import Engine
from ring0.host.library import VERSION, find
from ring0.kernel import Kernel
from ring2_orchestrator.kernel_build import ZIGLANG, source_root
from ring2_orchestrator.kernel_speed import (
    ROUNDS,
    Side,
    Timed,
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
{machine}, {cores} cores, load {load:.1f}. MB/s of the data on the forward operation's input side,
in processor time, the best call of {rounds} rounds. Native is the x86-64 baseline (SSE2); the ratio
is sandbox time to native time, so below 1 the sandbox is faster, which it can be because its
compiler uses what this processor has beyond the baseline. The data are a mebibyte of a walk or of
skewed bytes, or what the case names: the first bytes of a file that the kernel is meant for.

| kernel | wasm bytes | case | bytes | forward | inverse | forward to native | inverse to native |
|---|---:|---|---:|---:|---:|---:|---:|
{rows}

Geometric mean of the ratios: {mean:.2f} over all cases, {each:.2f} when every kernel counts once
(as the geometric mean of its cases). The largest ratio is {worst}.
"""

Line = tuple[str, str, float, float]
Sides = tuple[Side, Side]


def rows(
    kernel: Kernel, kernels: KernelSet, folder: Path, sides: Sides, round_s: float
) -> list[Line]:
    """The table's lines for one kernel, each with its name and its two ratios."""
    lines: list[Line] = []
    for choice, real, data in inputs(kernel, kernels, folder):
        timed = measure(kernel, sides, choice, data=data, round_s=round_s)
        (forward, inverse), ratios = timed.speeds, timed.ratios
        text = (
            f"| {kernel.name} | {len(kernel.wasm):,} | {said(timed, real)} | {timed.size:,} "
            f"| {rate(forward)} | {rate(inverse)} | {ratios[0]:.2f} | {ratios[1]:.2f} |"
        )
        print(text, file=sys.stderr)
        lines.append((text, kernel.name, *ratios))
    return lines


def said(timed: Timed, real: Real | None) -> str:
    """The case in words: type, parameters, and what it is about."""
    if real is None:
        return timed.case
    made = f" after {real.after}" if real.after else ""
    return f"{timed.case} {real.file}{made}".strip()


def rate(mb_s: float) -> str:
    """MB/s with as many digits as say something."""
    return f"{mb_s:,.0f}" if mb_s >= 20 else f"{mb_s:.2f}"


def page(lines: list[Line], load: float) -> str:
    """The page of results."""
    by_kernel: dict[str, list[float]] = {}
    for _, name, *both in lines:
        by_kernel.setdefault(name, []).extend(both)
    every = [ratio for ratios in by_kernel.values() for ratio in ratios]
    worst, name = max((max(ratios), name) for name, ratios in by_kernel.items())
    return PAGE.format(
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        wasmtime=VERSION,
        zig=ZIGLANG,
        machine=platform.machine(),
        cores=os.cpu_count(),
        load=load,
        rounds=ROUNDS,
        rows="\n".join(text for text, *_ in lines),
        mean=geometric_mean(every),
        each=geometric_mean([geometric_mean(ratios) for ratios in by_kernel.values()]),
        worst=f"{worst:.2f}, of {name}",
    )


def main() -> None:
    """Measure, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=0.02, help="length of one round")
    parser.add_argument("--kernels", nargs="*", help="only these; nothing is written then")
    parser.add_argument("--write", action="store_true", help=f"replace {RESULTS.name}")
    args = parser.parse_args()
    require_machine()
    load, folder = os.getloadavg()[0], data_folder()
    engine = Engine(find(), metered=False, canonical_nan=False, epochs=False)
    lines: list[Line] = []
    kernels = KernelSet.shipped()
    with tempfile.TemporaryDirectory() as scratch:
        for kernel in kernels:
            if args.kernels and kernel.name not in args.kernels:
                continue
            source = source_root() / kernel.name / f"{kernel.name}.c"
            library = Path(scratch) / f"{kernel.name}.so"
            sides = sandbox(engine, kernel), native(source, library)
            lines += rows(kernel, kernels, folder, sides, args.seconds)
    text = page(lines, load)
    print(text)
    if args.write and not args.kernels:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
