"""What the planner offers for unknown parameters, and the stretch of data it judges them on."""

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring0.plan import Dtype
from ring2_orchestrator.container import BytesSource
from ring2_orchestrator.planner.offers import delimiters_of, offers
from ring2_orchestrator.planner.periods import Periods
from ring2_orchestrator.planner.sample import ALIGNMENT, take_stretch

PUNCTUATION = b"\"'[](){}<>,;:.|\\/\t \n"
DISTANCES = st.lists(st.integers(1, 1 << 16), max_size=6, unique=True)


@st.composite
def periods(draw: Any) -> Periods:
    by_width = ((width, tuple(width * each for each in draw(DISTANCES))) for width in (1, 2, 4, 8))
    return Periods(tuple(by_width))


@given(seen=periods(), dtype=st.sampled_from(Dtype), sample=st.binary(max_size=300))
def test_distances_are_whole_lanes_that_were_seen(
    seen: Periods, dtype: Dtype, sample: bytes
) -> None:
    offered = offers(seen, dtype, delimiters_of(sample))
    every = {each for _, those in seen.by_width for each in those}
    assert {lanes * dtype.width for lanes in offered["row"]} <= every
    assert set(offered["lag"]) == {1, *offered["row"]}
    assert all(len(set(each)) == len(each) for each in offered.values()), "nothing is tried twice"
    assert offered == offers(seen, dtype, delimiters_of(sample))


@given(seen=periods(), dtype=st.sampled_from(Dtype))
def test_a_record_is_what_distances_have_in_common_or_a_part_of_it(
    seen: Periods, dtype: Dtype
) -> None:
    offered = offers(seen, dtype, ())
    for record in offered["record"]:
        assert 2 <= record <= 128
        assert any(
            math.gcd(one, other) % record == 0 for one in offered["row"] for other in offered["row"]
        )


@pytest.mark.parametrize("delimiter", [b",", b"\t", b";", b"|", b" "])
def test_the_delimiter_of_lines_is_offered_first(delimiter: bytes) -> None:
    lines = b"".join(delimiter.join([b"%d" % n, b"a.b", b"%d" % (n * n)]) + b"\n" for n in range(9))
    assert delimiters_of(lines)[0] == delimiter[0]


def test_what_quotes_and_brackets_hold_is_not_cut() -> None:
    row = b'1.2.3.%d - - [1/May/2015:10:05:%d +0000] "GET /%d" 200 "X (like%s, Y)"\n'
    log = b"".join(row % (n, n, n, b" b" * (n % 7)) for n in range(50))
    assert delimiters_of(log)[0] == ord(" ")


def test_lines_of_json_are_told_from_fields() -> None:
    lines = b"".join(b'{"n":%d,"at":[%s]}\n' % (n, b"1," * (n % 5) + b"2") for n in range(9))
    assert delimiters_of(lines)[0] == 256


@given(text=st.text('a,;["]\n', max_size=60))
def test_quotes_and_brackets_hold_what_stands_between_them_in_one_line(text: str) -> None:
    sample = text.encode()
    bare = re.sub(rb'"[^"\n]*"|\[[^]\n]*\]', b"", sample)
    assert delimiters_of(sample) == delimiters_of(bare)


@pytest.mark.parametrize("first", PUNCTUATION)
def test_any_punctuation_is_looked_through_in_one_pass(first: int) -> None:
    # Were every byte followed to the end of the line, one of these would take a minute.
    for second in PUNCTUATION:
        delimiters_of(b"\n" + bytes((first, second)) * 10_000 + b"\n")


@given(sample=st.binary(max_size=200))
def test_what_has_no_delimiters_is_offered_none(sample: bytes) -> None:
    plain = bytes(each for each in sample if each not in b",\t;| {[")
    assert delimiters_of(plain) == ()


@given(size=st.integers(0, 9000), wanted=st.integers(0, 4000))
def test_a_stretch_is_contiguous_and_from_the_middle(size: int, wanted: int) -> None:
    data = bytes(n * n // 251 % 256 for n in range(size))
    stretch = take_stretch(BytesSource(data), wanted)
    assert stretch.total == size
    if size <= 2 * wanted:
        assert stretch.data == data
        return
    begin = (size - wanted) // 2 // ALIGNMENT * ALIGNMENT
    assert stretch.data == data[begin : begin + len(stretch.data)]
    assert wanted - ALIGNMENT < len(stretch.data) <= wanted
    assert not stretch.is_whole
