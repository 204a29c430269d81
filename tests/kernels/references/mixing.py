"""What is common to context_mix and record_mix, written from `ring1_kernels/MIXING.md`."""

from collections.abc import Callable

M32 = (1 << 32) - 1
S = [
    *(1, 2, 3, 5, 8, 13, 22, 36, 60, 98, 162, 267, 439, 720, 1179, 1921, 3108, 4971, 7812, 11955),
    *(17625, 24743, 32768, 40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097),
    *(65269, 65374, 65438, 65476, 65500, 65514, 65523, 65528, 65531, 65533, 65534, 65535),
]


class MalformedError(Exception):
    """The stream breaks a rule of the specification."""


def must(*, hold: bool) -> None:
    if not hold:
        raise MalformedError


def toward_zero(value: int, by: int) -> int:
    return value // by if value >= 0 else -(-value // by)


def limit(value: int, most: int) -> int:
    return max(-most, min(most, value))


def mixed_hash(a: int, b: int) -> int:
    h = (a * 0x9E3779B1 + b * 0x85EBCA6B + 0x27D4EB2F) & M32
    h = ((h ^ h >> 15) * 0x2C1B3C6D) & M32
    return ((h ^ h >> 13) * 0x297A2D39) & M32


def squash(value: int) -> int:
    if value == 2816:
        return 65535
    k, r = divmod(value + 2816, 128)
    return (S[k] * (128 - r) + S[k + 1] * r) // 128


