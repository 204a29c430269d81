"""table in Python: the inverse, as spec.md says it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PLAIN, ABOVE, COUNTER, FROM = range(4)


def numbers(data: bytes) -> list[int]:
    """Unsigned LEB128, one after another."""
    found, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            found.append(value)
            value, shift = 0, 0
    return found


def hash_of(field: bytes) -> int:
    """Where a field's slots begin."""
    h = len(field)
    for byte in field:
        h = (h ^ byte) * 0x9E3779B1 & 0xFFFFFFFF
    return h ^ h >> 15


class Numbers:
    """The numbers of a column's fields; 32 slots are looked at for one that was written."""

    def __init__(self, rows: int) -> None:
        self.size = 16
        while self.size < 2 * rows:
            self.size *= 2
        self.slots: dict[int, tuple[bytes, int]] = {}
        self.fields: list[bytes] = []

    def new(self, field: bytes) -> int:
        """The next number."""
        self.fields.append(field)
        return len(self.fields) - 1

    def written(self, field: bytes) -> int:
        """That of an equal field that was written before, or the next."""
        for probe in range(32):
            slot = (hash_of(field) + probe) % self.size
            if slot not in self.slots:
                self.slots[slot] = (field, len(self.fields))
                break
            if self.slots[slot][0] == field:
                return self.slots[slot][1]
        return self.new(field)


def order(sources: Sequence[int]) -> list[int]:
    """The columns in the order in which they are written."""
    written = [c for c, source in enumerate(sources) if source < FROM]
    for column in written:
        written += [c for c, source in enumerate(sources) if source == FROM + column]
    return written


def continued(before: bytes, last: bytes) -> bytes | None:
    """The number after two others."""
    if not all(1 <= len(each) <= 18 and each.isdigit() for each in (before, last)):
        return None
    value = 2 * int(last) - int(before)
    return None if value < 0 else f"{value or ''}".zfill(len(last)).encode()


class Streams:
    """What is read field by field."""

    def __init__(
        self, runs: bytes, cells: bytes, known: bytes, types: bytes = b"", lanes: bytes = b""
    ) -> None:
        self.types = iter(types)
        self.has_types = types != b""
        self.lanes = iter(memoryview(lanes).cast("H").tolist())
        self.cells = iter(cells.split(b"\n")[:-1])
        self.known = iter(memoryview(known).cast("H").tolist())
        hits = numbers(runs)
        self.misses = iter([miss for run in hits for miss in [*[0] * run, 1]])

    def assert_read(self) -> None:
        """Nothing may be left."""
        assert not list(self.cells)
        assert not list(self.known)
        assert not list(self.misses)
        assert not list(self.types)
        assert not list(self.lanes)

    def number(self) -> int:
        """The next of the types' numbers."""
        value = shift = 0
        while True:
            byte = next(self.types)
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def affix(self) -> bytes:
        """A length and so many bytes."""
        return bytes(next(self.types) for _ in range(next(self.types)))

    def values(self, count: int, halves: int, order: int, base: int) -> list[int]:
        """A column's values from its lanes."""
        planes = [[next(self.lanes) for _ in range(count)] for _ in range(halves)]
        found = [base, base]
        for at in range(count):
            x = sum(plane[at] << 16 * k for k, plane in enumerate(planes))
            step = x // 2 if x % 2 == 0 else -(x + 1) // 2
            a, b = found[-1], found[-2]
            value = (base + x, a + step, 2 * a - b + step)[order]
            found.append((value + 2**63) % 2**64 - 2**63)
        return found[2:]


@dataclass(frozen=True)
class Form:
    """How values are made text."""

    decimals: int
    zeros: int
    plus: int
    digits: int
    prefix: bytes
    suffix: bytes

    def text(self, value: int) -> bytes:
        """A field."""
        digits = str(abs(value)).zfill(self.decimals + self.digits)
        whole, rest = digits[: len(digits) - self.decimals], digits[len(digits) - self.decimals :]
        if self.zeros:
            kept = self.zeros - 1
            rest = rest[:kept] + rest[kept:].rstrip("0")
        sign = "-" if value < 0 else "+" * self.plus
        return self.prefix + f"{sign}{whole}{'.' * (rest != '')}{rest}".encode() + self.suffix


