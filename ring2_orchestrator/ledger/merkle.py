"""Merkle trees as RFC 6962 hashes them: one root over any number of leaves, and its proofs.

A list of n hashes stands for a tree whose left part is as large a power of two as fits below n.
Hashing pairs level by level and carrying an odd last hash upwards unchanged gives the same tree,
and also works when the hashes are roots of equal, complete subtrees.
"""

import hashlib
from collections.abc import Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()
HASH_BYTES = 32

# The leaves from a first one up to, and without, a last one.
Span = tuple[int, int]


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf; the prefix keeps a leaf from posing as an inner node."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over those leaf hashes, or over those roots of equal complete subtrees."""
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    while len(level) > 1:
        pairs = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            pairs.append(level[-1])
        level = pairs
    return level[0]


def root_of_edges(edges: Sequence[Sequence[bytes]]) -> bytes:
    """The root from the right edge: per tile level, lowest first, the hashes not yet in a tile."""
    carried: list[bytes] = []
    for edge in edges:
        if edge or carried:
            carried = [root_of([*edge, *carried])]
    return carried[0] if carried else EMPTY_ROOT


def inclusion_proof(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that, with the leaf at `index`, give the root of those leaves."""
    return [root_of(hashes[begin:end]) for begin, end in inclusion_spans(len(hashes), index)]


def consistency_proof(hashes: Sequence[bytes], old_size: int) -> list[bytes]:
    """The hashes that show the first `old_size` leaves unchanged under those leaves' root."""
    return [root_of(hashes[begin:end]) for begin, end in consistency_spans(len(hashes), old_size)]


def inclusion_spans(size: int, index: int) -> list[Span]:
    """The spans of leaves whose roots are the inclusion proof of a leaf, in the proof's order."""
    assert 0 <= index < size, "only a leaf of the tree has a proof"
    begin, end = 0, size
    spans: list[Span] = []
    while end - begin > 1:
        middle = begin + split_of(end - begin)
        spans.append((middle, end) if index < middle else (begin, middle))
        begin, end = (begin, middle) if index < middle else (middle, end)
    return spans[::-1]


def consistency_spans(size: int, old_size: int) -> list[Span]:
    """The spans of leaves whose roots are the proof that the first `old_size` are unchanged."""
    assert 0 < old_size <= size, "a proof leads from a smaller tree to a larger one"
    begin, end = 0, size
    spans: list[Span] = []
    while end != old_size:
        middle = begin + split_of(end - begin)
        spans.append((middle, end) if old_size <= middle else (begin, middle))
        begin, end = (begin, middle) if old_size <= middle else (middle, end)
    # The old tree itself needs no telling; a part of it does.
    return [*([(begin, end)] if begin else []), *spans[::-1]]


def includes(root: bytes, size: int, index: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows `leaf` (a leaf hash) at `index` under the root of `size` leaves."""
    if not 0 <= index < size or not _are_hashes(leaf, *proof):
        return False
    at, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False  # more hashes than the tree has levels
        if at % 2 or at == last:
            value = node_hash(sibling, value)
            # An even position at the right edge was carried up unchanged: skip those levels.
            while at % 2 == 0 and at:
                at, last = at // 2, last // 2
        else:
            value = node_hash(value, sibling)
        at, last = at // 2, last // 2
    return last == 0 and value == root


def extends(old_root: bytes, old_size: int, root: bytes, size: int, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows the tree of `old_size` leaves as the beginning of the other."""
    if not 0 <= old_size <= size or not _are_hashes(old_root, *proof):
        return False
    if old_size == 0:
        return old_root == EMPTY_ROOT and not proof
    if old_size == size:
        return old_root == root and not proof
    return _extends_strictly(old_root, old_size, root, size, proof)


def _extends_strictly(
    old_root: bytes, old_size: int, root: bytes, size: int, proof: Sequence[bytes]
) -> bool:
    at, last = old_size - 1, size - 1
    while at % 2:
        at, last = at // 2, last // 2
    hashes = list(proof)
    # A complete old tree is itself the first hash; it is not sent twice.
    if at == 0:
        hashes.insert(0, old_root)
    if not hashes:
        return False
    old_value = value = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if at % 2 or at == last:
            old_value, value = node_hash(sibling, old_value), node_hash(sibling, value)
            while at % 2 == 0 and at:
                at, last = at // 2, last // 2
        else:
            value = node_hash(value, sibling)
        at, last = at // 2, last // 2
    return last == 0 and old_value == old_root and value == root


def _are_hashes(*values: bytes) -> bool:
    # Hashing two values of another length could give a node that stands for other children.
    return all(len(value) == HASH_BYTES for value in values)


def split_of(size: int) -> int:
    """How many of so many leaves stand in the left part of their tree."""
    return 1 << ((size - 1).bit_length() - 1)
