"""rans0 beside a decoder written from its specification, and beside the entropy of its input."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ring0.abi import Op
from ring0.host import Host
from ring0.outcome import Refused, Result
from ring2_orchestrator.kernel_build import source_root
from ring2_orchestrator.kernel_vectors import Case, read_cases
from ring2_orchestrator.kernels import KernelSet

CASES = list(read_cases(source_root() / "rans0"))
examined = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class MalformedError(Exception):
    """The stream breaks a rule of spec.md."""


def must(*, hold: bool) -> None:
    if not hold:
        raise MalformedError


class Header:
    """Bits, lowest first, from a byte on."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.bit = data, 8 * at

    def get(self, count: int) -> int:
        must(hold=self.bit + count <= 8 * len(self.data))
        value = 0
        for place in range(count):
            value |= (self.data[self.bit >> 3] >> (self.bit & 7) & 1) << place
            self.bit += 1
        return value

    def count(self) -> int:
        zeros = 0
        while not self.get(1):
            zeros += 1
            must(hold=zeros <= 17)
        return (1 << zeros) + self.get(zeros) - 1

    def end(self) -> int:
        must(hold=self.get(-self.bit % 8) == 0)
        return self.bit // 8


def read_table(header: Header, before: list[int] | None) -> tuple[int, list[int]]:
    scale, rest = header.get(4), header.get(8)
    must(hold=scale <= 14)
    frequencies = [0] * 256
    if scale > 0:
        precision, predictor = header.get(3) + 1, header.get(2)
        must(hold=predictor < 2 or (predictor == 2 and before is not None))
        run, last = header.count(), 0
        for symbol in range(256):
            if symbol == rest:
                continue
            exponent = (0, last, before[symbol].bit_length() if before else 0)[predictor]
            if run > 0:
                run -= 1
            else:
                step = header.count()
                exponent += step + 1 if predictor == 0 else signed(step)
                run = header.count()
            must(hold=0 <= exponent <= scale)
            last = exponent
            if exponent > 0:
                kept = min(exponent, precision) - 1
                frequencies[symbol] = ((1 << kept) + header.get(kept)) << (exponent - 1 - kept)
        must(hold=run == 0)
    frequencies[rest] = (1 << scale) - sum(frequencies)
    must(hold=frequencies[rest] >= 1)
    return scale, frequencies


def signed(step: int) -> int:
    return step // 2 + 1 if step % 2 else -(step // 2) - 1


