"""A batch of entries, and the leaf that stands for it in the log. Pure: nodes in, bytes out."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from cid_store.cid import Cid
from cid_store.encoding import Node, NodeLike, decode, encode
from cid_store.errors import MalformedNodeError, UsageError

VERSION = 1
MAX_SUBJECT_BYTES = 4096
_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}")


class Leaf(NamedTuple):
    """What the log itself keeps of a batch: enough to list and to filter without the store."""

    batch: Cid
    kind: str
    subject: str
    time_ns: int


class Draft(NamedTuple):
    """A batch to be appended."""

    entries: Sequence[NodeLike]
    kind: str
    subject: str
    time_ns: int


class Batch(NamedTuple):
    """The entries of one batch, and its place in the log. The time is for people, not for order."""

    seq: int
    cid: Cid
    kind: str
    subject: str
    time_ns: int
    entries: tuple[Node, ...]


def check_names(kind: str, subject: str) -> None:
    """Raise UsageError unless a leaf can carry this kind and this subject."""
    if not _KIND.fullmatch(kind):
        raise UsageError(
            f"a ledger kind is a short lower-case word such as 'run', not {kind[:40]!r}"
        )
    if len(subject.encode("utf-8", "surrogatepass")) > MAX_SUBJECT_BYTES:
        raise UsageError(
            f"a ledger subject has at most {MAX_SUBJECT_BYTES} bytes; name it by a CID instead"
        )


def encode_leaf(leaf: Leaf) -> bytes:
    """The leaf's canonical bytes."""
    return encode(
        {
            "v": VERSION,
            "batch": leaf.batch,
            "kind": leaf.kind,
            "subject": leaf.subject,
            "time_ns": leaf.time_ns,
        }
    )


def decode_leaf(data: bytes) -> Leaf:
    """The leaf of those bytes. Raises MalformedNodeError."""
    match decode(data):
        case {
            "v": 1,
            "batch": Cid() as batch,
            "kind": str(kind),
            "subject": str(subject),
            "time_ns": int(time_ns),
        }:
            leaf = Leaf(batch, kind, subject, time_ns)
            if encode_leaf(leaf) == data:  # no further field, and no True posing as a number
                return leaf
        case _:
            pass
    raise MalformedNodeError("a ledger entry does not have the fields of version 1")


def encode_batch(draft: Draft) -> bytes:
    """The batch node's canonical bytes."""
    return encode(
        {
            "v": VERSION,
            "kind": draft.kind,
            "subject": draft.subject,
            "time_ns": draft.time_ns,
            "entries": list(draft.entries),
        }
    )


def decode_batch(seq: int, leaf: Leaf, data: bytes) -> Batch:
    """The batch in those bytes, which must say what its leaf says. Raises MalformedNodeError."""
    match decode(data):
        case {
            "v": 1,
            "kind": leaf.kind,
            "subject": leaf.subject,
            "time_ns": leaf.time_ns,
            "entries": list(entries),
            **rest,
        } if not rest:
            return Batch(seq, leaf.batch, leaf.kind, leaf.subject, leaf.time_ns, tuple(entries))
        case _:
            raise MalformedNodeError("a batch does not say what its ledger entry says")


def mention(text: str) -> bytes:
    """Bytes that every leaf holding this text holds too: a filter that needs no decoding."""
    return encode(text)