def _stretches() -> list[int]:
    made: list[int] = []
    for value in range(-2047, 2048):
        made += [value] * (squash(value) // 16 + 1 - len(made))
    return made + [2047] * (4096 - len(made))


STRETCH = _stretches()


def least_bits(low: int, high: int, lengths: int) -> int:
    return next((bits for bits in range(low, high) if 1 << bits >= lengths), high)


class Adaptive:
    """A probability that begins at `start` of 65536."""

    def __init__(self, start: int, most: int) -> None:
        self.q, self.count, self.most = 64 * start, 0, most

    def bits(self, bits: int) -> int:
        return self.q >> (22 - bits)

    def learn(self, bit: int) -> None:
        target = 4194303 if bit else 0
        self.q += (target - self.q) * (655360 // (10 * self.count + 16)) >> 16
        self.count += self.count < self.most


class Coder:
    """Bits out of a stream, each with the probability of being a one."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.missing = data, 0, 0
        self.low, self.high, self.value = 0, M32, 0
        for _ in range(4):
            self._feed()

    def _feed(self) -> None:
        byte = 0
        if self.at < len(self.data):
            byte = self.data[self.at]
            self.at += 1
        else:
            self.missing += 1
        self.value = (self.value << 8 | byte) & M32

    def bit(self, p: int) -> int:
        middle = self.low + ((self.high - self.low) * p >> 16)
        bit = int(self.value <= middle)
        if bit:
            self.high = middle
        else:
            self.low = middle + 1
        while (self.low ^ self.high) >> 24 == 0:
            self.low, self.high = self.low << 8 & M32, (self.high << 8 | 255) & M32
            self._feed()
        return bit


class Mixer:
    """Inputs weighed by three sets of weights, and what they say by a last one."""

    def __init__(self, first: list[int], haste: int) -> None:
        self.first, self.haste = first, haste
        self.weights: dict[tuple[int, int], list[int]] = {}
        self.last: dict[int, list[int]] = {}

    def mix(self, inputs: list[int], picked: list[int], last: int) -> int:
        self.inputs = inputs
        self.sets = [self.weights.setdefault((s, picked[s]), [*self.first]) for s in range(3)]
        self.final = self.last.setdefault(last, [21845] * 3)
        sums = [sum(i * w for i, w in zip(inputs, one, strict=True)) for one in self.sets]
        self.said = [limit(one >> 16, 2047) for one in sums]
        total = sum(said * weight for said, weight in zip(self.said, self.final, strict=True))
        self.mixed = limit(total >> 16, 2815)
        return self.mixed

    def learn(self, bit: int) -> None:
        target = 65535 * bit
        for s, weights in enumerate(self.sets):
            error = toward_zero((target - squash(self.said[s])) * self.haste, 16)
            for i, value in enumerate(self.inputs):
                moved = weights[i] + (value * error + 16384 >> 15)
                weights[i] = max(-32768, min(32767, moved))
            last = toward_zero(target - squash(self.mixed), 16)
            self.final[s] += self.said[s] * last >> 11


class Refiner:
    """Lines of what predictions came to."""

    def __init__(self) -> None:
        self.lines: dict[int, list[int]] = {}

    def refine(self, mixed: int, line: int) -> int:
        self.line = self.lines.setdefault(line, [squash((k - 16) * 128) for k in range(33)])
        k, r = divmod(limit(mixed, 2047) + 2048, 128)
        self.near = k + (r >= 64)
        read = (self.line[k] * (128 - r) + self.line[k + 1] * r) // 128
        return max(1, (squash(mixed) + read) // 2)

    def learn(self, bit: int) -> None:
        value = self.line[self.near]
        self.line[self.near] = value + toward_zero(65535 * bit - value, 64)


def step_of(length: int) -> int:
    if length < 32:
        return length // 2
    if length < 64:
        return 16 + (length - 32) // 4
    if length < 512:
        return 24 + (length - 64) // 32
    return 38 + (length - 512) // 512 if length < 4096 else 45


class Match:
    """Where the bytes before stood last."""

    def __init__(self, n: int, data: bytearray) -> None:
        self.data, self.bits = data, least_bits(8, 18, n)
        self.far: dict[int, int] = {}
        self.near: dict[int, int] = {}
        self.far_hash = self.near_hash = self.at = self.length = 0
        starts = (8192, 57344)
        self.right = [[Adaptive(start, 1023) for start in starts] for _ in range(46)]

    def expect(self, node: int, done: int) -> None:
        self.said, self.confidence = None, 0
        if self.length == 0 or (self.data[self.at] | 256) >> (8 - done) != node:
            return
        step = step_of(self.length)
        self.said = self.right[step][self.data[self.at] >> (7 - done) & 1]
        self.confidence = 1 + sum(step >= least for least in (3, 8, 16, 24, 38))

    def _same(self, place: int) -> int:
        at, length = len(self.data), 0
        while (
            length < min(400, place) and self.data[place - 1 - length] == self.data[at - 1 - length]
        ):
            length += 1
        return length

    def move(self) -> None:
        last = self.data[-1]
        self.far_hash = (self.far_hash + last + 1) * (0x2F0B4C47 * 4) & M32
        self.near_hash = (self.near_hash + last + 1) * (0x2F0B4C47 * 32) & M32
        far, near = self.far_hash >> (32 - self.bits), self.near_hash >> (32 - self.bits)
        if self.length > 0 and self.data[self.at] == last:
            self.at += 1
            self.length = min(65535, self.length + 1)
        else:
            for table, key in ((self.far, far), (self.near, near)):
                self.at = table.get(key, 0)
                self.length = self._same(self.at)
                if self.length >= 5:
                    break
            else:
                self.length = 0
        self.far[far] = self.near[near] = len(self.data)


def byte_in_halves(
    contexts: list[int],
    bucket: Callable[[int], list[int]],
    read_bit: Callable[[int, int, int, list[list[int]]], int],
) -> int:
    """One byte: the contexts' buckets are looked up for each half, and four bits follow."""
    node = 1
    for half in (0, 4):
        found = [bucket(mixed_hash(x, node) if half else x) for x in contexts]
        place = 1
        for done in range(half, half + 4):
            bit = read_bit(done, node, place, found)
            node, place = 2 * node + bit, 2 * place + bit
    return node & 255


def read_stream(coded: bytes, decode: Callable[[Coder, int], bytes]) -> bytes:
    """The bytes that a stream stands for; `decode` gives n of them from a coder."""
    if not coded:
        return b""
    must(hold=len(coded) >= 2 and coded[0] <= 1)
    if coded[0] == 0:
        return coded[1:]
    n, used = 0, 1
    while True:
        must(hold=used < min(6, len(coded)))
        byte = coded[used]
        n |= (byte & 127) << 7 * (used - 1)
        used += 1
        if byte < 128:
            break
    must(hold=used == 2 or byte != 0)
    must(hold=1 <= n <= 1 << 28 and n >> 19 <= len(coded) - 1)
    must(hold=used < len(coded) and coded[used] == mixed_hash(n, 0) >> 24)
    coder = Coder(coded[used + 1 :])
    data = decode(coder, n)
    must(hold=coder.missing == 3 and coder.value == (coder.low >> 24) + 1 << 24)
    return data