def read_length(data: bytes) -> tuple[int, int]:
    value = 0
    for place in range(5):
        must(hold=1 + place < len(data))
        byte = data[1 + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            must(hold=byte > 0 and value <= 1 << 30)
            return value, 2 + place
    raise MalformedError


def decode(data: bytes) -> bytes:
    """What spec.md says, word for word."""
    if not data or data[0] == 0:
        must(hold=len(data) != 1)
        return data[1:]
    mode = data[0]
    must(hold=3 <= mode <= 9)
    length, at = read_length(data)
    must(hold=(mode == 9) == (length >= 16384))
    lanes, width, begin = (4, 8, 1 << 31) if mode == 9 else (1, mode, 1 << 16)
    must(hold=at + lanes * width <= len(data))
    states: list[int] = []
    for _ in range(lanes):
        states.append(int.from_bytes(data[at : at + width], "little"))
        at += width
        must(hold=begin <= states[-1] < 1 << 63)
    must(hold=mode == 9 or states[0] >> 8 * (mode - 1) > 0)
    out, frequencies = bytearray(), None
    while len(out) < length:
        header, span = Header(data, at), length - len(out)
        if mode == 9:
            more = header.count() * 8192
            must(hold=more < span)
            span = min(span, more + 8192)
        scale, frequencies = read_table(header, frequencies)
        block = Block(data, header.end(), scale, frequencies)
        at = block.decode(out, span, states)
    must(hold=at == len(data) and all(state == begin for state in states))
    return bytes(out)


@dataclass
class Block:
    data: bytes
    at: int
    scale: int
    frequencies: list[int]

    def decode(self, out: bytearray, span: int, states: list[int]) -> int:
        """Append `span` symbols to `out`; give where the block's words end."""
        owner = [symbol for symbol in range(256) for _ in range(self.frequencies[symbol])]
        start = [sum(self.frequencies[:symbol]) for symbol in range(256)]
        for _ in range(span):
            lane = len(out) % len(states)
            slot = states[lane] % (1 << self.scale)
            symbol = owner[slot]
            state = self.frequencies[symbol] * (states[lane] >> self.scale) + slot - start[symbol]
            if state < 1 << 31 and (len(states) == 4 or self.at < len(self.data)):
                state = state << 32 | self.word()
            states[lane] = state
            out.append(symbol)
        return self.at

    def word(self) -> int:
        self.at += 4
        must(hold=self.at <= len(self.data))
        return int.from_bytes(self.data[self.at - 4 : self.at], "little")


def reference(data: bytes) -> bytes | None:
    try:
        return decode(data)
    except MalformedError:
        return None


def kernel_says(host: Host, kernels: KernelSet, data: bytes) -> bytes | None:
    outcome = host.call(kernels.by_name("rans0"), Op.INVERSE, b"", [data])
    if isinstance(outcome, Refused):
        assert outcome.code == 3
        return None
    assert isinstance(outcome, Result), outcome
    return outcome.outputs[0]


def coded(host: Host, kernels: KernelSet, data: bytes) -> bytes:
    outcome = host.call(kernels.by_name("rans0"), Op.FORWARD, b"", [data])
    assert isinstance(outcome, Result)
    return outcome.outputs[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_specification_is_enough_to_decode(case: Case) -> None:
    if case.refuse is None:
        stream, data = case.outputs[0], case.inputs[0]
        if case.op is Op.INVERSE:
            stream, data = data, stream
        assert decode(stream) == data
    elif case.refuse == 3:
        assert reference(case.inputs[0]) is None


@st.composite
def damage(draw: st.DrawFn) -> tuple[int, int, int]:
    seed = draw(st.integers(0, 1000))
    length = draw(st.sampled_from([3, 40, 300, 2000, 16384]))
    return seed, length, draw(st.integers(0, 10**6))


@examined
@given(how=damage(), kind=st.sampled_from(["flip", "cut", "grow", "splice"]))
def test_damage_is_refused_or_decodes_as_specified(
    how: tuple[int, int, int], kind: str, kernels: KernelSet, host: Host
) -> None:
    seed, length, where = how
    rng = np.random.default_rng(seed)
    data = np.minimum(rng.geometric(0.15, length), 255).astype(np.uint8).tobytes()
    stream = bytearray(coded(host, kernels, data))
    at = where % len(stream)
    if kind == "flip":
        stream[at] ^= 1 << where % 8
    elif kind == "cut":
        del stream[at:]
    elif kind == "grow":
        stream[at:at] = bytes([where % 256])
    else:
        stream[at : at + 7] = rng.integers(0, 256, 7, dtype=np.uint8).tobytes()
    assert kernel_says(host, kernels, bytes(stream)) == reference(bytes(stream))


@examined
@given(tail=st.binary(max_size=60), mode=st.integers(3, 9), length=st.integers(0, 300))
def test_made_up_streams_are_refused_or_decode_as_specified(
    tail: bytes, mode: int, length: int, kernels: KernelSet, host: Host
) -> None:
    number = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
    stream = bytes([mode]) + number + tail
    assert kernel_says(host, kernels, stream) == reference(stream)


def entropy_bytes(data: np.ndarray[Any, Any]) -> float:
    counts = np.bincount(data, minlength=256)
    counts = counts[counts > 0]
    return float(-(counts * np.log2(counts / counts.sum())).sum() / 8)


@pytest.mark.parametrize("rate", [0.003, 0.02, 0.1, 0.4, 0.9])
def test_it_codes_near_the_entropy(rate: float, kernels: KernelSet, host: Host) -> None:
    rng = np.random.default_rng(1)
    data = np.minimum(rng.geometric(rate, 1 << 18), 255).astype(np.uint8)
    table_bytes = 260
    assert len(coded(host, kernels, data.tobytes())) <= 1.001 * entropy_bytes(data) + table_bytes


def test_a_rare_symbol_costs_little(kernels: KernelSet, host: Host) -> None:
    data = np.zeros(1 << 18, np.uint8)
    data[::5000] = 1
    assert len(coded(host, kernels, data.tobytes())) <= 1.02 * entropy_bytes(data) + 60


def test_changing_statistics_get_tables_of_their_own(kernels: KernelSet, host: Host) -> None:
    rng = np.random.default_rng(2)
    parts = [rng.integers(low, low + 8, 50_000, dtype=np.uint8) for low in (0, 60, 120, 180)]
    data = np.concatenate(parts)
    assert entropy_bytes(data) > 4.99 / 8 * len(data)
    assert len(coded(host, kernels, data.tobytes())) < 3.15 / 8 * len(data)


@pytest.mark.parametrize("length", [0, 1, 20, 100, 16383, 16384, 100_000])
def test_noise_grows_by_one_byte(length: int, kernels: KernelSet, host: Host) -> None:
    data = np.random.default_rng(length).integers(0, 256, length, dtype=np.uint8).tobytes()
    assert len(coded(host, kernels, data)) <= length + (length > 0)


def test_short_text_gains(kernels: KernelSet, host: Host) -> None:
    data = b"a text of no great length, of which most letters are the same few, as in any text " * 3
    assert len(coded(host, kernels, data)) < 0.66 * len(data)


@pytest.mark.slow
def test_every_flip_and_every_cut_stays_inside(
    kernels: KernelSet, bare: Callable[..., Any], host: Host
) -> None:
    """The stream at the end of memory, so that reading past it would trap."""
    for length in (40, 200):
        data = bytes(min(255, (i * i) % 7 * (i % 3)) for i in range(length))
        stream = coded(host, kernels, data)
        assert stream[0] != 0
        broken = [stream[:cut] for cut in range(len(stream))]
        for bit in range(8 * len(stream)):
            other = bytearray(stream)
            other[bit // 8] ^= 1 << bit % 8
            broken.append(bytes(other))
        for one in broken:
            answer = bare("rans0").call(Op.INVERSE, b"", [one], 1, last=("in", 0))
            expected = reference(one)
            assert answer == (3 if expected is None else [expected])
