"""The decoder of `raster`, written from its specification."""

import math
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from operator import mul

KNOTS = [min(4095, max(1, round(4096 / (1 + math.exp(-(i - 32) / 4))))) for i in range(65)]
CHANCE = [
    (KNOTS[x >> 6] * (64 - (x & 63)) + KNOTS[(x >> 6) + 1] * (x & 63) + 32) >> 6
    for x in range(4096)
]
SETS = (2048, 4096, 8192, 2048, 4096, 4096, 4096, 8192)
HALF = 1 << 15


class MalformedError(Exception):
    """The stream breaks a rule of spec.md."""


def must(*, hold: bool) -> None:
    if not hold:
        raise MalformedError


def cut(value: int, by: int) -> int:
    """The quotient, rounded towards 0."""
    return abs(value) // by * (1 if value >= 0 else -1)


def within(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))


def half_octave(value: int) -> int:
    if value < 4:
        return value
    highest = value.bit_length() - 1
    return 2 * highest + (value >> (highest - 1) & 1)


def signed_class(value: int, limit: int) -> int:
    length = min(value.bit_length(), limit)
    return limit - length if value < 0 else limit + length


@dataclass
class Bits:
    """The bits of the code, each with the probability that the models give it."""

    data: bytes
    at: int
    low: int = 0
    high: int = (1 << 32) - 1
    value: int = 0

    def __post_init__(self) -> None:
        for _ in range(4):
            self.value = self.value << 8 | self.byte()

    def byte(self) -> int:
        must(hold=self.at < len(self.data))
        self.at += 1
        return self.data[self.at - 1]

    def take(self, chance: int) -> int:
        middle = self.low + ((self.high - self.low) * chance >> 12)
        bit = int(self.value <= middle)
        if bit:
            self.high = middle
        else:
            self.low = middle + 1
        while self.low >> 24 == self.high >> 24:
            self.low = self.low << 8 & 0xFFFFFFFF
            self.high = (self.high << 8 & 0xFFFFFFFF) + 255
            self.value = (self.value << 8 & 0xFFFFFFFF) + self.byte()
        return bit


@dataclass
class Mixer:
    weights: list[int] = field(default_factory=lambda: [9830] * 8)
    constant: int = 0

    def says(self, odds: list[int]) -> int:
        both = zip(self.weights, odds, strict=True)
        total = sum(weight * one >> 8 for weight, one in both) + self.constant
        return within(total >> 8, -2047, 2047)

    def learn(self, odds: list[int], miss: int) -> None:
        for k, one in enumerate(odds):
            moved = self.weights[k] + ((one * miss + 1024) >> 11)
            self.weights[k] = within(moved, 9830 - (1 << 19), 9830 + (1 << 19))
        self.constant = within(self.constant + ((256 * miss + 1024) >> 11), -(1 << 19), 1 << 19)


@dataclass
class Seen:
    """What is around a lane, relative to the one on the left."""

    channel: int
    taps: list[int]
    turn: int
    filtered: list[int] = field(default_factory=list[int])

    def __post_init__(self) -> None:
        near = (self.taps[1], self.taps[3], self.taps[2], 0)
        span = (max(near) - min(near)) // 2 + 2
        self.low, self.high = 16 * (min(near) - span), 16 * (max(near) + span)
        self.rise = self.taps[10]

    def guesses(self) -> list[int]:
        _, north, nw, ne, _, nne = self.taps[:6]
        guesses = [16 * (north - nw), 16 * ne, 16 * north, 0, *self.filtered]
        if self.channel:
            return [*guesses, 16 * north + 8 * self.turn, 8 * self.rise]
        return [*guesses, 16 * (north + ne - nne), 16 * sorted((0, north, north - nw))[1]]

    def texture(self, p: int) -> int:
        _, north, nw, ne, far_north = self.taps[:5]
        above = (16 * north, 0, 16 * nw, 16 * ne, self.filtered[0], 16 * (2 * north - far_north))
        return sum(1 << k for k, one in enumerate(above) if one > p)


def first_filter() -> list[int]:
    return [0, 49152, -32768, 16384, *[0] * 16]


