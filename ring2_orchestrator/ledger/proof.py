"""Proofs as texts that anyone can check without the ledger: of an entry, and of the log's growth.

An inclusion proof is a C2SP tlog-proof whose extra data is the entry. A growth proof is what C2SP
tlog-witness has a log send to a witness: the old size, the hashes, the new checkpoint.
"""

from typing import NamedTuple, Self

from ring2_orchestrator.ledger.checkpoint import Checkpoint, parse_size
from ring2_orchestrator.ledger.errors import MalformedNoteError, NotProvenError
from ring2_orchestrator.ledger.merkle import HASH_BYTES, extends, includes, leaf_hash
from ring2_orchestrator.ledger.note import Note, from_base64, to_base64

MAX_PROOF = 524_288
_MAX_HASHES = 63
_TITLE = "c2sp.org/tlog-proof@v1"
_EXTRA, _INDEX, _OLD = "extra ", "index ", "old "


class InclusionProof(NamedTuple):
    """That the log of a checkpoint holds an entry at a place."""

    seq: int
    entry: bytes
    hashes: tuple[bytes, ...]
    note: Note

    @property
    def text(self) -> str:
        """The proof as a file."""
        extra = f"{_EXTRA}{to_base64(self.entry)}\n"
        return f"{_TITLE}\n{extra}{_INDEX}{self.seq}\n{_tail(self.hashes, self.note)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The proof in a file. Raises MalformedNoteError."""
        lines, note = _split(text)
        if lines[0] != _TITLE or len(lines) < 3 or not lines[1].startswith(_EXTRA):
            raise _malformed("it carries no entry")
        entry = from_base64(lines[1].removeprefix(_EXTRA))
        index = parse_size(lines[2].removeprefix(_INDEX))
        if entry is None or index is None or not lines[2].startswith(_INDEX):
            raise _malformed("its second and third line are not an entry and an index")
        return cls(index, entry, _hashes(lines[3:]), note)

    def check(self) -> Checkpoint:
        """The checkpoint that fixes the entry. Raises NotProvenError where none of it follows."""
        head = Checkpoint.of(self.note)
        leaf = leaf_hash(self.entry)
        if not includes(head.root_hash, head.size, self.seq, leaf, self.hashes):
            raise NotProvenError(
                f"the proof does not hold: entry {self.seq} as the proof has it is not in the "
                f"log of {head.size} entries that its checkpoint fixes"
            )
        return head


class GrowthProof(NamedTuple):
    """That the log of a checkpoint begins with the log of an older one."""

    old_size: int
    hashes: tuple[bytes, ...]
    note: Note

    @property
    def text(self) -> str:
        """The proof as a file."""
        return f"{_OLD}{self.old_size}\n{_tail(self.hashes, self.note)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The proof in a file. Raises MalformedNoteError."""
        lines, note = _split(text)
        size = parse_size(lines[0].removeprefix(_OLD))
        if size is None or not lines[0].startswith(_OLD):
            raise _malformed("its first line is not an old size")
        return cls(size, _hashes(lines[1:]), note)

    def check(self, old: Checkpoint) -> Checkpoint:
        """The newer checkpoint, which extends the old. Raises NotProvenError where it does not."""
        head = Checkpoint.of(self.note)
        if (old.origin, old.size) != (head.origin, self.old_size):
            raise NotProvenError(
                f"the proof leads from {self.old_size} entries of {head.origin}, but the "
                f"checkpoint kept is of {old.size} entries of {old.origin}"
            )
        if not extends(old.root_hash, old.size, head.root_hash, head.size, self.hashes):
            raise NotProvenError(
                f"the proof does not hold: the {head.size} entries of its checkpoint do not begin "
                f"with the {old.size} of the checkpoint kept"
            )
        return head


def parse_proof(text: str) -> InclusionProof | GrowthProof:
    """The proof in a file, whichever it is. Raises MalformedNoteError."""
    if text.startswith(_OLD):
        return GrowthProof.parse(text)
    return InclusionProof.parse(text)


def _tail(hashes: tuple[bytes, ...], note: Note) -> str:
    return "".join(f"{to_base64(value)}\n" for value in hashes) + f"\n{note.whole}"


def _split(text: str) -> tuple[list[str], Note]:
    """The lines before the first empty one, and the checkpoint after it."""
    if len(text) > MAX_PROOF:
        raise _malformed(f"it has more than {MAX_PROOF} characters")
    head, gap, rest = text.partition("\n\n")
    if not gap:
        raise _malformed("it holds no checkpoint")
    note = Note.parse(rest)
    Checkpoint.of(note)
    return head.split("\n"), note


def _hashes(lines: list[str]) -> tuple[bytes, ...]:
    found = [from_base64(line) for line in lines]
    hashes = tuple(value for value in found if value is not None and len(value) == HASH_BYTES)
    if len(hashes) != len(lines) or len(lines) > _MAX_HASHES:
        raise _malformed(f"it has something else than up to {_MAX_HASHES} hashes before the gap")
    return hashes


def _malformed(what: str) -> MalformedNoteError:
    return MalformedNoteError(
        f"this is not a proof as `redoxa ledger prove` writes them: {what}; copy it again"
    )
