"""Containers as nobody would write them: real ones mutated, and claims made up, by number.

Checks are computed anew after most mutations, so that what is wrong is met by the readers of plans
and by kernels, and not by a check.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from blake3 import blake3

from cid_store.cid import Cid
from ring0.abi import unsigned_leb128 as varint
from ring0.execution import StepFailedError, WorkLimitError
from ring0.plan import Dtype, Plan, PlanBuilder
from ring0.signature import SignatureError, bind
from ring2_orchestrator.container import limits
from ring2_orchestrator.container.header import MAGIC, check_of
from ring2_orchestrator.container.operations import encode_plan, encode_table, place_of
from ring2_orchestrator.toolbox import Toolbox

EXTREMES = (0, 1, 2, 127, 128, 65_535, 65_536, 1 << 20, (1 << 26) + 1, 1 << 31, 1 << 32,
            (1 << 53) - 1, 1 << 53, 1 << 62, (1 << 62) + 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
MOST = 4_000  # bytes of an original that is made up


@dataclass
class Parts:
    """A container taken apart. `blocks` are without their checks."""

    version: int
    length: int
    digest: bytes
    section: bytes
    blocks: list[bytes] = field(default_factory=list[bytes])

    def signed(self) -> bytes:
        """The container with checks that hold, whatever it claims."""
        body = MAGIC + bytes([self.version]) + varint(self.length) + self.digest
        body += varint(len(self.section)) + self.section
        if self.version != 2 and not self.section:
            return body + check_of(body) + b"".join(self.blocks)
        return body + check_of(body) + b"".join(block + check_of(block) for block in self.blocks)


class Mutants:
    """Mutant number n is the same whenever and wherever it is made."""

    def __init__(self, tools: Toolbox, real: Sequence[tuple[bytes, Sequence[int]]]) -> None:
        """`real` are containers, each with the places where its blocks begin."""
        self._tools = tools
        self._kernels = [*tools.kernels]
        self._real = [(whole, _apart(whole, starts)) for whole, starts in real]
        self._ways: tuple[Callable[[np.random.Generator], bytes], ...] = (
            self._flipped, self._cut, self._respliced, self._section_changed, self._section_changed,
            self._blocks_changed, self._blocks_changed, self._made_up, self._made_up,
            self._any_operations, self._divided,
        )  # fmt: skip

    def make(self, number: int) -> tuple[str, bytes]:
        """How it was made, and the mutant."""
        rng = np.random.default_rng([number, 0x7264_78])
        way = self._ways[int(rng.integers(len(self._ways)))]
        return way.__name__, way(rng)

    def _one(self, rng: np.random.Generator) -> tuple[bytes, Parts]:
        whole, parts = self._real[int(rng.integers(len(self._real)))]
        return whole, Parts(
            parts.version, parts.length, parts.digest, parts.section, [*parts.blocks]
        )

    def _flipped(self, rng: np.random.Generator) -> bytes:
        whole, _ = self._one(rng)
        return _bits_flipped(rng, whole)

    def _cut(self, rng: np.random.Generator) -> bytes:
        whole, _ = self._one(rng)
        at = int(rng.integers(len(whole) + 1))
        return whole[:at] if rng.random() < 0.5 else whole + rng.bytes(int(rng.integers(1, 50)))

    def _respliced(self, rng: np.random.Generator) -> bytes:
        """The plan of one container over the blocks of another."""
        (_, one), (_, other) = self._one(rng), self._one(rng)
        if rng.random() < 0.5:
            one.length, one.digest = other.length, other.digest
        one.blocks = other.blocks
        return one.signed()

    def _section_changed(self, rng: np.random.Generator) -> bytes:
        _, parts = self._one(rng)
        for _ in range(int(rng.integers(1, 4))):
            parts.section = _changed(rng, parts.section)
        if rng.random() < 0.1:
            parts.length = EXTREMES[int(rng.integers(len(EXTREMES)))]
        return parts.signed()

    def _blocks_changed(self, rng: np.random.Generator) -> bytes:
        _, parts = self._one(rng)
        if not parts.blocks:
            return parts.signed()
        at = int(rng.integers(len(parts.blocks)))
        match int(rng.integers(5)):
            case 0:
                parts.blocks.insert(at, parts.blocks[int(rng.integers(len(parts.blocks)))])
            case 1:
                del parts.blocks[at]
            case 2:
                parts.length = max(0, parts.length + int(rng.integers(-9, 10)))
            case _:
                parts.blocks[at] = _changed(rng, parts.blocks[at])
        return parts.signed()

    def _made_up(self, rng: np.random.Generator) -> bytes:
        """A sound plan of any kernels over streams that are mutated, or are none of theirs."""
        plan = self._plan(rng)
        data = _data(rng, plan.input.width)
        streams = self._streams(plan, data)
        if streams is None or rng.random() < 0.1:
            streams = [rng.bytes(int(rng.integers(200))) for _ in plan.streams]
        length = len(data)
        if rng.random() < 0.7:
            at = int(rng.integers(len(streams)))
            streams[at] = _changed(rng, streams[at])
        if rng.random() < 0.2:
            length = max(1, length + int(rng.integers(-40, 41)) * plan.input.width)
        version = _version(rng)
        said = streams if version == 1 else streams[:-1]
        block = b"\1" + b"".join(varint(len(one)) for one in said) + b"".join(streams)
        block += bytes(length % plan.input.width)
        section = _front(rng, version, place_of(plan.input))
        section += encode_table(plan.kernels, self._tools.kernels, version)
        section += encode_plan(plan, plan.kernels, self._tools.kernels)
        return Parts(version, length, blake3(data).digest(), section, [block]).signed()

    def _any_operations(self, rng: np.random.Generator) -> bytes:
        """A sound table of kernels, and operations that refer anywhere."""
        chosen = sorted(self._some_kernels(rng))
        codes = [0, 0, 0, 1, 2, 3, 7, *range(16, 17 + len(chosen))]
        count = int(rng.integers(1, 40))
        operations = bytes(
            codes[int(rng.integers(len(codes)))] if rng.random() < 0.8 else int(rng.integers(256))
            for _ in range(count)
        )
        version = _version(rng)
        section = _front(rng, version, int(rng.integers(7)))
        section += encode_table(chosen, self._tools.kernels, version) + operations
        block = b"\1" + rng.bytes(int(rng.integers(60)))
        return Parts(version, int(rng.integers(1, 500)), rng.bytes(32), section, [block]).signed()

    def _divided(self, rng: np.random.Generator) -> bytes:
        """Segments that overlap, overflow, or name plans that are not there."""
        length = int(rng.integers(1, 300))
        sizes = [int(rng.integers(0, length + 1)) for _ in range(int(rng.integers(1, 5)))]
        if rng.random() < 0.5:
            sizes.append(max(0, length - sum(sizes)))
        if rng.random() < 0.4:
            sizes[int(rng.integers(len(sizes)))] = EXTREMES[int(rng.integers(len(EXTREMES)))]
        carried = b"\0"
        if rng.random() < 0.2:
            module = self._kernels[int(rng.integers(len(self._kernels)))].wasm
            if rng.random() < 0.8:
                module = _changed(rng, module)
            packed = zlib.compress(module, 1)
            carried = b"\1" + varint(len(module)) + varint(len(packed)) + packed
        version, contents = (2, 3)[int(rng.integers(2))], int(rng.integers(3))
        section = bytes([contents, 0]) if version == 2 else bytes([(6, 7, 14)[contents]])
        section += carried + b"\0\1\0\0" + varint(len(sizes))
        for size in sizes:
            section += varint(size) + varint(int(rng.integers(0, 3)))
        blocks = [b"\0" + bytes(size) for size in sizes if size < 500]
        return Parts(version, length, blake3(bytes(length)).digest(), section, blocks).signed()

    def _some_kernels(self, rng: np.random.Generator) -> set[Cid]:
        count = int(rng.integers(1, 5))
        return {self._kernels[int(rng.integers(len(self._kernels)))].cid for _ in range(count)}

    def _plan(self, rng: np.random.Generator) -> Plan:
        """A plan that grew at random: every kernel that takes one stream comes up."""
        builder = PlanBuilder([*Dtype][int(rng.integers(6))])
        ends = [0]
        for _ in range(int(rng.integers(1, 6))):
            at = ends.pop(int(rng.integers(len(ends))))
            kernel = self._kernels[int(rng.integers(len(self._kernels)))]
            try:
                outputs = bind(kernel.manifest, [builder.type_of(at)]).outputs
            except SignatureError:
                ends.append(at)
                continue
            values = [
                int(rng.integers(one.min, min(one.max, one.min + 40), endpoint=True))
                if rng.random() < 0.5 else one.default
                for one in kernel.manifest.parameters
            ]  # fmt: skip
            ends += builder.add(kernel.cid, values, [at], outputs)
        return builder.build()

    def _streams(self, plan: Plan, data: bytes) -> list[bytes] | None:
        whole = data[: len(data) // plan.input.width * plan.input.width]
        executor = self._tools.executor.with_limits(limits(len(data)))
        try:
            return executor.forward(plan, whole).outputs
        except (StepFailedError, WorkLimitError):
            return None


def _apart(whole: bytes, starts: Sequence[int]) -> Parts:
    at = 5
    length, at = _varint(whole, at)
    digest, at = whole[at : at + 32], at + 32
    size, at = _varint(whole, at)
    section = whole[at : at + size]
    if whole[4] != 2 and not size:
        return Parts(1, length, digest, section, [whole[at + size + 4 :]])
    ends = [*starts[1:], len(whole)]
    blocks = [whole[start : end - 4] for start, end in zip(starts, ends, strict=True)]
    return Parts(whole[4], length, digest, section, blocks)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] & 0x80:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | data[at] << shift, at + 1


def _version(rng: np.random.Generator) -> int:
    """A version that says one plan."""
    return (1, 3, 4)[int(rng.integers(3))]


def _front(rng: np.random.Generator, version: int, kind: int) -> bytes:
    """How a section of one plan begins whose blocks are not cut."""
    if version == 4:
        return bytes([16 + kind]) + varint(EXTREMES[int(rng.integers(len(EXTREMES)))])
    return bytes([0, kind]) if version == 1 else bytes([kind])


def _data(rng: np.random.Generator, width: int) -> bytes:
    size = int(rng.integers(1, MOST)) // width * width + int(rng.integers(width))
    match int(rng.integers(4)):
        case 0:
            return bytes(size)
        case 1:
            return rng.bytes(size)
        case 2:
            return bytes(at * at // 50 % 251 for at in range(size))
        case _:
            words = np.cumsum(rng.integers(-3, 4, size // 2 + 1)).astype("<i2").tobytes()
            return words[:size]


def _bits_flipped(rng: np.random.Generator, data: bytes) -> bytes:
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if damaged:
            damaged[int(rng.integers(len(damaged)))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def _changed(rng: np.random.Generator, data: bytes) -> bytes:
    """Bits flipped, bytes lost, doubled or moved, or a number put in that is extreme."""
    at = int(rng.integers(len(data) + 1))
    end = min(len(data), at + int(rng.integers(1, 20)))
    match int(rng.integers(6)):
        case 0:
            return data[:at] + data[end:]
        case 1:
            return data[:end] + data[at:]
        case 2:
            return data[:at] + varint(EXTREMES[int(rng.integers(len(EXTREMES)))]) + data[at + 1 :]
        case 3:
            return data[:at] + rng.bytes(int(rng.integers(1, 9))) + data[at:]
        case _:
            return _bits_flipped(rng, data)
