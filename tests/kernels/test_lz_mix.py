"""lz_mix beside a decoder written from its specification, and beside what it must come to."""

from collections import defaultdict
from collections.abc import Callable
from math import exp

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ring0.abi import Op
from ring0.boundary import MIB, Boundary
from ring0.host import Host
from ring0.outcome import Outcome, Refused, Result
from ring2_orchestrator.kernel_build import source_root
from ring2_orchestrator.kernel_vectors import Case, read_cases
from ring2_orchestrator.kernels import KernelSet

CASES = [case for case in read_cases(source_root() / "lz_mix") if case.refuse is None]
ROOM = Boundary(memory_bytes=256 * MIB, output_bytes=64 * MIB, wall_ms=20_000)
MASK32, MASK64 = (1 << 32) - 1, (1 << 64) - 1
MALFORMED = 3
examined = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
Call = Callable[[bytes], Outcome]


@pytest.fixture
def encode(kernels: KernelSet, host: Host) -> Call:
    return lambda data: host.call(kernels.by_name("lz_mix"), Op.FORWARD, b"", [data], ROOM)


@pytest.fixture
def decode(kernels: KernelSet, host: Host) -> Call:
    return lambda coded: host.call(kernels.by_name("lz_mix"), Op.INVERSE, b"", [coded], ROOM)


# The decoder of spec.md, word for word.


def i32(value: int) -> int:
    return (value + (1 << 31) & MASK32) - (1 << 31)


def curves() -> tuple[list[int], list[int]]:
    knots = [round(65536 / (1 + exp(-(k - 32) / 4))) for k in range(65)]
    squash = [
        knots[i >> 6] * (64 - i % 64) + knots[(i >> 6) + 1] * (i % 64) >> 6 for i in range(4096)
    ]
    stretch, d = list[int](), 1
    for p in range(4096):
        while d < 4095 and squash[d] < 16 * p + 8:
            d += 1
        stretch.append(d - 2048)
    return squash, stretch


SQUASH, STRETCH = curves()


def hashed(value: int, bits: int) -> int:
    return (value * 0x9E3779B97F4A7C15 & MASK64) >> (64 - bits)


def size_of_length(length: int) -> int:
    ends = (1, 4, 6, 8, 12, 16, 20, 24, 32)
    return sum(length >= end for end in ends)


def size_of_follow(length: int) -> int:
    return sum(length >= end for end in (32, 48, 64, 128, 256, 512))


