"""The decoder of `rans1`, written from its specification."""

import itertools
from dataclasses import dataclass, field

STATES = 16


class MalformedError(Exception):
    """The stream breaks a rule of spec.md."""


def must(*, hold: bool) -> None:
    if not hold:
        raise MalformedError


class Bits:
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
            must(hold=zeros <= 15)
        return (1 << zeros) + self.get(zeros) - 1

    def end(self) -> int:
        must(hold=self.get(-self.bit % 8) == 0)
        return self.bit // 8


def low_of(token: int) -> int:
    return 0 if token < 8 else (token >> 2) - 1


@dataclass
class Average:
    scaled: int = 0

    def follow(self, token: int) -> None:
        self.scaled += (128 * token - self.scaled) >> 3

    @property
    def token(self) -> int:
        return self.scaled >> 7


@dataclass
class Table:
    """The slots of a class, and what the next table may be predicted from."""

    frequencies: list[int]
    starts: list[int] = field(init=False)
    owners: list[int] = field(init=False)

    def __post_init__(self) -> None:
        each = enumerate(self.frequencies)
        self.owners = [token for token, count in each for _ in range(count)]
        self.starts = [0, *itertools.accumulate(self.frequencies)]


@dataclass
class Block:
    """A block's header, and the contexts it gives its lanes."""

    bits: Bits
    tokens: int
    lag: int
    span: int = 0
    kind: int = 0
    scale: int = 0
    level: list[int] = field(default_factory=list[int])
    class_of: list[int] = field(default_factory=list[int])
    tables: list[Table] = field(default_factory=list[Table])

    def read(self, left: int, cells: int) -> int:
        """Where the header ends, of a block with so many lanes to its end and after it."""
        more = self.bits.count()
        must(hold=more <= 7 and more * 32768 < left)
        self.span = min(left, (more + 1) * 32768)
        self.kind, self.scale = self.bits.get(2), self.bits.get(4)
        must(hold=self.scale <= 12 and (self.kind < 3 or self.lag > 0))
        if self.kind >= 2:
            self.read_levels()
        self.read_classes()
        must(hold=(max(self.class_of) + 1) << self.scale <= cells)
        before = [0] * self.tokens
        for _ in range(max(self.class_of) + 1):
            before = self.frequencies(before)
            self.tables.append(Table(before))
        return self.bits.end()

    def read_levels(self) -> None:
        units = [token if token < 16 else 12 + token // 4 for token in range(self.tokens)]
        levels = [0]
        for _ in range(max(units)):
            levels.append(levels[-1] + self.bits.get(1))
        must(hold=levels[-1] <= 15)
        self.level = [levels[unit] for unit in units]

    def read_classes(self) -> None:
        contexts = (1, self.tokens, 256, 256)[self.kind]
        self.class_of, named, run = [0], 1, self.bits.count()
        while len(self.class_of) < contexts:
            if run > 0:
                self.class_of.append(self.class_of[-1])
                run -= 1
                continue
            number = self.bits.get(named.bit_length())
            must(hold=number <= named and number < 64)
            named = max(named, number + 1)
            self.class_of.append(number)
            run = self.bits.count()
        must(hold=run == 0)

    def frequencies(self, before: list[int]) -> list[int]:
        rest, precision, predictor = self.bits.get(8), self.bits.get(3) + 1, self.bits.get(2)
        must(hold=rest < self.tokens and predictor < 3)
        found, run, last = [0] * self.tokens, self.bits.count(), 0
        for token in range(self.tokens):
            if token == rest:
                continue
            exponent = (0, last, before[token].bit_length())[predictor]
            if run > 0:
                run -= 1
            else:
                step = self.bits.count()
                signed = step // 2 + 1 if step % 2 else -(step // 2) - 1
                exponent += step + 1 if predictor == 0 else signed
                run = self.bits.count()
            must(hold=0 <= exponent <= self.scale)
            last = exponent
            if exponent > 0:
                kept = min(exponent, precision) - 1
                found[token] = ((1 << kept) + self.bits.get(kept)) << (exponent - 1 - kept)
        must(hold=run == 0 and sum(found) < 1 << self.scale)
        found[rest] = (1 << self.scale) - sum(found)
        return found

    def context(self, before: list[int], average: Average) -> int:
        """The context of what follows those tokens of a segment."""
        if not before or self.kind == 0:
            return 0
        if self.kind == 1:
            return before[-1]
        other = average.token
        if self.kind == 3 and len(before) >= self.lag:
            other = before[-self.lag]
        return 16 * self.level[before[-1]] + self.level[other]


@dataclass
class Decoder:
    data: bytes
    at: int
    states: list[int]

    def word(self) -> int:
        self.at += 2
        must(hold=self.at <= len(self.data))
        return int.from_bytes(self.data[self.at - 2 : self.at], "little")

    def symbol(self, state: int, table: Table, scale: int) -> int:
        x = self.states[state]
        slot = x % (1 << scale)
        token = table.owners[slot]
        x = table.frequencies[token] * (x >> scale) + slot - table.starts[token]
        self.states[state] = x << 16 | self.word() if x < 1 << 16 else x
        return token

    def tokens(self, block: Block) -> list[int]:
        """The tokens of a block in the order of its lanes."""
        segments = [list[int]() for _ in range(STATES)]
        averages = [Average() for _ in range(STATES)]
        for _ in range(-(-block.span // STATES)):
            for state, segment in enumerate(segments):
                table = block.tables[block.class_of[block.context(segment, averages[state])]]
                segment.append(self.symbol(state, table, block.scale))
                averages[state].follow(segment[-1])
        return [token for segment in segments for token in segment][: block.span]


def read_length(data: bytes, most: int) -> tuple[int, int]:
    value = 0
    for place in range(5):
        must(hold=1 + place < len(data))
        byte = data[1 + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            must(hold=byte > 0 and value <= most)
            return value, 2 + place
    raise MalformedError


def decode(data: bytes, width: int, lag: int) -> bytes:
    """What spec.md says, word for word."""
    if not data:
        return b""
    must(hold=data[0] <= 1)
    if data[0] == 0:
        must(hold=len(data) > 1 and len(data) % width == 1 % width)
        return data[1:]
    length, at = read_length(data, (1 << 30) // width)
    must(hold=at + 4 * STATES <= len(data))
    words = [data[at + 4 * state :][:4] for state in range(STATES)]
    decoder = Decoder(data, at + 4 * STATES, [int.from_bytes(word, "little") for word in words])
    must(hold=min(decoder.states) >= 1 << 16)
    cells = 65536 if length >= 32768 else max(4096, 1 << length.bit_length())
    lanes: list[int] = []
    while len(lanes) < length:
        block = Block(Bits(data, decoder.at), 256 if width == 1 else 32 * width - 4, lag)
        decoder.at = block.read(length - len(lanes), cells)
        tokens = decoder.tokens(block)
        if width == 1:
            lanes += tokens
            continue
        bits = Bits(data, decoder.at)
        for token in tokens:
            high = token if token < 8 else 4 + token % 4
            lanes.append(high << low_of(token) | bits.get(low_of(token)))
        decoder.at = bits.end()
    must(hold=decoder.at == len(data) and decoder.states == [1 << 16] * STATES)
    return b"".join(lane.to_bytes(width, "little") for lane in lanes)
