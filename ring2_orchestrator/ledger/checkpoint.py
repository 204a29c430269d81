"""A checkpoint: which ledger, how long, and the one hash that fixes every entry so far.

The text is the body of a C2SP checkpoint: origin, size and base64 root, each on its own line.
"""

from typing import NamedTuple, Self

from ring2_orchestrator.ledger.errors import MalformedCheckpointError
from ring2_orchestrator.ledger.merkle import HASH_BYTES
from ring2_orchestrator.ledger.note import Note, from_base64, to_base64


class Checkpoint(NamedTuple):
    """The state of a ledger after `size` entries."""

    origin: str
    size: int
    root_hash: bytes

    @property
    def text(self) -> str:
        """The three lines, each ended by a newline."""
        assert self.origin, "an origin has at least one letter"
        assert "\n" not in self.origin, "an origin is one line"
        assert len(self.root_hash) == HASH_BYTES, "a root is one SHA-256 hash"
        return f"{self.origin}\n{self.size}\n{to_base64(self.root_hash)}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The checkpoint in a text; extension and signature lines may follow and are not judged.

        Raises MalformedNoteError.
        """
        return cls.of(Note.parse(text))

    @classmethod
    def of(cls, note: Note) -> Self:
        """The checkpoint that a note is about. Raises MalformedCheckpointError."""
        lines = note.text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise MalformedCheckpointError(
                "this is not a checkpoint: expected an origin, a size and a root hash, "
                "one a line; `redoxa ledger checkpoint` prints one"
            )
        return cls(lines[0], _size(lines[1]), _root(lines[2]))


def parse_size(text: str) -> int | None:
    """A number as checkpoints and proofs write it: decimal, no leading zeros, at most 19 digits."""
    plain = text.isascii() and text.isdigit() and len(text) <= 19
    return int(text) if plain and str(int(text)) == text else None


def _size(text: str) -> int:
    size = parse_size(text)
    if size is None:
        raise MalformedCheckpointError(
            f"the checkpoint's second line is not a size: {text[:40]!r}; copy it again"
        )
    return size


def _root(text: str) -> bytes:
    root = from_base64(text)
    if root is None or len(root) != HASH_BYTES:
        raise MalformedCheckpointError(
            f"the checkpoint's third line is not a root hash: {text[:60]!r}; copy it again"
        )
    return root