def typed(streams: Streams) -> tuple[list[bytes], Iterator[int] | Iterator[bytes]]:
    """The texts of a column's ranks, if it has any, and the ranks; or its written fields."""
    if not streams.has_types or not (kind := streams.number()):
        return [], streams.cells
    kind, count = kind - 1, streams.number()
    folded = streams.number()
    base = folded // 2 if folded % 2 == 0 else -(folded + 1) // 2
    values = streams.values(count, (0, 1, 2, 4)[kind // 6], kind // 2 % 3, base)
    if kind % 2:
        return [next(streams.cells) for _ in range(streams.number())], iter(values)
    form = streams.number()
    looks = Form(
        form // 6, form // 2 % 3, form % 2, streams.number(), streams.affix(), streams.affix()
    )
    gaps = [streams.number() for _ in range(streams.number())]
    return [], fields_of(values, looks, gaps, streams)


def fields_of(
    values: Sequence[int], form: Form, gaps: Sequence[int], streams: Streams
) -> Iterator[bytes]:
    """Fields made of values, and the exceptions between them."""
    left = iter(values)
    for gap in gaps:
        for _ in range(gap):
            yield form.text(next(left))
        yield next(streams.cells)
    yield from map(form.text, left)


def field_of(written: int | bytes, ranked: Sequence[bytes], known: Numbers) -> tuple[bytes, int]:
    """A written field from its rank, or as it is; and its number."""
    if isinstance(written, bytes):
        return written, known.written(written)
    assert 0 <= written < len(ranked)
    return ranked[written], written


def column(
    source: int, is_numbered: bool, parent: Sequence[int], rows: int, streams: Streams
) -> tuple[list[bytes], list[int]]:
    """One column's fields, and their numbers."""
    fields: list[bytes] = []
    kept: list[int] = []
    known = Numbers(rows)
    latest: dict[int, int] = {}
    ranked, written = ([], streams.cells) if is_numbered else typed(streams)
    for text in ranked:
        known.new(text)
    for row in range(rows):
        at: int | None = None
        told: bytes | None = None
        if source == ABOVE and row:
            at = row - 1
        elif source == COUNTER and row > 1:
            told = continued(*fields[-2:])
        elif source >= FROM:
            at = latest.get(parent[row])
            latest[parent[row]] = row
        if at is not None:
            told = fields[at]
        if told is not None and not next(streams.misses, 0):
            number = known.new(told) if at is None else kept[at]
        elif is_numbered:
            number = next(streams.known) - 1
            told = known.fields[number] if number >= 0 else next(streams.cells)
            number = known.new(told) if number < 0 else number
        else:
            told, number = field_of(next(written), ranked, known)
        fields.append(told)
        kept.append(number)
    if written is not streams.cells:
        assert not list(written)
    return fields, kept


def inverse(streams: Sequence[bytes]) -> bytes:
    """The text."""
    shape, runs, cells, known, ragged, types, lanes = streams
    if not shape:
        return b""
    length, columns, rows, others, *rest = numbers(shape)
    places, sources = rest[: 2 * others], rest[2 * others :]
    left = Streams(runs, cells, known, types, lanes)
    table: dict[int, list[bytes]] = {}
    kept: dict[int, list[int]] = {}
    for c in order([each // 2 for each in sources]):
        source, is_numbered = divmod(sources[c], 2)
        parent = kept[source - FROM] if source >= FROM else []
        table[c], kept[c] = column(source, is_numbered == 1, parent, rows, left)
    left.assert_read()
    *pieces, ragged = ragged.split(b"\n", columns + 1) if columns else (ragged,)
    lines = [
        b"".join(piece + table[c][r] for c, piece in enumerate(pieces[:-1])) + pieces[-1]
        for r in range(rows)
    ]
    at = start = 0
    for gap, size in zip(places[::2], places[1::2], strict=True):
        at += gap
        lines.insert(at, ragged[start : start + size])
        at += 1
        start += size
    assert start == len(ragged)
    text = b"\n".join(lines)
    return text if len(text) == length else text + b"\n"
