"""Signed notes and keys: what others published is read and verified, and nothing else passes."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring2_orchestrator.ledger import Checkpoint, MalformedNoteError, NotProvenError, ed25519
from ring2_orchestrator.ledger.keys import (
    COSIGNATURE,
    SigningKey,
    VerifierKey,
    check_signed,
    cosigned_at,
)
from ring2_orchestrator.ledger.note import Note, Signature

VECTORS = Path(__file__).parent / "vectors"
KEYS = {
    key.name: key
    for key in map(VerifierKey.parse, (VECTORS / "notes" / "keys.txt").read_text().split())
}
# Of the same tests as `peter.note`, so it protects nothing.
PETER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
SIGNED = [
    ("peter", ["PeterNeumann"]),
    ("peter-enoch", ["PeterNeumann", "EnochRoot"]),
    ("c2sp-example", ["example.com/foo"]),
    ("go-sumdb-6476701", ["sum.golang.org"]),
    ("go-sumdb-3935567", ["sum.golang.org"]),
]


def published(name: str) -> str:
    return (VECTORS / "notes" / f"{name}.note").read_text("utf-8")


def judge(whole: str, signers: list[str]) -> None:
    note = Note.parse(whole)
    for signer in signers:
        check_signed(note, KEYS[signer], what="the note")


def cases(path: Path) -> list[Any]:
    return [
        pytest.param(group["publicKey"]["pk"], case, id=f"{path.stem}-{case['tcId']}")
        for group in json.loads(path.read_text())["testGroups"]
        for case in group["tests"]
    ]


@pytest.mark.parametrize(("public", "case"), cases(VECTORS / "ed25519" / "sample.json"))
def test_signatures_are_judged_as_wycheproof_says(public: str, case: dict[str, str]) -> None:
    held = ed25519.holds(
        bytes.fromhex(public), bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
    )
    assert held is (case["result"] == "valid"), case["comment"]


def test_the_whole_of_wycheproof_s_signatures() -> None:
    if (shared := os.environ.get("REDOXA_SHARED")) is None:
        pytest.skip("REDOXA_SHARED names no folder with the whole of wycheproof's file")
    found = cases(Path(shared) / "vectors" / "wycheproof" / "ed25519_test.json")
    for public, case in (parameters.values for parameters in found):
        test_signatures_are_judged_as_wycheproof_says(public, case)
    assert len(found) >= 75


@pytest.mark.parametrize(("name", "signers"), SIGNED)
def test_published_notes_are_verified(name: str, signers: list[str]) -> None:
    note = Note.parse(published(name))
    assert note.whole == published(name)
    assert [signature.name for signature in note.signatures] == signers
    for signer in signers:
        check_signed(note, KEYS[signer], what="the note")
    other = KEYS["TEST"]
    with pytest.raises(NotProvenError, match=rf"not signed by TEST .*, but only by .*{signers[0]}"):
        check_signed(note, other, what="the note")
    check_signed(note, other, what="the note", required=False)


@pytest.mark.parametrize(("name", "signers"), SIGNED)
def test_no_letter_of_a_signed_note_may_change(name: str, signers: list[str]) -> None:
    whole = published(name)
    for at in range(len(whole)):
        for letter in {chr(ord(whole[at]) ^ 1), "A", "\n"} - {whole[at]}:
            changed = whole[:at] + letter + whole[at + 1 :]
            with pytest.raises((MalformedNoteError, NotProvenError)):
                judge(changed, signers)


def test_signing_gives_the_published_bytes() -> None:
    key = SigningKey.parse(PETER)
    assert key is not None
    assert key.verifier == KEYS["PeterNeumann"]
    assert key.secret == PETER
    assert key.sign(Note.parse(published("peter")).text).whole == published("peter")


def test_keys_come_back_as_they_were_written() -> None:
    texts = (VECTORS / "notes" / "keys.txt").read_text().split()
    assert [VerifierKey.parse(text).text for text in texts] == texts
    assert KEYS["remora.n621.de"].algorithm == COSIGNATURE


def test_no_part_of_a_key_is_a_key() -> None:
    text = KEYS["PeterNeumann"].text
    for begin in range(len(text) + 1):
        for end in range(begin + 1, len(text) + 1):
            if (begin, end) != (0, len(text)):
                with pytest.raises(MalformedNoteError):
                    VerifierKey.parse(text[begin:end])


@pytest.mark.parametrize("text", [KEYS["PeterNeumann"].text, PETER])
def test_no_letter_of_a_key_may_change(text: str) -> None:
    for at, letter in enumerate(text):
        changed = text[:at] + chr(ord(letter) + 1) + text[at + 1 :]
        assert SigningKey.parse(changed) is None
        with pytest.raises(MalformedNoteError):
            VerifierKey.parse(changed)


@pytest.mark.parametrize(
    "text",
    [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "bananas.sigstore.dev+12344556",
        "rekor.sigstore.dev+12345678+AwEB",
        "rekor.sigstore.dev+12345678+THIS_IS_NOT_BASE64!",
    ],
)
def test_keys_that_others_refuse_are_refused(text: str) -> None:
    with pytest.raises(MalformedNoteError):
        VerifierKey.parse(text)


PETER_TEXT, _, PETER_LINE = published("peter").rpartition("\n\n")


@pytest.mark.parametrize(
    "whole",
    [
        f"{PETER_TEXT}\n\n",
        f"{PETER_TEXT}\n\n{PETER_LINE[:-1]}",
        f"\x01{PETER_TEXT}\n\n{PETER_LINE}",
        f"\udcff{PETER_TEXT}\n\n{PETER_LINE}",
        f"{PETER_TEXT}\n\n{PETER_LINE}Unexpected line.\n",
        f"{PETER_TEXT}\n\n{PETER_LINE}".replace("PeterNeumann", "Bad Name"),
        f"{PETER_TEXT}\n\n{PETER_LINE}".replace("PeterNeumann", "Bad+Name"),
        f"{PETER_TEXT}\n\n{PETER_LINE}".replace("PeterNeumann", "Bad\u2003Name"),
        f"{PETER_TEXT}\n\n" + 101 * PETER_LINE,
        f"{PETER_TEXT}\n\n\u2014 PeterNeumann x08gow==\n",
    ],
)
def test_what_is_no_signed_note_is_refused(whole: str) -> None:
    with pytest.raises(MalformedNoteError) as caught:
        Note.parse(whole)
    assert "\n" not in str(caught.value)


def test_one_wrong_signature_of_a_known_key_refuses_the_note() -> None:
    note = Note.parse(published("peter-enoch"))
    forged = note.signatures[0]._replace(data=bytes(64))
    for signatures in ((*note.signatures, forged), (forged, *note.signatures)):
        with pytest.raises(NotProvenError, match="was altered or its signature is forged"):
            check_signed(Note(note.text, signatures), KEYS["PeterNeumann"], what="the note")
        check_signed(Note(note.text, signatures), KEYS["EnochRoot"], what="the note")


def test_a_signature_of_a_key_of_the_same_name_is_passed_over() -> None:
    note = Note.parse(published("peter"))
    namesake = SigningKey("PeterNeumann", bytes(range(32)))
    both = Note(note.text, (*namesake.sign("another text\n").signatures, *note.signatures))
    check_signed(both, KEYS["PeterNeumann"], what="the note")


def test_a_witness_s_line_is_read() -> None:
    note = Note.parse(published("c2sp-cosigned"))
    assert Checkpoint.of(note).size == 20852163
    assert [cosigned_at(signature) for signature in note.signatures][1] == 1679315147


def test_a_witness_signs_the_time_and_the_text() -> None:
    seed, text = bytes(range(32)), "example.com/log\n7\n" + "A" * 43 + "=\n"
    witness = VerifierKey("example.com/witness", COSIGNATURE, ed25519.public_of(seed))
    time_s = 1679315147
    data = ed25519.sign(seed, f"cosignature/v1\ntime {time_s}\n{text}".encode())
    line = Signature(witness.name, witness.key_id, time_s.to_bytes(8, "big") + data)
    check_signed(Note(text, (line,)), witness, what="the checkpoint")
    early = line._replace(data=(time_s - 1).to_bytes(8, "big") + data)
    short = line._replace(data=b"\x00")
    for wrong in (early, short):
        with pytest.raises(NotProvenError):
            check_signed(Note(text, (wrong,)), witness, what="the checkpoint")


@given(st.text(st.characters(exclude_categories=["C"])), st.binary(min_size=32, max_size=32))
def test_what_is_signed_is_verified(text: str, seed: bytes) -> None:
    key = SigningKey("example.com/key", seed)
    whole = key.sign(f"{text}\n").whole
    check_signed(Note.parse(whole), key.verifier, what="the note")


def test_a_signing_key_never_shows_its_private_half() -> None:
    key = SigningKey.parse(PETER)
    assert "AYEKFA" not in f"{key!r} {key} {vars(key)['verifier']}"
