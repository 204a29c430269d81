"""record_mix, decoded as `ring1_kernels/record_mix/spec.md` says."""

from tests.kernels.references.mixing import (
    STRETCH,
    Coder,
    Match,
    Mixer,
    Refiner,
    byte_in_halves,
    least_bits,
    mixed_hash,
    must,
    read_stream,
)

PACE = (170, 102, 73, 57, 46, 39, 34, 30, 27, 24, 22, 20, 19, 18, 16, 15)


def stepped(slot: int, bit: int) -> int:
    q, count = (slot ^ 0x8000) >> 4, slot & 15
    distance = (32767 if bit else 0) - 8 * q
    h = 8 * q + (distance * (128 * PACE[count]) + 16384 >> 15)
    h = min(h + 7, 32767) if bit else h
    return (h >> 3 << 4 | min(15, count + 1)) ^ 0x8000


class Model:
    """All that is known while decoding."""

    def __init__(self, coder: Coder, n: int, record: int, row: int) -> None:
        self.coder, self.n, self.record = coder, n, record
        self.row = row or 2 * record
        self.data = bytearray()
        self.match, self.refiner = Match(n, self.data), Refiner()
        self.mixer = Mixer([8000] * 8 + [0] * 16, 4)
        self.bits = least_bits(8, 20, 4 * n)
        self.buckets: dict[int, list[int]] = {}
        self.followers = [0] * 65536
        self.follower = self.phase = 0

    def back(self, distance: int) -> int:
        return self.data[-distance] if distance <= len(self.data) else 0

    def contexts(self) -> list[int]:
        record, row = self.record, self.row
        w, nw = self.back(record), self.back(row + record)
        n, nn = self.back(row), self.back(2 * row)
        ne = self.back(row - record) if row > record else 0
        gradient, column = (max(0, min(255, value)) for value in (w + n - nw, 2 * n - nn))
        a, b, c = self.back(1), self.back(2), self.back(3)
        numbers = [
            w,
            b << 8 | a,
            w | a << 8,
            gradient | a << 8,
            c << 16 | b << 8 | a,
            (w + ne) // 2 | column << 8,
            n,
            self.followers[self.follower] | a << 16,
        ]
        return [mixed_hash(one, 8 * self.phase + i) for i, one in enumerate(numbers)]

    def bucket(self, name: int) -> list[int]:
        at, check = name >> (32 - self.bits), (name | 1) & 0xFFFF
        both = [self.buckets.setdefault(one, [0] * 16) for one in (at, at ^ 1)]
        for one in both:
            if one[0] == check:
                return one
        made = min(both, key=lambda one: one[1] & 15)
        made[:] = [check] + [0] * 15
        return made

    def bit(self, done: int, node: int, place: int, found: list[list[int]]) -> int:
        slots = [one[place] for one in found]
        says = [(slot ^ 0x8000) >> 4 for slot in slots]
        self.match.expect(node, done)
        m = self.match.said.bits(12) if self.match.said else None
        inputs = [STRETCH[q] for q in says] + [q - 2048 for q in says]
        inputs += [0, 0] if m is None else [STRETCH[m], m - 2048]
        inputs += [256, 0, 0, 0, 0, 0]
        picked = [
            256 * self.match.confidence + node,
            8 * (self.phase % 256) + done,
            8 * self.back(1) + done,
        ]
        mixed = self.mixer.mix(inputs, picked, 256 * (self.phase % 8) + node)
        bit = self.coder.bit(self.refiner.refine(mixed, 256 * (self.phase % 4) + node))
        for one, slot in zip(found, slots, strict=True):
            one[place] = stepped(slot, bit)
        if self.match.said:
            self.match.said.learn(bit)
        self.mixer.learn(bit)
        self.refiner.learn(bit)
        return bit

    def byte(self) -> int:
        return byte_in_halves(self.contexts(), self.bucket, self.bit)

    def decode(self) -> bytes:
        while len(self.data) < self.n:
            byte = self.byte()
            old = self.followers[self.follower]
            self.followers[self.follower] = (old << 8 | byte) & 0xFFFF
            self.data.append(byte)
            self.phase = (self.phase + 1) % self.record
            self.follower = mixed_hash(self.back(2) << 8 | byte, self.phase) >> 16
            self.match.move()
            must(hold=self.coder.missing <= 3)
        return bytes(self.data)


def decode(coded: bytes, record: int, row: int) -> bytes:
    """What the stream stands for. Raises MalformedError."""
    return read_stream(coded, lambda coder, n: Model(coder, n, record, row).decode())
