"""What all examinations of kernels share: the shipped kernels, a host, and a bare engine."""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
import wasmtime

from ring0 import abi, cases
from ring0.host import Host
from ring0.kernel import Kernel
from ring2_orchestrator.kernels import KernelSet

FILL = 0xA5


def draws(kernel: Kernel, count: int) -> Iterator[tuple[bytes, list[bytes]]]:
    """Parameter bytes and inputs, always the same ones."""
    for case in cases.drawn(kernel, count):
        yield case.params, case.inputs


@pytest.fixture(scope="session")
def kernels() -> KernelSet:
    return KernelSet.shipped()


@pytest.fixture(scope="session")
def host(kernels: KernelSet, compiled: bool) -> Iterator[Host]:
    with Host(base=kernels.cids, compiled=compiled) as host:
        yield host


@dataclass
class Bare:
    """A kernel in a plain engine, laid out by hand: every byte around the regions is watched.

    `last` puts one region, or none, at the very end of memory, so that touching the byte after it
    traps: ("in", 0), ("out", 1), ("scratch", 0), ("param", 0).
    """

    wasm: bytes
    level: str = "speed"
    optimised: wasmtime.Module = field(init=False)

    def __post_init__(self) -> None:
        config = wasmtime.Config()
        config.cranelift_opt_level = self.level
        self.engine = wasmtime.Engine(config)
        self.optimised = wasmtime.Module(self.engine, self.wasm)

    def call(
        self,
        op: abi.Op,
        params: bytes,
        inputs: Sequence[bytes],
        n_out: int,
        *,
        last: tuple[str, int] | None = None,
        less: tuple[str, int] | None = None,
    ) -> list[bytes] | int | None:
        """The outputs, or the code of the refusal; an assertion where the kernel breaks the law.

        `less` gives that region a byte less than the bound asked for; None when it asked for none.
        """
        one = _OneCall(self, op, params, inputs, n_out)
        code = one.bound()
        if code != 0:
            return code
        return one.work(last) if less is None or one.take_away(less) else None


