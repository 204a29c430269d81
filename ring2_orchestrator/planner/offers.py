"""Values worth trying for parameters that genes leave to the planner, as the data suggests them."""

import itertools
import math
import re
from collections import Counter

from ring0.plan import Dtype
from ring2_orchestrator.gene import Offers
from ring2_orchestrator.planner.periods import Periods

_CHANNELS = (1, 2, 3, 4)
_ORDERS = (8, 16, 32)
_WINDOWS = (9, 8)
# A row of floats has no more lanes than its weights are worth.
_LEAST_RECORD, _MOST_RECORD, _RECORDS = 2, 128, 12
_PARTS = range(1, 16)
# Bytes that stand between fields, if any do, and what stands for lines of JSON.
_DELIMITERS = b",\t;| "
_JSON_LINES = 256
_OPENING = re.compile(rb'["[]')
_CLOSES = {b'"': b'"', b"[": b"]"}


def offers(periods: Periods, dtype: Dtype, delimiters: tuple[int, ...]) -> Offers:
    """Values by the name of the parameter; distances are in lanes of that type.

    `delimiters` are those of the data, from `delimiters_of`: they are the same for every type.
    """
    distances = periods.lanes(dtype)
    return {
        "lag": (1, *distances),
        "row": distances,
        "record": _records(distances),
        "channels": _CHANNELS,
        "order": _ORDERS,
        "window": _WINDOWS,
        "delimiter": delimiters,
        "dictionary": (1, 0),
    }


def _records(distances: tuple[int, ...]) -> tuple[int, ...]:
    """Short distances, and parts of what two have in common, which may be several records."""
    common = {math.gcd(a, b) for a, b in itertools.combinations(distances, 2)}
    parts = {each // part for each in common for part in _PARTS if each % part == 0}
    found = dict.fromkeys((*distances, *sorted(parts, reverse=True)))
    return tuple(each for each in found if _LEAST_RECORD <= each <= _MOST_RECORD)[:_RECORDS]


def delimiters_of(sample: bytes) -> tuple[int, ...]:
    """The two likeliest: those that cut most fields in lines that have equally many of them."""
    # What quotes and brackets hold together is one field.
    lines = [_without_held(line) for line in sample.split(b"\n")[1:-1]]
    found = {each: _fields([line.count(each) for line in lines]) for each in _DELIMITERS}
    members = [line.count(b":") for line in lines if line[:1] in (b"{", b"[")]
    # Whatever stands between members, their names say more.
    found[_JSON_LINES] = 2 * _fields(members)
    ranked = sorted(found, key=lambda each: (-found[each], each))
    return tuple(each for each in ranked[:2] if found[each])


def _without_held(line: bytes) -> bytes:
    """The line without what stands between quotes or brackets; in time that grows as it does."""
    kept: list[bytes] = []
    begin = at = 0
    # By hand: an expression would look for the end of the line again from every open bracket.
    never = set[bytes]()
    while len(never) < len(_CLOSES) and (found := _OPENING.search(line, at)) is not None:
        opening = found[0]
        end = -1 if opening in never else line.find(_CLOSES[opening], found.end())
        if end < 0:
            never.add(opening)
            at = found.end()
            continue
        kept.append(line[begin : found.start()])
        begin = at = end + 1
    return b"".join((*kept, line[begin:]))


def _fields(counts: list[int]) -> int:
    """The fields of the lines that are cut equally often, of those that have most together."""
    return max((lines * number for number, lines in Counter(counts).items()), default=0)
