"""A CID has one text form, one binary form, and the digest that everybody else computes."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cid_store.cid import Cid, Codec
from cid_store.errors import MalformedCidError

VECTORS = Path(__file__).parent / "vectors"
HELLO = "bafkr4ihkr4ld3m4gqkjf4reryxsy2s5tkbxprqkow6fin2iiyvreuzzab4"


def table(name: str) -> list[dict[str, str]]:
    with (VECTORS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.mark.parametrize("row", table("blake3.tsv"), ids=lambda row: row["input_len"])
def test_the_digest_is_plain_blake3(row: dict[str, str]) -> None:
    data = bytes(at % 251 for at in range(int(row["input_len"])))
    assert Cid.of(data).digest.hex() == row["digest"]


@pytest.mark.parametrize("row", table("cid_refused.tsv"), ids=lambda row: row["name"])
def test_other_forms_are_refused(row: dict[str, str]) -> None:
    with pytest.raises(MalformedCidError, match=r"is not a CID of ours: expected"):
        Cid.parse(row["text"])


@pytest.mark.parametrize("text", ["b" * 10**7, "b\0" * 29, "\ud800" * 59, "b" + "é" * 58])
def test_hostile_texts_are_refused_with_a_short_sentence(text: str) -> None:
    with pytest.raises(MalformedCidError) as caught:
        Cid.parse(text)
    assert len(str(caught.value)) < 600


def test_a_known_name_stays() -> None:
    # Computed once by hand: 01 55 1e 20 and the digest of "hello", in RFC 4648 base32.
    assert str(Cid.of(b"hello")) == HELLO
    assert Cid.parse(HELLO) == Cid.of(b"hello")


@given(st.sampled_from(Codec), st.binary(min_size=32, max_size=32))
def test_both_forms_return_the_same_value(codec: Codec, digest: bytes) -> None:
    cid = Cid(codec, digest)
    assert Cid.parse(str(cid)) == cid
    assert Cid.from_bytes(cid.to_bytes()) == cid
    assert len(cid.to_bytes()) == {Codec.RAW: 36, Codec.NODE: 37}[codec]
    assert cid.short == str(cid)[-8:]


@given(st.binary(max_size=40))
def test_binary_forms_are_exact(data: bytes) -> None:
    try:
        cid = Cid.from_bytes(data)
    except MalformedCidError:
        return
    assert cid.to_bytes() == data


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz234567", min_size=57, max_size=60))
def test_text_forms_are_exact(tail: str) -> None:
    text = "b" + tail
    try:
        cid = Cid.parse(text)
    except MalformedCidError:
        return
    assert str(cid) == text


def test_the_codec_is_part_of_the_name() -> None:
    assert Cid.of(b"\x80") != Cid.of(b"\x80", Codec.NODE)
    assert Cid.of(b"\x80").digest == Cid.of(b"\x80", Codec.NODE).digest


@given(st.lists(st.builds(Cid, st.sampled_from(Codec), st.binary(min_size=32, max_size=32))))
def test_order_is_that_of_the_binary_form(cids: list[Cid]) -> None:
    assert sorted(cids) == sorted(cids, key=Cid.to_bytes)
