"""How fast a kernel is in the sandbox, beside its own source compiled natively.

Only `run` is timed, on data that lie in memory already, the sandboxed module as the host holds it
and the native one through ctypes, taken in turn; the best round of each counts, because the machine
may be busy. Native means the same compiler and optimisation for the x86-64 baseline (SSE2), without
any sandbox. Both must give the same bytes.
"""

import ctypes
import mmap
import platform
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cid_store.errors import DamageError, UnavailableError
from ring0 import abi
from ring0.abi import Op
from ring0.host.engine import Engine
from ring0.host.instance import Instance
from ring0.kernel import Kernel
from ring2_orchestrator.kernel_build import compile_native
from ring2_orchestrator.rounds import fastest

SIZE = 1 << 20
ROOM = 64 << 20
ROUNDS = 7
MAP_32BIT = 0x40  # addresses in a call block have 32 bits

# A type and the parameters that differ from their defaults.
Choice = tuple[str | None, Mapping[str, int]]


class DifferentBytesError(DamageError):
    """Native code gives other bytes than the module, so one of them is not what the source says."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One kernel, one type and its parameters: seconds a call on `SIZE` bytes, both ways."""

    case: str
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
        return SIZE / self.forward_s / 1e6, SIZE / self.inverse_s / 1e6


def require_machine() -> None:
    """Raise UnavailableError where native code cannot be set beside the sandbox."""
    if platform.machine() != "x86_64" or sys.platform != "linux":
        raise UnavailableError("native code is compared with on Linux and x86-64 only")


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
    assert instance.grow_to(base + ROOM), "64 MiB are to be had"
    return Side(base, instance.run, instance.write, instance.read)


def native(source: Path, library: Path) -> Side:
    """The kernel's source as a shared library, made there, on memory below 4 GiB."""
    compile_native(source, library)
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


def every_choice(kernel: Kernel) -> list[Choice]:
    """Every type with the defaults."""
    return [(dtype, {}) for dtype in kernel.manifest.types or (None,)]


def measure(
    kernel: Kernel, sides: tuple[Side, Side], choice: Choice, *, round_s: float = 0.02
) -> Timed:
    """Time one choice on both sides, the sandbox first. Raises DifferentBytesError."""
    dtype, values = choice
    params = kernel.manifest.encode_parameters(values, dtype=dtype)
    taken = kernel.manifest.port_counts(params)[0]
    data = [sample(dtype)] * taken
    figures: list[float] = []
    for op in (Op.FORWARD, Op.INVERSE):
        n_out = kernel.manifest.call_shape(op, params)[1]
        calls, outputs = zip(
            *(side.prepare(op, params, data, n_out) for side in sides), strict=True
        )
        codes = [call() for call in calls]
        here, there = (read() for read in outputs)
        if codes != [0, 0] or here != there:
            raise DifferentBytesError(f"{kernel.name}: native code and module differ ({op.name})")
        data = here
        figures += fastest(calls, rounds=ROUNDS, round_s=round_s)
    said = " ".join(f"{name}={value}" for name, value in values.items())
    return Timed(f"{dtype or ''} {said}".strip(), *figures)