@dataclass
class Decoder:
    """The lanes of one stream after its head."""

    bits: Bits
    n: int
    width: int
    row: int
    channels: int
    lanes: list[int] = field(default_factory=list[int])
    missed: list[int] = field(default_factory=list[int])
    errors: list[list[int]] = field(default_factory=list[list[int]])
    filters: list[list[list[int]]] = field(
        default_factory=lambda: [[first_filter() for _ in range(4)] for _ in range(2)]
    )
    biases: defaultdict[tuple[int, ...], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, 0])
    )
    slots: defaultdict[tuple[int, ...], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, HALF])
    )
    mixers: defaultdict[tuple[object, ...], Mixer] = field(
        default_factory=lambda: defaultdict(Mixer)
    )

    def signed(self, value: int) -> int:
        value %= 1 << 8 * self.width
        return value - (1 << 8 * self.width) if value >> (8 * self.width - 1) else value

    def x(self, back: int) -> int:
        return self.lanes[-back] if back <= len(self.lanes) else 0

    def m(self, back: int) -> int:
        return self.missed[-back] if back <= len(self.missed) else 0

    def step(self, to: int, origin: int) -> int:
        return self.signed(self.x(to) - self.x(origin))

    def lane(self) -> None:
        seen = self.look()
        kind = min(seen.channel, 3)
        seen.filtered = [
            within(sum(map(mul, one[kind], seen.taps)) >> 12, seen.low, seen.high)
            for one in self.filters
        ]
        guesses = seen.guesses()
        p, error = self.blend(guesses)
        activity = self.activity(seen.channel)
        bias = self.biases[kind, seen.texture(p), min(activity.bit_length(), 11)]
        added = cut(bias[0], bias[1]) if bias[1] else 0
        p = within(p + added, seen.low, seen.high)
        west = self.x(self.channels)
        guessed = (west + ((p + 8) >> 4)) % (1 << 8 * self.width)
        e = error if self.width == 1 else 4 * error
        level = min(half_octave(activity), 31)
        contexts = self.contexts(seen, p, guessed, level, e)
        loudness = 2 * min(half_octave(e >> 4), 31) + (seen.channel > 0)
        residual = self.residual(contexts, level, loudness)

        value = (guessed + residual) % (1 << 8 * self.width)
        actual = 16 * self.signed(value - west)
        self.lanes.append(value)
        self.missed.append(self.signed(residual))
        shift = 0 if self.width == 1 else 2
        self.errors.append([min(abs(actual - one) >> shift, 65535) for one in guesses])
        bias[0] += actual - (p - added)
        bias[1] += 1
        if bias[1] >= 128:
            bias[:] = [cut(one, 2) for one in bias]
        self.teach_filters(seen, actual, kind)

    def look(self) -> Seen:
        r, c = self.row, self.channels
        channel = len(self.lanes) % c
        taps = [self.step(d, c) for d in (2 * c, r, r + c, r - c, 2 * r, 2 * r - c)]
        taps += [self.step(d, c) for d in (r - 2 * c, r + 2 * c, 3 * c, 2 * r + c)]
        for j in (1, 2):
            ends = (j, j + r, j + r + c, j + r - c)
            taps += [self.step(d, j + c) if channel >= j else 0 for d in ends]
        turn = self.step(1, r + 1) if channel else 0
        return Seen(channel, [*taps, 0, 0], turn)

    def activity(self, channel: int) -> int:
        r, c = self.row, self.channels
        once = [abs(self.m(d)) for d in (r - c, r + c, 2 * c, 2 * r)]
        twice = [abs(self.m(d)) for d in (c, r, *([1] if channel else []))]
        return sum(once) + 2 * sum(twice)

    def contexts(self, seen: Seen, p: int, guessed: int, level: int, e: int) -> list[int]:
        channel, kind, whole, s = seen.channel, min(seen.channel, 3), (p + 8) >> 4, signed_class
        r, c = self.row, self.channels
        before = self.m(1) if channel else 0
        second = self.m(2) if channel > 1 else 0
        loud = min(level // 6, 3)
        close = min((before if channel else self.m(r - c)).bit_length(), 3)
        far_west, north, nw, ne, far_north = seen.taps[:5]
        first, other = seen.filtered
        across = (s(16 * (seen.turn + north) - p, 9), s(16 * seen.rise - p, 9))
        return [
            (17 * s(north - whole, 8) + s(-whole, 8)) * 4 + kind,
            ((15 * s(before, 7) + s(second, 7)) * 4 + kind) * 4 + loud,
            ((19 * s(first - p, 9) + s(other - p, 9)) * 4 + kind) * 4 + loud,
            (17 * s(north - nw - whole, 8) + s(ne - whole, 8)) * 4 + kind,
            (guessed >> (0 if self.width == 1 else 6)) * 4 + kind,
            ((15 * s(self.m(c), 7) + s(self.m(r), 7)) * 4 + kind) * 4 + close,
            (min(half_octave(e >> 3), 39) * 4 + kind) * 16 + (p + 8) % 16,
            ((19 * across[0] + across[1]) * 4 + kind) * 4 + loud
            if channel
            else (17 * s(far_north - whole, 8) + s(far_west - whole, 8)) * 16,
        ]

    def teach_filters(self, seen: Seen, actual: int, kind: int) -> None:
        norm = 16 * sum(tap * tap for tap in seen.taps) + 1024
        for one, guess, pace in zip(self.filters, seen.filtered, (17, 15), strict=True):
            gain = within(cut((actual - guess) << pace, norm), -(1 << 22), 1 << 22)
            both = zip(one[kind], seen.taps, strict=True)
            moved = [weight + (gain * tap >> 6) for weight, tap in both]
            one[kind] = [(weight + (1 << 31)) % (1 << 32) - (1 << 31) for weight in moved]

    def blend(self, guesses: list[int]) -> tuple[int, int]:
        places = (self.channels, 2 * self.channels, self.row)
        places += (self.row - self.channels, self.row + self.channels)
        sums = [
            2 * sum(self.errors[-d][k] for d in places if d <= len(self.errors))
            + (0 if k in (4, 5) else 8)
            for k in range(8)
        ]
        error = min(sums)
        shift = max(0, error.bit_length() - 5)
        weights = [(1 << 20) // (min(255, one >> shift) ** 2 + 1) for one in sums]
        wanted = sum(a * b for a, b in zip(weights, guesses, strict=True))
        return cut(wanted, sum(weights)), error

    def residual(self, contexts: list[int], level: int, loudness: int) -> int:
        sets = [max(16, min(most, 1 << (self.n - 1).bit_length())) for most in SETS]
        places = [(k, one % sets[k]) for k, one in enumerate(contexts)]

        def bit(node: int) -> int:
            return self.modelled(places, level, loudness, node)

        if not bit(0):
            return 0
        negative, last, token = bit(1), 13 if self.width == 1 else 16, 0
        while token < last and bit(2 + token):
            token += 1
        if token == 16:
            high = bit(18)
            token += 8 * high + 4 * bit(19 + high)
            token += 2 * bit(21)
            token += bit(21)
        size = token
        if token >= 4:
            size = 2 | token & 1
            node = 22 + 2 * (min(token // 2, 6) - 2)
            for k in range(token // 2 - 1):
                size = 2 * size + (bit(node + k) if k < 2 else self.bits.take(2048))
        return -(size + 1) if negative else size + 1

    def modelled(self, places: list[tuple[int, int]], level: int, loudness: int, node: int) -> int:
        slots = [self.slots[(*place, node)] for place in places]
        odds = [bisect_left(CHANCE, (slot[0] + HALF) >> 4) - 2048 for slot in slots]
        odds = [min(one, 2047) for one in odds]
        mixers = self.mixers["level", level, node], self.mixers["error", loudness, node]
        says = [mixer.says(odds) for mixer in mixers]
        bit = self.bits.take(CHANCE[(sum(says) >> 1) + 2048])
        for mixer, one in zip(mixers, says, strict=True):
            mixer.learn(odds, 4096 * bit - CHANCE[one + 2048])
        for slot in slots:
            chance, share = slot
            slot[0] += ((HALF - 1 if bit else -HALF) - chance) * share >> 16
            slot[1] = max(262, share - (share * share >> 16))
        return bit


def decode(data: bytes, width: int, row: int, channels: int) -> bytes:
    """The lanes of a stream. Raises MalformedError."""
    if not data:
        return b""
    if data[0] == 0:
        must(hold=len(data) > 1 and (len(data) - 1) % width == 0)
        return data[1:]
    n, shift, at = 0, 0, 1
    while True:
        must(hold=at < len(data) and shift < 35)
        n |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            break
    must(hold=data[0] == 1 and data[at - 1] != 0 and n * width <= 1 << 30)
    usable = row if 2 * channels < row <= n // 4 else 2 * channels + 1
    one = Decoder(Bits(data, at), n, width, usable, channels)
    for _ in range(n):
        one.lane()
    must(hold=one.bits.at == len(data))
    return b"".join(lane.to_bytes(width, "little") for lane in one.lanes)