class Reference:
    """Decodes one coded stream."""

    def __init__(self, coded: bytes, length: int) -> None:
        self.coded, self.length, self.out = coded, length, bytearray()
        self.low, self.high, self.place = 0, MASK32, 4
        self.code = int.from_bytes(coded[:4].ljust(4, b"\0"), "big")
        self.slots: defaultdict[tuple[str, int, int], tuple[int, int]]
        self.slots = defaultdict(lambda: (0, 13107))
        self.fine: defaultdict[tuple[bool, int, int], tuple[int, int]]
        self.fine = defaultdict(lambda: (1 << 21, 0))
        self.mixers: defaultdict[tuple[str, int], list[int]] = defaultdict(lambda: [19661] * 8)
        self.places: dict[tuple[str, int], int] = {}
        self.word = self.column = self.source = self.run = self.misses = self.near = 0

    def bits(self, length: int, most: int) -> int:
        return next(bits for bits in range(10, most + 1) if bits == most or 1 << bits >= length)

    def newest(self, count: int) -> int:
        """The last bytes as a number, the newest at the top; zeros before the first."""
        return int.from_bytes(bytes(self.out[-count:]).rjust(count, b"\0"), "little")

    def bit(self, p: int) -> int:
        middle = self.low + ((self.high - self.low) * p >> 16)
        bit = int(self.code <= middle)
        self.low, self.high = (self.low, middle) if bit else (middle + 1, self.high)
        while self.low >> 24 == self.high >> 24:
            byte = self.coded[self.place] if self.place < len(self.coded) else 0
            self.place += 1
            self.code = (self.code << 8 | byte) & MASK32
            self.low = self.low << 8 & MASK32
            self.high = (self.high << 8 | 255) & MASK32
        return bit

    def mixed(self, names: list[tuple[str, int, int]], mixer: list[int], least: int) -> int:
        held = [self.slots[name] for name in names]
        said = [STRETCH[(p >> 4) + 2048] for p, _ in held]
        sums = sum(s * (w >> 2) for s, w in zip(said, mixer, strict=True))
        p = SQUASH[max(-2047, min(2047, i32(sums) >> 14)) + 2048]
        bit = self.bit(p)
        error = ((bit << 16) - p >> 4) * 12
        for at, (name, (chance, share)) in enumerate(zip(names, held, strict=True)):
            mixer[at] = i32(mixer[at] + (i32(said[at] * error + 0x8000) >> 16))
            target = 32767 if bit else -32768
            moved = chance + ((target - chance) * share + 16384 >> 15)
            self.slots[name] = (moved, max(share - (share * share >> 15), least))
        return bit

    def follow(self, expected: int, *, leap: bool = False) -> int:
        seam = hashed(self.newest(2) << 8 | expected, self.bits(self.length // 16, 14))
        name = (leap, size_of_follow(self.run), seam)
        chance, count = self.fine[name]
        bit = self.bit(min(max(chance >> 6, 16), 65520))
        target = (1 << 22) - 1 if bit else 0
        chance += (target - chance) * (655360 // (10 * count + 16)) >> 16
        self.fine[name] = (chance, min(count + 1, 1000))
        return bit

    def repeat(self, expected: int) -> int:
        size, bits = size_of_length(self.run), self.bits(self.length // 4, 16)
        contexts = [size << 8 | self.misses & 255]
        texts = [self.newest(n) for n in (1, 2, 3, 4)]
        texts += [self.column, self.word, size << 8 | self.newest(1)]
        contexts += [text << 8 | expected for text in texts]
        names = [
            ("repeat", at, hashed(text * 8 + at & MASK64, bits)) for at, text in enumerate(contexts)
        ]
        return self.mixed(names, self.mixers["repeat", size * 4 + self.misses % 4], 192)

    def byte(self, expected: int) -> int:
        bits = self.bits(self.length, 17)
        contexts = [expected, *(self.newest(n) for n in (1, 2, 3, 4, 6))]
        contexts += [self.word, self.column << 9 | expected]
        so_far = 1
        first: list[int] = []
        for bit in range(8):
            if bit % 4 == 0:
                seams = [
                    ((text * 8 + at) * 0x2545F4914F6CDD1D + so_far) & MASK64
                    for at, text in enumerate(contexts)
                ]
                first = [hashed(seam, bits) & ~15 for seam in seams]
            place = so_far if bit < 4 else 1 << (bit - 4) | so_far & (1 << (bit - 4)) - 1
            agrees = 0
            if expected < 256 and (expected | 256) >> (8 - bit) == so_far:
                agrees = 1 + (expected >> (7 - bit) & 1)
            names = [("byte", at, start + place) for at, start in enumerate(first)]
            one = self.mixed(names, self.mixers["byte", agrees << 8 | so_far], 512)
            so_far = so_far << 1 | one
        return so_far & 255

    def alike(self, place: int) -> int:
        count = 0
        while count < min(32, place) and self.out[place - 1 - count] == self.out[-1 - count]:
            count += 1
        return count

    def look(self) -> None:
        bits, eight = self.bits(self.length, 18), self.newest(8)
        twelve = self.newest(12) & MASK32
        keys = [
            ("long", hashed(eight ^ (twelve * 0xD6E8FEB86659FD93 & MASK64), bits)),
            ("short", hashed(self.newest(5), bits)),
        ]
        for key, least in zip(keys, (12, 5), strict=True):
            place = self.places.get(key, 0)
            if self.run >= 20 or place == 0:
                continue
            alike = self.alike(place)
            if alike >= least and alike > self.run:
                self.source, self.run, self.misses = place, alike, 0
                break
        for key in keys:
            self.places[key] = len(self.out)

    def hold(self, *, held: bool) -> None:
        self.misses = (self.misses << 1 | (not held)) & MASK32
        self.run = self.run + 1 if held else 0
        self.near = self.near if held else 0
        self.source += 1
        if (self.misses & 0xFFFF).bit_count() > 8:
            self.source = 0

    def next(self) -> int:
        expected = 256
        followed = self.run >= 24 and self.source != 0
        if not followed:
            self.look()
        if self.source != 0:
            expected = self.out[self.source]
            held = self.follow(expected) if followed else self.repeat(expected)
            self.hold(held=bool(held))
            if held:
                return expected
        return self.byte(expected)

    def leap(self) -> bool:
        left = self.length - len(self.out)
        if self.run < 32 or self.source == 0 or self.near or left < 16:
            return False
        self.near = 1 - self.follow(self.out[self.source], leap=True)
        if self.near:
            return False
        for at in range(self.source, self.source + 16):
            self.append(self.out[at])
        self.run, self.source = self.run + 16, self.source + 16
        self.misses = self.misses << 16 & MASK32
        return True

    def append(self, byte: int) -> None:
        self.out.append(byte)
        self.column = 0 if byte == 10 else self.column + 1
        if 97 <= (byte | 32) <= 122 or byte >= 128:
            self.word = (self.word + byte + 1) * 0x2F0B4C47 & MASK32
        else:
            self.word = 0 if 48 <= byte <= 57 else byte

    def decode(self) -> bytes:
        while len(self.out) < self.length:
            if not self.leap():
                self.append(self.next())
        ends = [self.high >> shift << shift for shift in (24, 16, 8, 0)]
        assert self.code == next(end for end in ends if end >= self.low)
        assert self.place >= len(self.coded)
        return bytes(self.out)


def by_specification(stream: bytes) -> bytes:
    if not stream or stream[0] == 0:
        return stream[1:]
    length, place = 0, 1
    while True:
        length |= (stream[place] & 127) << 7 * (place - 1)
        place += 1
        if stream[place - 1] < 128:
            return Reference(stream[place:], length).decode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_specification_decodes_the_vectors(case: Case) -> None:
    streams, data = case.outputs, case.inputs
    if case.op is Op.INVERSE:
        streams, data = data, streams
    assert by_specification(streams[0]) == data[0]


@examined
@given(parts=st.lists(st.binary(max_size=30), max_size=8), times=st.integers(1, 20))
def test_the_specification_decodes_what_is_drawn(
    parts: list[bytes], times: int, encode: Call
) -> None:
    data = (b"".join(parts) * times)[:700]
    made = encode(data)
    assert isinstance(made, Result)
    assert len(made.outputs[0]) <= len(data) + (len(data) > 0)
    assert by_specification(made.outputs[0]) == data


def rows(count: int) -> bytes:
    rng = np.random.default_rng(5)
    codes = rng.integers(100, 130, count)
    return b"".join(b"%07d,%d,ok,%.2f\n" % (at, one, one / 7) for at, one in enumerate(codes))


def test_rows_take_less_than_half_of_what_zstd_takes(
    encode: Call, kernels: KernelSet, host: Host
) -> None:
    data = rows(6_000)
    made = encode(data)
    other = host.call(kernels.by_name("zstd"), Op.FORWARD, b"", [data], ROOM)
    assert isinstance(made, Result)
    assert isinstance(other, Result)
    assert 2 * len(made.outputs[0]) < len(other.outputs[0])


@pytest.mark.parametrize("length", [1_000, 70_000, 400_000])
@pytest.mark.parametrize("kind", ["zeros", "noise", "rows", "far repeat"])
def test_long_data_come_back(kind: str, length: int, encode: Call, decode: Call) -> None:
    rng = np.random.default_rng(length)
    data = {
        "zeros": bytes(length),
        "noise": rng.bytes(length // 4),
        "rows": rows(length // 20)[:length],
        "far repeat": rng.bytes(length // 8) * 2,
    }[kind]
    made = encode(data)
    assert isinstance(made, Result)
    assert decode(made.outputs[0]) == Result([data])


def test_a_cut_stream_is_other_bytes_at_best_and_none_has_bytes_behind_it(
    encode: Call, decode: Call
) -> None:
    data = rows(40)
    made = encode(data)
    assert isinstance(made, Result)
    coded = made.outputs[0]
    answers = [decode(coded[:end]) for end in range(1, len(coded))]
    assert Result([data]) not in answers
    # There is no checksum: a few come to the end that other bytes would have.
    refused = [answer for answer in answers if answer.__class__ is Refused]
    assert len(refused) > 0.95 * len(answers)
    for behind in (b"\0", b"\1", b"behind it"):
        answer = decode(coded + behind)
        assert isinstance(answer, Refused)
        assert answer.code == MALFORMED
