"""How fast a kernel is in the sandbox, beside its own source compiled natively.

Only `run` is timed, on data that lie in memory already, the sandboxed module as the host holds it
and the native one through ctypes, taken in turn; the best call of each counts, in the thread's own
processor time, because the machine may be busy. Native means the same compiler and optimisation for
the x86-64 baseline (SSE2), without any sandbox. Both must give the same bytes, the last time as the
first.
"""

import ctypes
import mmap
import platform
import struct
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cid_store.errors import DamageError, InputError, UnavailableError
from ring0 import abi
from ring0.abi import Op
from ring0.host.engine import Engine
from ring0.host.instance import Instance
from ring0.kernel import Kernel
from ring2_orchestrator.kernel_build import compile_native

SIZE = 1 << 20
ROOM = 64 << 20
STACK = 1 << 20
ROUNDS = 7
# Kernels that take a second for a mebibyte are called less often than others.
LONGEST_S = 3.0
MAP_32BIT = 0x40  # addresses in a call block have 32 bits

# A type and the parameters that differ from their defaults.
Choice = tuple[str | None, Mapping[str, int]]


class DifferentBytesError(DamageError):
    """Native code gives other bytes than the module, so one of them is not what the source says."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One kernel, one type and its parameters: seconds a call on so many bytes, both ways."""

    case: str
    size: int
    forward_s: float
    forward_native_s: float
    inverse_s: float
    inverse_native_s: float

    @property
    def ratios(self) -> tuple[float, float]:
        """Sandbox time to native time, forward and inverse; below 1 the sandbox is faster."""
        return self.forward_s / self.forward_native_s, self.inverse_s / self.inverse_native_s

    @property
    def speeds(self) -> tuple[float, float]:
        """MB/s in the sandbox of the data on the forward operation's input side."""
        return self.size / self.forward_s / 1e6, self.size / self.inverse_s / 1e6


def require_machine() -> None:
    """Raise UnavailableError where native code cannot be set beside the sandbox."""
    if platform.machine() != "x86_64" or sys.platform != "linux":
        raise UnavailableError("native code is compared with on Linux and x86-64 only")


class Laid(NamedTuple):
    """A call laid out in memory, to be run any number of times."""

    run: Callable[[], int]
    outputs: Callable[[], list[bytes]]
    # Every call is promised a scratch of zeros; without this, the next one finds the last one's.
    clean: Callable[[], None]

    def answer(self) -> tuple[int, list[bytes]]:
        """The code that a call returns, and what it leaves in the outputs."""
        self.clean()
        return self.run(), self.outputs()

    def seconds(self) -> float:
        """How long a call keeps this thread's processor."""
        self.clean()
        started = time.thread_time()
        self.run()
        return time.thread_time() - started


@dataclass
class Side:
    """Memory that a kernel works in, and the function that runs it; the block starts at `base`."""

    base: int
    run: Callable[[int], int]
    write: Callable[[int, bytes], None]
    read: Callable[[int, int], bytes]

    def prepare(self, op: Op, params: bytes, inputs: Sequence[bytes], n_out: int) -> Laid:
        """Lay a call out."""
        layout = abi.Layout.after(self.base, len(params), [*map(len, inputs)], n_out)
        self.write(layout.param, params)
        for at, data in zip(layout.inputs, inputs, strict=True):
            self.write(at, data)
        spans = [*zip(layout.inputs, map(len, inputs), strict=True)]
        head = [layout.param, len(params), len(spans), *(n for span in spans for n in span), n_out]
        words = struct.Struct(f"<{abi.block_words(len(inputs), n_out)}I")
        self.write(self.base, words.pack(op.bound, *head, *[0] * (3 * n_out + 2)))
        if (code := self.run(self.base)) != 0:
            raise InputError(
                f"there is nothing to time: its bound refuses the sample (code {code})"
            )
        said = words.unpack(self.read(self.base, words.size))
        at, outs = layout.end, list[int]()
        for port in range(n_out):
            outs += [at, said[len(head) + 3 * port + 2], 0]
            at = abi.align(at + outs[-2])
        if at + said[-1] >= self.base + ROOM:
            raise InputError(f"there is nothing to time: it asks for more than {ROOM:,} bytes")
        scratch = bytes(said[-1])
        self.write(self.base, words.pack(op, *head, *outs, at, len(scratch)))

        def outputs() -> list[bytes]:
            block = words.unpack(self.read(self.base, words.size))
            first = len(head) + 1
            return [
                self.read(block[first + 3 * port], block[first + 3 * port + 2])
                for port in range(n_out)
            ]

        return Laid(lambda: self.run(self.base), outputs, lambda: self.write(at, scratch))