class _OneCall:
    def __init__(
        self, bare: Bare, op: abi.Op, params: bytes, inputs: Sequence[bytes], n_out: int
    ) -> None:
        self.op, self.params, self.inputs, self.n_out = op, params, inputs, n_out
        self.store = wasmtime.Store(bare.engine)
        exports = wasmtime.Instance(self.store, bare.optimised, []).exports(self.store)
        memory, run = exports["memory"], exports["run"]
        assert isinstance(memory, wasmtime.Memory)
        assert isinstance(run, wasmtime.Func)
        self.memory, self.run = memory, run
        self.base = memory.data_len(self.store)
        self.words = abi.block_words(len(inputs), n_out)

    def bound(self) -> int:
        layout = abi.Layout.after(self.base, len(self.params), [*map(len, self.inputs)], self.n_out)
        self._room(layout.end)
        spans = [*zip(layout.inputs, map(len, self.inputs), strict=True)]
        self._fill(layout.end)
        self._block(self.op.bound, layout.param, spans, [(0, 0)] * self.n_out, (0, 0))
        self._place(layout.param, spans)
        before = self._image()
        code = self.run(self.store, self.base)
        assert isinstance(code, int)
        block = self._words()
        at = 5 + 2 * len(self.inputs)
        self.caps = [block[at + 3 * port + 1] for port in range(self.n_out)]
        self.scratch = block[-1]
        # Besides capacities and scratch length, the bound writes nothing.
        for port in range(self.n_out):
            block[at + 3 * port + 1] = 0
        block[-1] = 0
        self._write(self.base, struct.pack(f"<{self.words}I", *block))
        assert self._image() == before, "the bound wrote where it must not"
        return code

    def take_away(self, less: tuple[str, int]) -> bool:
        kind, port = less
        have = self.scratch if kind == "scratch" else self.caps[port]
        if have and kind == "scratch":
            self.scratch -= 1
        elif have:
            self.caps[port] -= 1
        return have > 0

    def work(self, last: tuple[str, int] | None) -> list[bytes] | int:
        sizes = [("param", 0, len(self.params))]
        sizes += [("in", port, len(data)) for port, data in enumerate(self.inputs)]
        sizes += [("out", port, cap) for port, cap in enumerate(self.caps)]
        sizes += [("scratch", 0, self.scratch)]
        places: dict[tuple[str, int], int] = {}
        at = abi.align(self.base + 4 * self.words)
        for kind, port, size in sizes:
            places[kind, port] = at
            at = abi.align(at + size + 1)  # at least one watched byte after each region
        # The region at memory's end lies behind all others, wherever the last page ends.
        size_last = {(kind, port): size for kind, port, size in sizes}.get(last or ("", 0), 0)
        self._room(at + size_last)
        end = self.memory.data_len(self.store)
        if last is not None:
            places[last] = end - size_last
        self._fill(end)
        spans = [(places["in", port], len(data)) for port, data in enumerate(self.inputs)]
        outs = [(places["out", port], cap) for port, cap in enumerate(self.caps)]
        scratch = (places["scratch", 0], self.scratch)
        for start, size in [*outs, scratch]:
            self._write(start, bytes(size))
        self._block(self.op, places["param", 0], spans, outs, scratch)
        self._place(places["param", 0], spans)
        before = bytearray(self._image())
        code = self.run(self.store, self.base)
        assert isinstance(code, int)
        after = bytearray(self._image())
        block = self._words()
        lens = [block[5 + 2 * len(self.inputs) + 3 * port + 2] for port in range(self.n_out)]
        outputs = [
            bytes(after[start - self.base :][:length])
            for (start, _), length in zip(outs, lens, strict=True)
        ]
        for start, size in [(self.base, 4 * self.words), *outs, scratch]:
            before[start - self.base : start - self.base + size] = bytes(size)
            after[start - self.base : start - self.base + size] = bytes(size)
        assert before == after, "the kernel wrote outside its outputs and scratch"
        if code != 0:
            return code
        assert all(length <= cap for length, cap in zip(lens, self.caps, strict=True))
        return outputs

    def _room(self, end: int) -> None:
        have = self.memory.data_len(self.store)
        if end > have:
            self.memory.grow(self.store, -(-(end - have) // abi.PAGE_BYTES))

    def _fill(self, end: int) -> None:
        self._write(self.base, bytes([FILL]) * (end - self.base))

    def _write(self, at: int, data: bytes) -> None:
        if data:
            self.memory.write(self.store, data, at)

    def _image(self) -> bytes:
        return bytes(self.memory.read(self.store, self.base, None))

    def _words(self) -> list[int]:
        data = self.memory.read(self.store, self.base, self.base + 4 * self.words)
        return [*struct.unpack(f"<{self.words}I", data)]

    def _block(
        self,
        op: abi.Op,
        param: int,
        spans: Sequence[tuple[int, int]],
        outs: Sequence[tuple[int, int]],
        scratch: tuple[int, int],
    ) -> None:
        words = [int(op), param, len(self.params), len(spans)]
        for start, size in spans:
            words += [start, size]
        words.append(len(outs))
        for start, cap in outs:
            words += [start, cap, 0]
        words += scratch
        self._write(self.base, struct.pack(f"<{len(words)}I", *words))

    def _place(self, param: int, spans: Sequence[tuple[int, int]]) -> None:
        self._write(param, self.params)
        for (start, _), data in zip(spans, self.inputs, strict=True):
            self._write(start, data)


@pytest.fixture(scope="session")
def bare(kernels: KernelSet) -> Callable[..., Bare]:
    made: dict[tuple[str, str], Bare] = {}

    def make(name: str, level: str = "speed") -> Bare:
        key = (name, level)
        if key not in made:
            made[key] = Bare(kernels.by_name(name).wasm, level)
        return made[key]

    return make
