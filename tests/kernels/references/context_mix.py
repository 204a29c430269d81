"""context_mix, decoded as `ring1_kernels/context_mix/spec.md` says."""

from tests.kernels.references.mixing import (
    M32,
    STRETCH,
    Adaptive,
    Coder,
    Match,
    Mixer,
    Refiner,
    byte_in_halves,
    least_bits,
    limit,
    mixed_hash,
    must,
    read_stream,
    squash,
    step_of,
    toward_zero,
)

LETTER, DIGIT, BLANK, NEWLINE, QUOTE, COMMA, OPEN, CLOSE = range(1, 9)
CLASSES = {ord(" "): BLANK, 10: NEWLINE} | {
    byte: number
    for members, number in (
        (b"\"'", QUOTE),
        (b",;\t", COMMA),
        (b"{[(", OPEN),
        (b"}])", CLOSE),
        (b"0123456789", DIGIT),
        (b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", LETTER),
        (range(128, 256), LETTER),
    )
    for byte in members
}

State = tuple[int, int, int]


def after(state: State, bit: int) -> State:
    counts = [state[0], state[1]]
    counts[bit] += 1
    other = counts[1 - bit]
    for least, lowered in ((25, 7), (16, 6), (10, 5), (6, 4), (4, 3), (3, 2)):
        if other >= least:
            counts[1 - bit] = lowered
            break
    while min(counts) > 5 or max(counts) > (41, 40, 12, 5, 4, 3)[min(counts)]:
        larger = bit if counts[0] == counts[1] else counts.index(max(counts))
        counts[larger] -= 1
    last = 1 if counts[0] == 0 else 0 if counts[1] == 0 else bit
    return counts[0], counts[1], last


def all_states() -> tuple[list[State], list[tuple[int, int]]]:
    states: list[State] = [(0, 0, 0)]
    following: list[tuple[int, int]] = []
    for state in states:
        both = [after(state, bit) for bit in (0, 1)]
        for one in both:
            if one not in states:
                states.append(one)
        following.append((states.index(both[0]), states.index(both[1])))
    return states, following


STATES, NEXT = all_states()


class Text:
    """Words, lines, fields and brackets."""

    def __init__(self) -> None:
        self.shape = self.word = self.word_before = self.key = 0
        self.line = self.line_before = self.field = self.fields_before = 0
        self.field_hash = self.field_hash_before = 0
        self.keys: list[int] = []
        self.starts, self.starts_before = [0] * 256, [0] * 256

    def read(self, x: int, at: int) -> None:
        k = CLASSES.get(x, 0)
        self.shape = (self.shape << 4 | k) & M32
        if k in (LETTER, DIGIT):
            self.word = mixed_hash(self.word, x | 32 if k == LETTER else x)
        else:
            self.word_before = self.word or self.word_before
            self.word = 0
        if k == OPEN and len(self.keys) < 63:
            self.keys.append(self.key)
        if k == CLOSE and self.keys:
            self.keys.pop()
        if k == QUOTE or x in b":=":
            self.key = self.word_before
        self._move(x, k, at)

    def _move(self, x: int, k: int, at: int) -> None:
        if k == NEWLINE:
            self.line_before, self.line = self.line, at
            self.starts, self.starts_before = self.starts_before, self.starts
            self.fields_before, self.field = self.field, 0
        elif k in (BLANK, QUOTE, COMMA) or x == ord(":"):
            self.field = min(255, self.field + 1)
        else:
            self.field_hash = mixed_hash(self.field_hash, x)
            return
        self.starts[self.field] = at
        self.field_hash_before, self.field_hash = self.field_hash, 0


class Model:
    """All that is known while decoding."""

    def __init__(self, coder: Coder, n: int) -> None:
        self.coder, self.n = coder, n
        self.data, self.text = bytearray(), Text()
        self.match, self.refiner = Match(n, self.data), Refiner()
        self.mixer = Mixer([5000] * 12 + [0, 0, 5000] + [0] * 17, 7)
        self.bits = least_bits(8, 20, 4 * n)
        self.buckets: dict[int, list[int]] = {}
        starts = [(2 * o + 1) * 65535 // (2 * z + 2 * o + 2) for z, o, _ in STATES]
        self.of_state = [[*starts] for _ in range(12)]
        self.of_node = [Adaptive(32768, 30) for _ in range(256)]
        self.flags: list[dict[int, Adaptive]] = [{} for _ in range(4)]
        self.flag_weights = [[26214] * 4 for _ in range(46)]
        self.misses = 0

    def last(self, count: int, before: int = 0) -> int:
        """The last bytes, or those before them, the last one lowest."""
        end = len(self.data) - before
        return int.from_bytes(self.data[max(0, end - count) : max(0, end)], "big")

    def shown(self, at: int, end: int) -> int:
        return self.data[at] if at < end else 0

    def two_above(self, in_field: int) -> int:
        t = self.text
        if t.fields_before == 0 or t.field > t.fields_before:
            return 0
        start = in_field + t.starts_before[t.field]
        end = t.starts_before[t.field + 1] if t.field < t.fields_before else t.line
        return 256 * self.shown(start, end) + self.shown(start + 1, end)

    def contexts(self) -> list[int]:
        t, h, a = self.text, mixed_hash, self.last(1)
        last4, last8 = self.last(4), self.last(4, before=4)
        column = len(self.data) - t.line
        above = self.shown(t.line_before + column, t.line)
        in_field = len(self.data) - t.starts[t.field]
        two = self.two_above(in_field)
        parent = t.keys[-1] if t.keys else 0
        return [
            h(0, last4 & 0xFFFF),
            h(1, last4 & 0xFFFFFF),
            h(2, last4),
            h(h(3, last4), last8 & 0xFFFF),
            h(h(4, t.word), a),
            h(h(5, t.word), t.word_before),
            h(h(6, t.field), t.field_hash),
            h(h(7, t.field), two << 8 | a),
            h(h(8, above | a << 8), min(column, 255)),
            h(h(9, t.shape), len(t.keys)),
            h(h(10, parent), h(t.word, a if in_field > 0 else t.key)),
            h(h(11, t.field_hash_before), above << 16 | two),
        ]

    def bucket(self, name: int) -> list[int]:
        at, check = name >> (32 - self.bits), name & 255
        three = [self.buckets.setdefault(at ^ i, [0] * 16) for i in range(3)]
        for one in three:
            if one[0] == check:
                return one
        made = min(three, key=lambda one: STATES[one[1]][0] + STATES[one[1]][1])
        made[:] = [check] + [0] * 15
        return made

    def bit(self, done: int, node: int, place: int, found: list[list[int]]) -> int:
        said = [self.of_state[i][one[place]] for i, one in enumerate(found)]
        self.match.expect(node, done)
        m = self.match.said.bits(16) if self.match.said else 32768
        says = [*said, 32768, 32768, m, self.of_node[node].bits(16)]
        inputs = [STRETCH[p >> 4] for p in says] + [(p >> 5) - 1024 for p in says]
        inputs[31] = 256
        picked = [
            256 * self.match.confidence + node,
            8 * self.last(1) + done,
            8 * (self.text.shape & 255) + done,
        ]
        mixed = self.mixer.mix(inputs, picked, node)
        line = mixed_hash(self.last(2), node) >> 22
        bit = self.coder.bit(self.refiner.refine(mixed, line))
        for i, one in enumerate(found):
            p, v = said[i], 65535 - said[i]
            self.of_state[i][one[place]] = 65535 - (v - (v >> 6)) if bit else p - (p >> 6)
            one[place] = NEXT[one[place]][bit]
        if self.match.said:
            self.match.said.learn(bit)
        self.of_node[node].learn(bit)
        self.mixer.learn(bit)
        self.refiner.learn(bit)
        return bit

    def in_bits(self) -> int:
        return byte_in_halves(self.contexts(), self.bucket, self.bit)

    def byte(self) -> int:
        if self.match.length < 16:
            return self.in_bits()
        expected, step = self.data[self.match.at], step_of(self.match.length)
        place = mixed_hash(self.text.field, self.text.field_hash)
        shift = 32 - (self.match.bits - 2)
        keys = [
            mixed_hash(self.last(1), expected) >> shift,
            mixed_hash(mixed_hash(place, expected), 2) >> shift,
            mixed_hash(self.last(3), expected) >> shift,
            64 * step + self.misses % 64,
        ]
        said = [
            table.setdefault(key, Adaptive(64512, 1023 if i == 3 else 255))
            for i, (table, key) in enumerate(zip(self.flags, keys, strict=True))
        ]
        stretched = [STRETCH[one.bits(12)] for one in said]
        weights = self.flag_weights[step]
        total = sum(s * w for s, w in zip(stretched, weights, strict=True))
        mixed = squash(limit(total >> 16, 2815))
        p = (3 * mixed + said[3].bits(16)) // 4

        def learn(hit: int) -> None:
            error = toward_zero(65535 * hit - mixed, 16)
            for i, one in enumerate(said):
                one.learn(hit)
                weights[i] += stretched[i] * error >> 10
            self.misses = 2 * self.misses + 1 - hit

        if p < 64800:
            byte = self.in_bits()
            learn(int(byte == expected))
            return byte
        hit = self.coder.bit(p)
        learn(hit)
        if hit:
            return expected
        self.match.length = 0
        return self.in_bits()

    def decode(self) -> bytes:
        while len(self.data) < self.n:
            byte = self.byte()
            self.data.append(byte)
            self.text.read(byte, len(self.data))
            self.match.move()
            must(hold=self.coder.missing <= 3)
        return bytes(self.data)


def decode(coded: bytes) -> bytes:
    """What the stream stands for. Raises MalformedError."""
    return read_stream(coded, lambda coder, n: Model(coder, n).decode())