def sandbox(engine: Engine, kernel: Kernel) -> Side:
    """The kernel as the host holds it."""
    base = kernel.info.initial_bytes
    instance = Instance(engine.compile(kernel.wasm), base)
    assert instance.grow_to(base + ROOM), "64 MiB are to be had"
    return Side(base, instance.run, instance.write, instance.read)


def native(source: Path, library: Path) -> Side:
    """The kernel's source as a shared library, made there, on memory and a stack below 4 GiB."""
    compile_native(source, library)
    return loaded(library)


def loaded(library: Path) -> Side:
    """What `compile_native` made, in this process: whatever it does, it does here."""
    run: Any = ctypes.CDLL(str(library)).run_low
    run.argtypes, run.restype = [ctypes.c_uint32, ctypes.c_void_p], ctypes.c_uint32
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_32BIT
    memory = mmap.mmap(-1, ROOM + STACK, flags=flags)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    top = base + ROOM + STACK
    assert top < 1 << 32, "the system gave an address of 32 bits"

    def write(at: int, data: bytes) -> None:
        memory[at - base : at - base + len(data)] = data

    def read(at: int, size: int) -> bytes:
        return memory[at - base : at - base + size]

    return Side(base, lambda address: run(address, top), write, read)


def sample(dtype: str | None) -> bytes:
    """1 MiB such as the kernel is meant for: a walk, or bytes of a skewed distribution."""
    rng = np.random.default_rng(1)
    if dtype is None:
        return np.minimum(rng.geometric(0.08, SIZE), 255).astype(np.uint8).tobytes()
    width = int(dtype[1:]) // 8
    walk = np.cumsum(rng.normal(0, 40, SIZE // width))
    kind = np.dtype(f"<{dtype[0]}{width}")
    return (walk if dtype[0] == "f" else walk.astype(np.int64)).astype(kind).tobytes()


def every_choice(kernel: Kernel) -> list[Choice]:
    """Every type with the defaults."""
    return [(dtype, {}) for dtype in kernel.manifest.types or (None,)]


def measure(
    kernel: Kernel,
    sides: tuple[Side, Side],
    choice: Choice,
    *,
    data: bytes | None = None,
    round_s: float = 0.02,
) -> Timed:
    """Time one choice on both sides, the sandbox first. Raises DifferentBytesError.

    The data are those of `sample` where none are given.
    """
    dtype, values = choice
    params = kernel.manifest.encode_parameters(values, dtype=dtype)
    given = sample(dtype) if data is None else data
    inputs = [given] * kernel.manifest.port_counts(params)[0]
    figures: list[float] = []
    for op in (Op.FORWARD, Op.INVERSE):
        n_out = kernel.manifest.call_shape(op, params)[1]
        laid = [side.prepare(op, params, inputs, n_out) for side in sides]
        before = [one.answer() for one in laid]
        if (code := before[0][0]) != 0 and before[1][0] == code:
            raise InputError(
                f"{kernel.name}: there is nothing to time: it refuses the sample (code {code})"
            )
        figures += _fastest(laid, round_s)
        if before != [(0, before[0][1])] * 2 or before != [one.answer() for one in laid]:
            raise DifferentBytesError(f"{kernel.name}: native code and module differ ({op.name})")
        inputs = before[0][1]
    said = " ".join(f"{name}={value}" for name, value in values.items())
    return Timed(f"{dtype or ''} {said}".strip(), len(given), *figures)


def _fastest(calls: Sequence[Laid], round_s: float) -> list[float]:
    """Seconds of a call, for each: the best of all in several rounds of `round_s`, by turns."""
    best = [float("inf")] * len(calls)
    passed = 0.0
    for _ in range(ROUNDS):
        if passed > LONGEST_S:
            break
        for which, call in enumerate(calls):
            until = passed + round_s
            while passed < until:
                took = call.seconds()
                best[which] = min(best[which], took)
                passed += took
    return best
