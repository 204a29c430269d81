"""table in Python: the inverse, as spec.md says it."""

from collections.abc import Iterator, Sequence

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


def numbered(column: Sequence[bytes]) -> list[int]:
    """The number of each field; 32 slots are looked at."""
    size = 16
    while size < 2 * len(column):
        size *= 2
    slots: dict[int, tuple[bytes, int]] = {}
    found: list[int] = []
    count = 0
    for field in column:
        for probe in range(32):
            slot = (hash_of(field) + probe) % size
            if slot not in slots:
                slots[slot] = (field, count)
            elif slots[slot][0] != field:
                continue
            number = slots[slot][1]
            break
        else:
            number = count
        found.append(number)
        count = max(count, number + 1)
    return found


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


def column(
    source: int, parent: Sequence[int], rows: int, misses: Iterator[int], cells: Iterator[bytes]
) -> list[bytes]:
    """One column's fields."""
    fields: list[bytes] = []
    latest: dict[int, bytes] = {}
    for row in range(rows):
        told: bytes | None = None
        if source == ABOVE and row:
            told = fields[-1]
        elif source == COUNTER and row > 1:
            told = continued(*fields[-2:])
        elif source >= FROM:
            told = latest.get(parent[row])
        field = next(cells) if told is None or next(misses) else told
        if source >= FROM:
            latest[parent[row]] = field
        fields.append(field)
    return fields


def inverse(streams: Sequence[bytes]) -> bytes:
    """The text."""
    shape, miss_bytes, cell_bytes, ragged = streams
    if not shape:
        return b""
    length, columns, rows, others, *rest = numbers(shape)
    places, sources = rest[: 2 * others], rest[2 * others :]
    misses, cells = iter(miss_bytes), iter(cell_bytes.split(b"\n")[:-1])
    table: dict[int, list[bytes]] = {}
    for c in order(sources):
        parent = numbered(table[sources[c] - FROM]) if sources[c] >= FROM else []
        table[c] = column(sources[c], parent, rows, misses, cells)
    assert not list(misses)
    assert not list(cells)
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
