"""RFC 6962 trees: public proof vectors, and laws over all small trees."""

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring2_orchestrator.ledger import merkle

HERE = Path(__file__).parent / "vectors"


def proofs(kind: str) -> list[Any]:
    roots = [HERE]
    if shared := os.environ.get("REDOXA_SHARED"):
        roots.append(Path(shared) / "vectors" / "merkle")
    return [
        pytest.param(path, id=f"{root.name}-{path.relative_to(root)}")
        for root in roots
        for path in sorted((root / kind).rglob("*.json"))
    ]


def unpack(text: str | None) -> bytes:
    return base64.b64decode(text or "")


@pytest.mark.parametrize("path", proofs("inclusion"))
def test_inclusion_vectors(path: Path) -> None:
    case = json.loads(path.read_text())
    verdict = merkle.includes(
        unpack(case["root"]),
        case["treeSize"],
        case["leafIdx"],
        unpack(case["leafHash"]),
        [unpack(text) for text in case["proof"] or []],
    )
    assert verdict is not case["wantErr"], case["desc"]


@pytest.mark.parametrize("path", proofs("consistency"))
def test_consistency_vectors(path: Path) -> None:
    case = json.loads(path.read_text())
    verdict = merkle.extends(
        unpack(case["root1"]),
        case["size1"],
        unpack(case["root2"]),
        case["size2"],
        [unpack(text) for text in case["proof"] or []],
    )
    assert verdict is not case["wantErr"], case["desc"]


def test_the_whole_collection_was_read() -> None:
    if "REDOXA_SHARED" not in os.environ:
        pytest.skip("REDOXA_SHARED names no folder with the whole collection of Merkle proofs")
    found = [case.id for kind in ("inclusion", "consistency") for case in proofs(kind)]
    assert sum(name.startswith("merkle-") for name in found) >= 96


def by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(
        b"\x01" + by_definition(leaves[:split]) + by_definition(leaves[split:])
    ).digest()


LEAVES = [str(number).encode() for number in range(70)]
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]


@pytest.mark.parametrize("size", range(70))
def test_the_root_is_the_one_the_rfc_defines(size: int) -> None:
    assert merkle.root_of(HASHES[:size]) == by_definition(LEAVES[:size])


@given(st.integers(0, 2**20), st.sampled_from([2, 4, 16]))
def test_the_right_edge_gives_the_same_root(size: int, width: int) -> None:
    # Small tiles stand for 256-wide ones: the rule does not depend on the width.
    size %= 70
    edges: list[list[bytes]] = []
    row = HASHES[:size]
    while row:
        whole = len(row) - len(row) % width
        edges.append(row[whole:])
        row = [merkle.root_of(row[at : at + width]) for at in range(0, whole, width)]
    assert merkle.root_of_edges(edges) == merkle.root_of(HASHES[:size])


@given(st.data())
def test_every_leaf_has_a_proof_that_proves_nothing_else(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    index = data.draw(st.integers(0, size - 1))
    root = merkle.root_of(HASHES[:size])
    proof = merkle.inclusion_proof(HASHES[:size], index)
    assert merkle.includes(root, size, index, HASHES[index], proof)
    other = data.draw(st.integers(0, size - 1))
    assert merkle.includes(root, size, other, HASHES[index], proof) is (other == index)
    assert not merkle.includes(root, size, index, HASHES[index], [*proof, root])
    assert not merkle.includes(root, size, size, HASHES[index], proof)


@given(st.data())
def test_every_beginning_has_a_proof(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    old = data.draw(st.integers(1, size))
    root, old_root = merkle.root_of(HASHES[:size]), merkle.root_of(HASHES[:old])
    proof = merkle.consistency_proof(HASHES[:size], old)
    assert merkle.extends(old_root, old, root, size, proof)
    assert not merkle.extends(merkle.root_of(HASHES[1:old]), old, root, size, proof)
    assert not merkle.extends(old_root, old, root, size, [*proof, root])
    assert not merkle.extends(root, size + 1, root, size, proof)


def test_an_empty_log_begins_every_log() -> None:
    assert merkle.extends(merkle.EMPTY_ROOT, 0, merkle.root_of(HASHES), 70, [])
    assert not merkle.extends(HASHES[0], 0, merkle.root_of(HASHES), 70, [])
