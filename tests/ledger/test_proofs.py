"""Proofs of entries and of growth: checked without the ledger, and only if every hash fits."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from cid_store.memory import MemoryStore
from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.ledger import (
    Checkpoint,
    Ledger,
    LedgerDamagedError,
    MalformedNoteError,
    NoSuchEntryError,
    NotProvenError,
    merkle,
)
from ring2_orchestrator.ledger.leaf import decode_leaf
from ring2_orchestrator.ledger.note import Note
from ring2_orchestrator.ledger.proof import GrowthProof, InclusionProof, parse_proof
from ring2_orchestrator.ledger.tiles import split_bundle

Fill = Callable[[Ledger, int], None]
Reopen = Callable[[], Ledger]
Unhurried = Callable[[], AbstractContextManager[None]]

# The example of c2sp.org/tlog-witness, a growth proof of a log that others keep.
GROWTH = """\
old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""  # noqa: E501 - a published example, as it is


def note_of(text: str) -> Note:
    return Note.parse(text)


def test_every_entry_of_every_small_log_is_proven(
    ledger: Ledger, fill: Fill, unhurried: Unhurried
) -> None:
    heads: list[str] = []
    with unhurried():
        for size in range(1, 18):
            fill(ledger, 1)
            heads.append(ledger.checkpoint())
            assert ledger.head_at(size).text == heads[-1]
    for size, head in enumerate(heads, 1):
        for seq in range(size):
            proof = parse_proof(ledger.prove(seq, note_of(head)).text)
            assert isinstance(proof, InclusionProof)
            assert proof.check().text == head
            assert decode_leaf(proof.entry) == ledger.leaf(seq)
        for old_size, old in enumerate(heads[:size], 1):
            growth = parse_proof(ledger.prove_growth(Checkpoint.parse(old), note_of(head)).text)
            assert isinstance(growth, GrowthProof)
            assert growth.old_size == old_size
            assert growth.check(Checkpoint.parse(old)).text == head


def test_an_empty_log_begins_every_log(ledger: Ledger, fill: Fill) -> None:
    empty = ledger.head()
    assert ledger.prove_growth(empty).check(empty) == empty
    fill(ledger, 3)
    growth = ledger.prove_growth(empty)
    assert growth.hashes == ()
    assert growth.check(empty).size == 3


