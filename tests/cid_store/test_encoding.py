"""A node has exactly one encoding; everything else is refused, at bounded cost."""

import csv
import json
import math
import os
import struct
from pathlib import Path

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cid_store.cid import Cid, Codec
from cid_store.encoding import MAX_DEPTH, MAX_NODE_BYTES, Node, decode, encode
from cid_store.errors import MalformedNodeError

VECTORS = Path(__file__).parent / "vectors"
NAMES = {"Cid": Cid, "Codec": Codec, "float": float, "bytes": bytes}

cids = st.builds(Cid, st.sampled_from(Codec), st.binary(min_size=32, max_size=32))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text()
    | st.binary()
    | cids
)
nodes = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=40,
)


def table(name: str) -> list[dict[str, str]]:
    with (VECTORS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def same(left: object, right: object) -> bool:
    """Equality that knows -0.0 from 0.0, 1 from True, and one NaN from no other."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, float) and isinstance(right, float):
        if math.isnan(left):
            return math.isnan(right)
        return struct.pack(">d", left) == struct.pack(">d", right)
    return left == right


@pytest.mark.parametrize("row", table("node_accepted.tsv"), ids=lambda row: row["name"])
def test_accepted_vectors(row: dict[str, str]) -> None:
    value = eval(row["value"], dict(NAMES))  # noqa: S307 - our own vectors
    assert encode(value).hex() == row["hex"]
    assert same(decode(bytes.fromhex(row["hex"])), value)


@pytest.mark.parametrize("row", table("node_refused.tsv"), ids=lambda row: row["name"])
def test_refused_vectors(row: dict[str, str]) -> None:
    with pytest.raises(MalformedNodeError) as caught:
        decode(bytes.fromhex(row["hex"]))
    assert "node" in str(caught.value)


@given(nodes)
def test_decoding_undoes_encoding(node: Node) -> None:
    assert same(decode(encode(node)), node)


@given(st.dictionaries(st.text(), st.integers(0, 300), max_size=30), st.randoms())
def test_the_order_of_insertion_leaves_no_trace(node: dict[str, int], random: object) -> None:
    entries = list(node.items())
    random.shuffle(entries)  # type: ignore[attr-defined] - hypothesis names no type for it
    assert encode(dict(entries)) == encode(node)


@given(st.binary(max_size=64))
def test_whatever_is_accepted_is_the_one_encoding(data: bytes) -> None:
    try:
        node = decode(data)
    except MalformedNodeError:
        return
    assert encode(node) == data


@given(nodes, st.data())
def test_a_changed_byte_never_decodes_to_the_same_node(node: Node, draw: st.DataObject) -> None:
    data = bytearray(encode(node))
    at = draw.draw(st.integers(0, len(data) - 1))
    data[at] ^= draw.draw(st.integers(1, 255))
    try:
        other = decode(bytes(data))
    except MalformedNodeError:
        return
    assert not same(other, node)


def nested(depth: int, kind: str) -> bytes:
    return {"list": b"\x91", "map": b"\x81\xa0"}[kind] * depth + b"\xc0"


@pytest.mark.parametrize("kind", ["list", "map"])
def test_depth_is_bounded_alike_on_both_ways(kind: str) -> None:
    deepest = decode(nested(MAX_DEPTH, kind))
    assert encode(deepest) == nested(MAX_DEPTH, kind)
    for depth in (MAX_DEPTH + 1, 600, 1100, 100_000):
        with pytest.raises(MalformedNodeError, match="deeper than 128"):
            decode(nested(depth, kind))
    with pytest.raises(MalformedNodeError, match="deeper than 128"):
        encode([deepest])


def test_a_list_that_holds_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(MalformedNodeError, match="deeper than 128"):
        encode(loop)  # type: ignore[arg-type] - the type forbids it; the data may not


def test_promises_cost_nothing() -> None:
    # 1,000 lists, each promising as many entries as the data has bytes: nothing may be built.
    bomb = b"".join(b"\xdd" + struct.pack(">I", 8 << 20) for _ in range(120)) + bytes(1 << 20)
    with pytest.raises(MalformedNodeError, match="cut short"):
        decode(bomb)


def test_size_is_bounded_alike_on_both_ways() -> None:
    header = 5
    largest = bytes(MAX_NODE_BYTES - header)
    assert len(encode(largest)) == MAX_NODE_BYTES
    with pytest.raises(MalformedNodeError, match="over the limit"):
        encode(largest + b"\0")
    with pytest.raises(MalformedNodeError, match="over the limit"):
        decode(bytes(MAX_NODE_BYTES + 1))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (2**64, "more than 64 bits"),
        (-(2**63) - 1, "more than 64 bits"),
        ({1: 2}, "keys are texts"),
        ({None: 1, "a": 2}, "keys are texts"),
        ({float("nan"): 1}, "keys are texts"),
        (object(), "of type object;"),
        ({1, 2}, "of type set;"),
        (1j, "of type complex;"),
        (bytearray(b"x"), "of type bytearray;"),
        (Codec.RAW, "of type Codec;"),
        ("\ud800", "lone surrogate"),
        ({"\ud800": 1}, "lone surrogate"),
    ],
)
def test_values_that_no_node_holds(value: object, sentence: str) -> None:
    with pytest.raises(MalformedNodeError, match=sentence):
        encode(value)  # type: ignore[arg-type] - that is the point


def test_every_nan_is_the_same_nan() -> None:
    odd = struct.unpack(">d", bytes.fromhex("fff8000000000123"))[0]
    assert encode([odd]) == encode([math.nan])


def test_tuples_are_lists() -> None:
    assert encode(("a", (1, 2))) == encode(["a", [1, 2]])


def test_the_public_messagepack_suite() -> None:
    """Whatever encoding a value comes in, it has one canonical form, and only that is accepted."""
    shared = os.environ.get("REDOXA_SHARED")
    if shared is None:
        pytest.skip("REDOXA_SHARED names no folder with the msgpack-test-suite")
    suite = json.loads((Path(shared) / "vectors/msgpack/msgpack-test-suite.json").read_bytes())
    kinds = {"nil", "bool", "binary", "number", "bignum", "string", "array", "map"}
    tally = {"accepted": 0, "other forms": 0, "no node": 0}
    for case in (case for cases in suite.values() for case in cases):
        forms = {bytes.fromhex(text.replace("-", "")) for text in case["msgpack"]}
        canonical: dict[type, bytes] = {}  # 1 and 1.0 are different nodes
        for form in forms:
            value = msgpack.unpackb(form, strict_map_key=False)
            if not kinds & case.keys():
                tally["no node"] += 1
                with pytest.raises(MalformedNodeError):
                    decode(form)
                continue
            ours = canonical.setdefault(type(value), encode(value))
            assert encode(value) == ours
            assert ours in forms
            if form == ours:
                tally["accepted"] += 1
                assert decode(form) == value
            else:
                tally["other forms"] += 1
                with pytest.raises(MalformedNodeError, match="not canonical"):
                    decode(form)
    assert tally == {"accepted": 43, "other forms": 90, "no node": 23}
