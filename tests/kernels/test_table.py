"""table beside the same thing said in Python, and what it must find in tables."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring0.abi import Op
from ring0.host import Host
from ring0.outcome import Refused, Result
from ring2_orchestrator.kernels import KernelSet
from tests.kernels.references import table

Forward = Callable[..., list[bytes]]
COMMA = ord(",")
JSON = 256

TEXTS = {
    "nothing": b"",
    "an end of line": b"\n",
    "no end of line": b"a,b\nc,d",
    "one line": b"a,b,c\n",
    "empty lines": b"\n\na,b\n\nc,d\n\n",
    "no delimiter": b"one\ntwo\nthree\n",
    "ragged": b"a,b\nc\nd,e,f\ng,h\n,\n",
    "quoted": b'"a,b",c\n"d ""e"", f",g\n"h\n",i\n"j,k\n',
    "dos": b"a,b\r\nc,d\r\n",
    "bytes": bytes(range(256)) * 3,
    "counting": b"".join(b"%03d,x\n" % i for i in range(90, 130)),
    "counting down": b"".join(b"%d,x\n" % i for i in range(30, -1, -1)),
    "large numbers": b"".join(b"%d,x\n" % (10**18 - 5 + i) for i in range(10)),
    "wide": b",".join(b"%d" % i for i in range(256)) + b"\n",
    "json": b'{"a": 1, "b": "x"}\n{"a": -2.5e3, "b": "y\\"z"}\n{"a": null, "b": ""}\n{"b": 1}\n'
    * 2,
    "nested json": b'{"a":{"b":[1,[2,"]"]],"c":1},"d":"\\\\"}\n{"a":{"b":[],"c":2},"d":"e"}\n',
    "broken json": b'{"a": "b\n{"a": [1, "c"\n{"a": "\\\n"\n"\\"\n[[[\n',
    "too wide": b",".join(b"%d" % i for i in range(257)) + b"\n",
}


@pytest.fixture
def forward(kernels: KernelSet, host: Host) -> Forward:
    """The streams, after the kernel and the reference gave the text back."""
    kernel = kernels.by_name("table")

    def call(text: bytes, delimiter: int = COMMA, dictionary: int = 0) -> list[bytes]:
        setting = {"delimiter": delimiter, "dictionary": dictionary}
        params = kernel.manifest.encode_parameters(setting)
        outcome = host.call(kernel, Op.FORWARD, params, [text])
        assert isinstance(outcome, Result), outcome
        assert host.call(kernel, Op.INVERSE, params, outcome.outputs) == Result([text])
        assert table.inverse(outcome.outputs) == text
        return outcome.outputs

    return call


def related(rows: int, seed: int) -> bytes:
    """A number, a town, its region, its height, and something of the row's own."""
    rng = np.random.default_rng(seed)
    towns = [(b"town %d" % i, b"region %d" % (i // 9), b"%d.5" % (37 * i)) for i in range(90)]
    lines = []
    for row in range(rows):
        town, region, height = towns[rng.integers(90)]
        lines.append(b"%d,%s,%s,%s,%d\n" % (1000 + row, town, region, height, rng.integers(10)))
    return b"".join(lines)


@pytest.mark.parametrize("name", TEXTS)
def test_every_text_comes_back(name: str, forward: Forward) -> None:
    for delimiter in (COMMA, ord(" "), ord("\n"), ord('"'), 0, 255, JSON):
        for dictionary in (0, 1, 2):
            forward(TEXTS[name], delimiter, dictionary)


@given(
    text=st.lists(
        st.sampled_from(
            [b"a", b"12", b"13", b"1:02:03", b",", b":", b"\n", b'"', b"[", b"]", b"\\"]
        )
    ),
    delimiter=st.sampled_from([COMMA, JSON]),
    dictionary=st.sampled_from([0, 1, 2]),
)
def test_any_text_comes_back(
    text: list[bytes], delimiter: int, dictionary: int, kernels: KernelSet, host: Host
) -> None:
    kernel = kernels.by_name("table")
    data = b"".join(text)
    setting = {"delimiter": delimiter, "dictionary": dictionary}
    params = kernel.manifest.encode_parameters(setting)
    outcome = host.call(kernel, Op.FORWARD, params, [data])
    assert isinstance(outcome, Result)
    assert host.call(kernel, Op.INVERSE, params, outcome.outputs) == Result([data])
    assert table.inverse(outcome.outputs) == data


def test_what_follows_from_another_column_is_not_written(forward: Forward) -> None:
    _, runs, cells, known, ragged, _, _ = forward(related(2000, 1))
    assert known == b""
    assert ragged == b"\n,\n,\n,\n,\n\n"
    # Towns and heights say the same: one of them is written, the other where it is new.
    assert cells.count(b"region") <= 90
    once, always = sorted([cells.count(b"town"), cells.count(b".5\n")])
    assert once <= 90
    assert always == 2000
    assert cells.count(b"\n") <= 2 + 2000 + 90 + 90 + 2000
    assert len(table.numbers(runs)) < 20


def test_columns_without_relation_are_only_turned(forward: Forward) -> None:
    rng = np.random.default_rng(2)
    text = b"".join(b"%d,%d\n" % tuple(rng.integers(900, size=2)) for _ in range(500))
    shape, runs, cells, *_ = forward(text)
    assert table.numbers(shape)[4:] == [table.PLAIN, table.PLAIN]
    assert runs == b""
    assert len(cells) == len(text)


def test_quotes_and_brackets_hold_a_field_together(forward: Forward) -> None:
    text = b'1.2.3.4 - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200\n' * 3
    # The moment is day, month, year, hours, minutes, seconds, zone.
    assert table.numbers(forward(text, ord(" "))[0])[1] == 4 + 7


def test_lines_of_json_are_rows_where_only_their_values_differ(forward: Forward) -> None:
    lines = [
        b'{"at": %d, "who": {"name": "n%d", "old": %s}, "tags": %s}\n'
        % (100 + i, who := i * i % 31, (b"false", b"true")[who % 2], (b"[1, [2]]", b"[]")[who % 2])
        for i in range(600)
    ]
    lines[70] = b'{"else": 1}\n'
    shape, runs, cells, _, ragged, *_ = forward(b"".join(lines), JSON)
    assert table.numbers(shape)[1:4] == [4, 599, 1]
    assert ragged == b'{"at": \n, "who": {"name": "\n", "old": \n}, "tags": \n}\n{"else": 1}'
    assert cells.count(b"true") <= 16
    assert len(table.numbers(runs)) < 10


def test_fields_that_stood_there_before_are_numbers(forward: Forward) -> None:
    rng = np.random.default_rng(3)
    words = [b"word %d" % each for each in rng.integers(9, size=400)]
    text = b"".join(b"%d,%s\n" % (at * at % 389 * 7, word) for at, word in enumerate(words))
    shape, _, cells, known, *_ = forward(text, COMMA, 1)
    seen = list(dict.fromkeys(words))
    assert cells.endswith(b"".join(word + b"\n" for word in seen))
    assert table.numbers(shape)[5] == 2 * table.PLAIN + 1
    numbers = np.frombuffer(known, "<u2")[-400:].tolist()
    firsts = {words.index(word) for word in seen}
    assert numbers == [0 if at in firsts else seen.index(word) + 1 for at, word in enumerate(words)]


@pytest.mark.parametrize(
    ("moment", "parts"),
    [
        (b"2015-05-17T10:05:03.123Z", 7),
        (b"10:05:03", 3),
        (b"[17/May/2015:10:05:03 +0000]", 7),
        (b"10:05", 1),
        (b"2015-05-17", 1),
        (b"at 10:05:03 (about)", 1),
        (b"10:05:03" + b" and so on" * 4, 1),
    ],
)
def test_moments_are_cut_into_their_parts(moment: bytes, parts: int, forward: Forward) -> None:
    text = b"".join(b"%d,%s,x\n" % (at, moment) for at in range(5))
    assert table.numbers(forward(text)[0])[1] == 2 + parts


def test_moments_stay_whole_where_rows_would_be_lost(forward: Forward) -> None:
    text = b"".join(b"%d,%s\n" % (at, (b"10:05:03", b"")[at % 9 == 0]) for at in range(99))
    _, columns, rows, *_ = table.numbers(forward(text)[0])
    assert (columns, rows) == (2, 99)


def test_equal_hashes_cost_a_bounded_time_and_nothing_else(forward: Forward) -> None:
    # 40 fields of one slot: from the 33rd on none is remembered, and none is mistaken.
    wanted, fields = table.hash_of(b"0") % 256, []
    number = 0
    while len(fields) < 40:
        if table.hash_of(b"%d" % number) % 256 == wanted:
            fields.append(b"%d" % number)
        number += 1
    rows = [b"%s,value %s\n" % (field, field) for field in fields * 3]
    forward(b"".join(rows))


EXAMPLE = [
    bytes.fromhex("0e020301020101 06"),
    b"\x00",
    b"a\nb\n1\n2\n3\n",
    bytes.fromhex("0000 0000 0100"),
    b"\n,\n\nx",
    b"",
    b"",
]


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (0, b""),
        (0, EXAMPLE[0] + b"\0"),
        (0, EXAMPLE[0][:-1]),
        (0, bytes.fromhex("8e000203010201 0106")),  # a number not in its shortest form
        (0, bytes.fromhex("0e02030102010806")),  # two columns, each the other's parent
        (0, bytes.fromhex("0e02030102010100")),  # no parent, and a run
        (0, bytes.fromhex("0e0203010201010a")),  # a parent that is no column
        (0, bytes.fromhex("0e02030102010006")),  # a column without numbers, and numbers
        (0, bytes.fromhex("0f020301020101 06")),  # longer than its lines
        (0, bytes.fromhex("0c020301020101 06")),
        (0, bytes.fromhex("0e010301020101")),  # one column
        (0, bytes.fromhex("0e02ffffffff0f01020101 06")),  # more rows than bytes
        (0, bytes.fromhex("0e020301ffffffff0f0101 06")),  # a ragged line after more rows
        (0, bytes.fromhex("0e0203010202 0106")),  # a ragged line longer than its stream
        (1, b""),
        (1, b"\1"),
        (1, b"\x80\0"),
        (1, b"\0\0"),
        (2, EXAMPLE[2][:-1]),
        (2, EXAMPLE[2] + b"1\n"),
        (3, bytes.fromhex("0000 0000 01")),
        (3, bytes.fromhex("0000 0000")),
        (3, bytes.fromhex("0000 0000 0300")),  # a number that no field has yet
        (3, bytes.fromhex("0000 0000 0100 0100")),
        (4, b""),
        (4, b"\n,\n"),
        (4, b"\n,,\n\nx"),
        (4, b"\n,\n\nxy"),
        (5, b"\0\0"),  # one column is not numbered
        (6, b"\0\0"),
    ],
)
def test_streams_that_break_the_page_are_refused(
    stream: int, data: bytes, kernels: KernelSet, host: Host
) -> None:
    kernel = kernels.by_name("table")
    params = kernel.manifest.encode_parameters({"delimiter": COMMA, "dictionary": 1})
    assert host.call(kernel, Op.INVERSE, params, EXAMPLE) == Result([b"a,1\nb,2\nx\na,3\n"])
    assert table.inverse(EXAMPLE) == b"a,1\nb,2\nx\na,3\n"
    streams = [*EXAMPLE[:stream], data, *EXAMPLE[stream + 1 :]]
    outcome = host.call(kernel, Op.INVERSE, params, streams)
    assert isinstance(outcome, Refused)
    assert outcome.code == 3
