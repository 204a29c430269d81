"""A checkpoint: which ledger, how long, and the one hash that fixes every entry so far.

The text is the body of a C2SP checkpoint: origin, size and base64 root, each on its own line.
"""

import binascii
from typing import NamedTuple, Self

from ring2_orchestrator.ledger.errors import MalformedCheckpointError
from ring2_orchestrator.ledger.merkle import HASH_BYTES

MAX_TEXT = 65_536


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
        return f"{self.origin}\n{self.size}\n{_base64(self.root_hash)}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The checkpoint in a text; extension and signature lines may follow and are not judged.

        Raises MalformedCheckpointError.
        """
        if len(text) > MAX_TEXT:
            raise MalformedCheckpointError(f"a checkpoint has at most {MAX_TEXT} characters")
        body = text.split("\n\n", 1)[0] + "\n" if "\n\n" in text else text
        lines = body.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise MalformedCheckpointError(
                "this is not a checkpoint: expected an origin, a size and a root hash, "
                "one a line; `redoxa ledger checkpoint` prints one"
            )
        return cls(lines[0], _size(lines[1]), _root(lines[2]))


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or str(int(text[:19])) != text:
        raise MalformedCheckpointError(
            f"the checkpoint's second line is not a size: {text[:40]!r}; copy it again"
        )
    return int(text)


def _root(text: str) -> bytes:
    try:
        root = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        root = b""
    # Base64 has spare bits in its last letter; only one spelling of a root is accepted.
    if len(root) != HASH_BYTES or _base64(root) != text:
        raise MalformedCheckpointError(
            f"the checkpoint's third line is not a root hash: {text[:60]!r}; copy it again"
        )
    return root


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")