@pytest.mark.slow
def test_proofs_cross_the_borders_of_tiles(
    ledger: Ledger, reopen: Reopen, unhurried: Unhurried
) -> None:
    sizes = (1, 255, 256, 257, 511, 512, 513, 600)
    heads: dict[int, Checkpoint] = {}
    with unhurried():
        for number in range(600):
            ledger.append([number], kind="n", subject="s")
            heads[number + 1] = ledger.head()
    again = reopen()
    for size in sizes:
        note = note_of(heads[size].text)
        assert again.head_at(size) == heads[size]
        for seq in {0, size // 2, size - 1, min(255, size - 1), min(256, size - 1)}:
            assert again.prove(seq, note).check() == heads[size]
        for old in (known for known in sizes if known <= size):
            assert again.prove_growth(heads[old], note).check(heads[old]) == heads[size]


def test_proofs_are_those_of_the_definition(ledger: Ledger, fill: Fill) -> None:
    fill(ledger, 13)
    bundle = split_bundle((ledger.path / "tile" / "entries" / "000").read_bytes())
    hashes = [merkle.leaf_hash(entry) for entry in bundle.entries]
    assert list(ledger.prove(6).hashes) == merkle.inclusion_proof(hashes, 6)
    old = ledger.head_at(6)
    assert list(ledger.prove_growth(old).hashes) == merkle.consistency_proof(hashes, 6)


def test_nothing_is_proven_that_is_not_so(ledger: Ledger, fill: Fill) -> None:
    fill(ledger, 9)
    proof, other = ledger.prove(4), ledger.prove(5)
    old, growth = ledger.head_at(5), ledger.prove_growth(ledger.head_at(5))
    wrong = [
        proof._replace(entry=other.entry),
        proof._replace(seq=5),
        proof._replace(hashes=other.hashes),
        proof._replace(hashes=proof.hashes[:-1]),
        proof._replace(note=note_of(old.text)),
    ]
    for lie in wrong:
        with pytest.raises(NotProvenError, match="the proof does not hold"):
            InclusionProof.parse(lie.text).check()
    with pytest.raises(NotProvenError, match="the proof does not hold"):
        growth._replace(hashes=growth.hashes[::-1]).check(old)
    with pytest.raises(NotProvenError, match="the proof does not hold"):
        growth.check(old._replace(root_hash=bytes(32)))
    with pytest.raises(NotProvenError, match="leads from 5 entries of"):
        growth.check(ledger.head_at(4))
    with pytest.raises(NotProvenError, match="but the checkpoint kept is of 5 entries of other"):
        growth.check(old._replace(origin="other"))


def test_no_bit_of_a_proof_may_change(ledger: Ledger, fill: Fill) -> None:
    fill(ledger, 11)
    proof = ledger.prove(6)
    draw = np.random.Generator(np.random.PCG64(11))
    data = proof.text.encode()
    for _ in range(2_000):
        bad = bytearray(data)
        bad[draw.integers(len(data))] ^= 1 << int(draw.integers(8))
        try:
            found = InclusionProof.parse(bytes(bad).decode("utf-8", "surrogateescape"))
            head = found.check()
        except (MalformedNoteError, NotProvenError):
            continue
        # What still holds is another log's name or size, which the checkpoint kept would not match.
        assert head != ledger.head()


def test_a_proof_is_only_made_of_what_the_log_holds(
    ledger: Ledger, fill: Fill, tmp_path: Path
) -> None:
    fill(ledger, 5)
    old = ledger.head()
    fill(ledger, 2)
    with pytest.raises(NoSuchEntryError, match="no entry 7; it holds 7 entries"):
        ledger.prove(7)
    with pytest.raises(NoSuchEntryError, match="no entry 5; it holds 5 entries"):
        ledger.prove(5, note_of(old.text))
    forged = old._replace(root_hash=bytes(32))
    for call in (
        lambda: ledger.prove(1, note_of(forged.text)),
        lambda: ledger.prove_growth(forged),
    ):
        with pytest.raises(LedgerDamagedError, match="was rewritten"):
            call()
    stranger = Ledger(tmp_path / "other", store=MemoryStore(), clock=ManualClock())
    with pytest.raises(LedgerDamagedError, match="was replaced"):
        stranger.prove_growth(old)
    with pytest.raises(LedgerDamagedError, match="was rolled back"):
        ledger.prove_growth(old._replace(size=8))


def test_a_published_growth_proof_is_read() -> None:
    proof = parse_proof(GROWTH)
    assert isinstance(proof, GrowthProof)
    assert (proof.old_size, len(proof.hashes)) == (20852014, 4)
    assert Checkpoint.of(proof.note).size == 20852163
    assert proof.text == GROWTH


HEAD = "o\n1\n" + "A" * 43 + "=\n"
HASH = "A" * 43 + "=\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "c2sp.org/tlog-proof@v1\n",
        f"c2sp.org/tlog-proof@v1\nindex 0\n\n{HEAD}",
        f"c2sp.org/tlog-proof@v2\nextra AA==\nindex 0\n\n{HEAD}",
        f"c2sp.org/tlog-proof@v1\nextra !\nindex 0\n\n{HEAD}",
        f"c2sp.org/tlog-proof@v1\nextra AA==\nindex 00\n\n{HEAD}",
        f"c2sp.org/tlog-proof@v1\nextra AA==\nindex -1\n\n{HEAD}",
        f"c2sp.org/tlog-proof@v1\nextra AA==\n0\n\n{HEAD}",
        f"c2sp.org/tlog-proof@v1\nextra AA==\nindex 0\nAA==\n\n{HEAD}",
        f"c2sp.org/tlog-proof@v1\nextra AA==\nindex 0\n{64 * HASH}\n{HEAD}",
        "c2sp.org/tlog-proof@v1\nextra AA==\nindex 0\n\nnonsense\n",
        f"old x\n\n{HEAD}",
        f"old 1\n{HASH}",
        f"old 1\n{HASH[:-1]}!\n\n{HEAD}",
        "x" * 600_000,
    ],
)
def test_what_is_no_proof_is_refused(text: str) -> None:
    with pytest.raises(MalformedNoteError) as caught:
        parse_proof(text)
    assert "\n" not in str(caught.value)
