"""The decoder of `residual`, written from its specification."""

from collections import defaultdict
from dataclasses import dataclass, field

LARGEST = (1 << 24) - 1
BLOCK = 32768


class MalformedError(Exception):
    """The stream breaks a rule of spec.md."""


def must(*, hold: bool) -> None:
    if not hold:
        raise MalformedError


def token_of(value: int) -> int:
    if value < 4:
        return value
    exponent = value.bit_length() - 1
    return 2 * exponent + (value >> (exponent - 1) & 1)


@dataclass
class Model:
    quick: list[int] = field(default_factory=lambda: [2048 * i for i in range(16)])
    slow: list[int] = field(default_factory=lambda: [2048 * i for i in range(16)])
    seen: int = 0

    def starts(self) -> list[int]:
        return [a + b for a, b in zip(self.quick, self.slow, strict=True)]

    def learn(self, symbol: int) -> None:
        slow = 7 if self.seen >= 32 else (self.seen + 2).bit_length()
        for table, shift in ((self.quick, min(5, 2 + self.seen // 2)), (self.slow, slow)):
            for i, start in enumerate(table):
                table[i] += ((32752 + i if i > symbol else i) - start) >> shift
        self.seen += 1


@dataclass
class Decoder:
    """The lanes of one stream after its head."""

    data: bytes
    at: int
    width: int
    row: int
    channels: int
    x: int = 0
    lanes: list[int] = field(default_factory=list[int])
    models: defaultdict[tuple[object, ...], Model] = field(
        default_factory=lambda: defaultdict(Model)
    )
    means: list[int] = field(default_factory=lambda: [0] * 4)

    def refill(self) -> None:
        if self.x < 1 << 31 and self.at + 4 <= len(self.data):
            self.x = self.x << 32 | int.from_bytes(self.data[self.at : self.at + 4], "little")
            self.x &= (1 << 64) - 1
            self.at += 4

    def symbol(self, *models: Model) -> int:
        starts = [*models[0].starts(), 1 << 16]
        if len(models) == 2:
            pairs = zip(models[0].starts(), models[1].starts(), strict=True)
            starts = [*(a // 2 + b // 2 for a, b in pairs), 1 << 16]
        slot = self.x % (1 << 16)
        symbol = max(s for s in range(16) if starts[s] <= slot)
        self.x = (starts[symbol + 1] - starts[symbol]) * (self.x >> 16) + slot - starts[symbol]
        for model in models:
            model.learn(symbol)
        return symbol

    def bits(self, count: int) -> int:
        value = self.x % (1 << count)
        self.x >>= count
        self.refill()
        return value

    def size(self, distance: int) -> int:
        at = len(self.lanes) - distance
        return 0 if at < 0 else min(self.lanes[at], LARGEST) if self.width > 2 else self.lanes[at]

    def contexts(self) -> tuple[tuple[int, int], tuple[object, ...]]:
        channel = len(self.lanes) % self.channels
        kind = min(channel, 3)
        west, far = self.size(self.channels), self.size(2 * self.channels)
        activity = 2 * west + far
        if self.row:
            other = self.size(self.row)
            corner = self.size(self.row - self.channels) if self.row > self.channels else other
            activity += 2 * other + corner
            activity += self.size(self.row + self.channels) + self.size(2 * self.row)
        else:
            self.means[kind] += west - self.means[kind] // 16
            other, corner = self.means[kind] // 16, self.size(3 * self.channels)
            activity += corner + self.means[kind] // 4
        if channel:
            activity += 2 * self.size(1)
        pair = (min(west.bit_length(), 15), min(other.bit_length(), 15), corner > 0, kind)
        return (token_of(activity), kind), pair

    def lane(self) -> int:
        activity, pair = self.contexts()
        last = (16 * self.width - 2) // 15
        token = level = 0
        while True:
            models = [self.models["activity", activity, level]]
            models += [self.models["pair", pair]] if level == 0 else []
            symbol = self.symbol(*models)
            token += symbol
            if symbol < 15 or level == last:
                break
            level += 1
            self.refill()
        must(hold=token < 16 * self.width)
        if token < 4:
            self.refill()
            return token
        raw, value, taken = token // 2 - 1, 0, 0
        while taken < raw or taken == 0:
            count = min(raw - taken, 15 if taken == 0 else 16)
            value |= self.bits(count) << taken
            taken += count
        return (2 | token & 1) << raw | value


def decode(data: bytes, width: int, row: int, channels: int) -> bytes:
    """The lanes of a stream. Raises MalformedError."""
    if not data:
        return b""
    mode, at = data[0], 1
    if mode == 0:
        must(hold=len(data) > 1 and (len(data) - 1) % width == 0)
        return data[1:]
    must(hold=mode <= 8)
    n = shift = 0
    while True:
        must(hold=at < len(data) and shift < 35)
        n |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            break
    must(hold=data[at - 1] != 0 and n * width <= 1 << 30 and (n <= BLOCK or mode == 8))
    one = Decoder(data, at, width, row if row < n else 0, channels)
    while len(one.lanes) < n:
        must(hold=one.at + mode <= len(data))
        one.x = int.from_bytes(data[one.at : one.at + mode], "little")
        one.at += mode
        for _ in range(min(BLOCK, n - len(one.lanes))):
            one.lanes.append(one.lane())
        must(hold=one.x == (1 if len(one.lanes) == n else 1 << 31))
    must(hold=one.at == len(data))
    return b"".join(lane.to_bytes(width, "little") for lane in one.lanes)
