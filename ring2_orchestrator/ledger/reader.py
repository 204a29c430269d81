"""Reading the log: from its checkpoint down to an entry, every hash on the way checked."""

import os
import threading
from collections.abc import Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import NamedTuple

from cid_store.errors import MalformedNodeError
from ring2_orchestrator.ledger import durable
from ring2_orchestrator.ledger.checkpoint import Checkpoint
from ring2_orchestrator.ledger.errors import LedgerDamagedError, MalformedNoteError
from ring2_orchestrator.ledger.leaf import Leaf, decode_leaf
from ring2_orchestrator.ledger.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    leaf_hash,
    node_hash,
    root_of,
    root_of_edges,
    split_of,
)
from ring2_orchestrator.ledger.tiles import (
    TILE_LEVELS,
    TILE_WIDTH,
    TileFiles,
    may_be_left,
    split_bundle,
    widths,
)

_MAX_HEAD = 65_536


class Tip(NamedTuple):
    """A checkpoint whose right edge was recomputed from the last entries and found true."""

    checkpoint: Checkpoint
    edges: list[list[bytes]]
    end: int  # where the next entry goes in the growing bundle

    @property
    def size(self) -> int:
        """How many entries the checkpoint covers."""
        return self.checkpoint.size


class Unacknowledged(NamedTuple):
    """What stands beyond a checkpoint."""

    leaves: list[bytes]  # whole entries, from the first on
    some: bool  # whether anything stands there
    wanted: int  # how many entries were to come
    whole: bool  # whether they all came, and nothing more


class LogReader:
    """The log in a folder as it is now. What this process saw before must still hold.

    Takes no lock: a log only grows, and what a checkpoint covers is complete before it is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = TileFiles(path)
        self._mutex = threading.RLock()
        self._tip: Tip | None = None
        self._proven: dict[tuple[int, int], list[bytes]] = {}

    @property
    def checkpoint_path(self) -> Path:
        """The file that names the log's head."""
        return self.path / "checkpoint"

    def head(self) -> Checkpoint:
        """The checkpoint as the file says it, not yet compared with any entry."""
        data = durable.read(self.checkpoint_path, limit=_MAX_HEAD)
        if not data:
            raise LedgerDamagedError(
                f"ledger {self.path}: the file `checkpoint` is missing or empty; restore it "
                "from a copy"
            )
        try:
            head = Checkpoint.parse(data.decode("utf-8", "replace"))
        except MalformedNoteError as error:
            raise LedgerDamagedError(
                f"ledger {self.path}: the file `checkpoint` is damaged; restore it from a copy, or "
                "from what `redoxa ledger checkpoint` printed last"
            ) from error
        if head.text.encode("utf-8") != data:
            raise LedgerDamagedError(
                f"ledger {self.path}: foreign bytes stand in the file `checkpoint`; restore it "
                "from a copy"
            )
        return head

    @property
    def origin_path(self) -> Path:
        """The file that says once more which log this is; logs begun long ago may lack it."""
        return self.path / "origin"

    def check_origin(self, head: Checkpoint) -> None:
        """Raise LedgerDamagedError where the head is not of the log that was begun here.

        Nothing else would say so: no entry knows which log it is in.
        """
        kept = durable.read(self.origin_path, limit=_MAX_HEAD)
        if kept == f"{head.origin}\n".encode() or not os.path.lexists(self.origin_path):
            return
        said = kept.decode("utf-8", "replace").strip()[:80]
        raise LedgerDamagedError(
            f"ledger {self.path}: the file `checkpoint` is of {head.origin}, and the file "
            f"`origin` says {said!r}; compare both with a checkpoint kept elsewhere, and restore "
            "the wrong one from a copy"
        )

    def tip(self) -> Tip:
        """The head, proven by the entries at the right edge. Raises LedgerDamagedError."""
        head = self.head()
        with self._mutex:
            known = self._tip
            if known is not None and known.checkpoint == head:
                return known
            if known is not None:
                self.check_grown(head, known.checkpoint)
            self._tip = self._load(head)
            return self._tip

    def advance(self, tip: Tip | None) -> None:
        """Take a tip this process wrote itself, or forget what was known."""
        with self._mutex:
            self._tip = tip

    def entries(self, tip: Tip, index: int) -> list[bytes]:
        """The entries of a bundle, which hash to what the log's head fixes."""
        bundle = split_bundle(self.files.bundle_bytes(index))
        count = min(TILE_WIDTH, tip.size - index * TILE_WIDTH)
        hashes = [leaf_hash(entry) for entry in bundle.entries[:count]]
        true = (
            hashes == tip.edges[0]
            if count < TILE_WIDTH
            else len(hashes) == count and root_of(hashes) == self._subtree(tip, 1, index)
        )
        if not true:
            self._refuse(tip.checkpoint)
        return bundle.entries[:count]

    def leaf(self, seq: int, entry: bytes) -> Leaf:
        """The leaf in an entry whose hash was checked."""
        try:
            return decode_leaf(entry)
        except MalformedNodeError as error:
            raise LedgerDamagedError(
                f"ledger {self.path}: entry {seq} cannot be read ({error}); a newer Redoxa may "
                "have written it",
                entry=seq,
            ) from error

    def span_root(self, tip: Tip, begin: int, end: int) -> bytes:
        """The root over the entries `begin` up to, and without, `end`, from proven hashes.

        The span is one of those that Merkle proofs use: a subtree, or the right edge of one.
        """
        size = end - begin
        if size == 0:
            return EMPTY_ROOT
        if size & (size - 1):
            middle = begin + split_of(size)
            return node_hash(self.span_root(tip, begin, middle), self.span_root(tip, middle, end))
        level, rest = divmod(size.bit_length() - 1, TILE_LEVELS)
        first = begin >> (level * TILE_LEVELS)
        return root_of([self._subtree(tip, level, first + at) for at in range(1 << rest)])

    def checkpoint_at(self, tip: Tip, size: int) -> Checkpoint:
        """The checkpoint that the log had after its first `size` entries."""
        assert 0 <= size <= tip.size, "the log was never longer than it is"
        return Checkpoint(tip.checkpoint.origin, size, self.span_root(tip, 0, size))

    def check_extends(self, tip: Tip, earlier: Checkpoint) -> None:
        """Raise LedgerDamagedError unless the log begins with what an earlier checkpoint fixes."""
        self.check_grown(tip.checkpoint, earlier)
        if self.checkpoint_at(tip, earlier.size).root_hash != earlier.root_hash:
            raise self.forked(earlier)

    def check_grown(self, head: Checkpoint, earlier: Checkpoint) -> None:
        """Raise LedgerDamagedError where `head` cannot have grown from an earlier checkpoint."""
        if head.origin != earlier.origin:
            raise LedgerDamagedError(
                f"ledger {self.path} is {head.origin}, but the earlier checkpoint is of "
                f"{earlier.origin}: the ledger was replaced, or the checkpoint is another's",
                entry=0,
            )
        if head.size < earlier.size:
            raise LedgerDamagedError(
                f"ledger {self.path} was rolled back: entry {head.size} and all after it are "
                f"missing; the earlier checkpoint covers {earlier.size} entries, the ledger "
                f"holds {head.size}",
                entry=head.size,
            )
        if head.size == earlier.size and head.root_hash != earlier.root_hash:
            raise self.forked(earlier)

    def forked(self, earlier: Checkpoint) -> LedgerDamagedError:
        """The error that says: this log does not begin with what the checkpoint fixes."""
        return LedgerDamagedError(
            f"ledger {self.path} was rewritten: its first {earlier.size} entries (0 to "
            f"{earlier.size - 1}) are not those the earlier checkpoint fixes",
            entry=0,
        )

    def beyond(self, tip: Tip) -> tuple[list[bytes], bytes]:
        """Whole entries and further bytes in the growing bundle that the checkpoint leaves out."""
        index, width = divmod(tip.size, TILE_WIDTH)
        if self.files.bundle_size(index) == tip.end:
            return [], b""
        bundle = split_bundle(self.files.bundle_bytes(index))
        return bundle.entries[width:], bundle.rest

    def coming(self, tip: Tip) -> Checkpoint | None:
        """The head to which several entries at once are being appended, as their writer said."""
        data = durable.read(durable.beside(self.checkpoint_path), limit=_MAX_HEAD)
        try:
            head = Checkpoint.parse(data.decode("utf-8", "replace"))
        except MalformedNoteError:
            return None
        border = tip.size - tip.size % TILE_WIDTH + TILE_WIDTH
        fits = head.origin == tip.checkpoint.origin and tip.size < head.size <= border
        return head if fits and head.text.encode("utf-8") == data else None

    def unacknowledged(self, tip: Tip) -> Unacknowledged:
        """What a crash left beyond the checkpoint, or a writer puts there just now."""
        entries, rest = self.beyond(tip)
        # The entries first: their writer says how many will come before it writes any.
        coming = self.coming(tip) if entries or rest else None
        wanted = coming.size - tip.size if coming else 1
        leaves = list(takewhile(is_leaf, entries))
        whole = len(leaves) == len(entries) == wanted and not rest
        if whole and coming is not None:
            edges = edges_with(tip, [leaf_hash(leaf) for leaf in leaves])
            whole = root_of_edges(edges) == coming.root_hash
        return Unacknowledged(leaves, bool(entries or rest), wanted, whole=whole)

    def check_beyond(self, tip: Tip) -> None:
        """Raise LedgerDamagedError where more stands beyond the checkpoint than a crash leaves."""
        # Hashes first: a writer puts an entry before its hash, so no hash is seen without it.
        hashes = self._hashes_beyond(tip)
        further = self.files.bundle_size(tip.size // TILE_WIDTH + 1) > 0
        left = self.unacknowledged(tip)
        whole = not further and left.whole
        torn = not further and len(left.leaves) < left.wanted
        if whole:
            foreign = _foreign(tip, hashes, [leaf_hash(leaf) for leaf in left.leaves])
        else:
            foreign = _foreign(tip, hashes, None if left.some else [], wanted=left.wanted)
        if (torn or whole) and foreign is None:
            return
        # Another process may have appended since the tip was read: judge by the newest one.
        newest = self.tip()
        if newest.size > tip.size:
            self.check_beyond(newest)
            return
        if foreign is not None and (torn or whole):
            tile = self.files.tile_path(foreign, tip.size // TILE_WIDTH ** (foreign + 1))
            raise LedgerDamagedError(
                f"ledger {self.path}: foreign bytes stand at the end of the hash file "
                f"{tile.relative_to(self.path)}, but every entry is intact; "
                "`redoxa ledger rebuild` makes it again",
                entry=tip.size,
            )
        raise LedgerDamagedError(
            f"ledger {self.path}: entry {tip.size} and others stand beyond the checkpoint, "
            f"which covers {tip.size}: the file `checkpoint` was rolled back; restore it from "
            "a copy",
            entry=tip.size,
        )

    def _hashes_beyond(self, tip: Tip) -> list[bytes]:
        """What stands at the end of each level's growing tile that the checkpoint leaves out."""
        found: list[bytes] = []
        index = tip.size
        for level in range(len(tip.edges) + 1):
            index //= TILE_WIDTH
            known = HASH_BYTES * len(tip.edges[level]) if level < len(tip.edges) else 0
            longer = durable.size(self.files.tile_path(level, index)) > known
            found.append(self.files.tile_bytes(level, index)[known:] if longer else b"")
        return found

    def check_growing(self, tip: Tip) -> None:
        """Raise LedgerDamagedError where the newest leaf hashes are wrong, not merely behind."""
        if tip.edges and not may_be_left(*self.growing(tip)):
            self._refuse(tip.checkpoint)

    def growing(self, tip: Tip) -> tuple[bytes, bytes]:
        """The growing tile of leaf hashes as it is, and what belongs there."""
        true = b"".join(tip.edges[0]) if tip.edges else b""
        return self.files.tile_bytes(0, tip.size // TILE_WIDTH), true

    def _load(self, head: Checkpoint) -> Tip:
        self.check_origin(head)
        edges: list[list[bytes]] = []
        end = 0
        index = head.size
        for level, width in enumerate(widths(head.size)):
            index //= TILE_WIDTH
            if level == 0:
                bundle = split_bundle(self.files.bundle_bytes(index))
                edges.append([leaf_hash(entry) for entry in bundle.entries[:width]])
                end = bundle.end_of(width)
            else:
                edges.append(self.files.hashes(level, index)[:width])
        found = [len(edge) for edge in edges]
        if found != widths(head.size) or root_of_edges(edges) != head.root_hash:
            self._refuse(head)
        return Tip(head, edges, end)

    def _subtree(self, tip: Tip, level: int, index: int) -> bytes:
        """The root of a complete subtree, proven by the tiles above it."""
        tile, at = divmod(index, TILE_WIDTH)
        if tile == tip.size // TILE_WIDTH ** (level + 1):
            return tip.edges[level][at]
        if (level, tile) not in self._proven:
            hashes = self.files.hashes(level, tile)
            if root_of(hashes) != self._subtree(tip, level + 1, tile):
                self._refuse(tip.checkpoint)
            self._proven[level, tile] = hashes
        return self._proven[level, tile][at]

    def _refuse(self, head: Checkpoint) -> None:
        """Name what is wrong with the log. Always raises LedgerDamagedError."""
        from ring2_orchestrator.ledger.audit import (  # noqa: PLC0415 - a sound log needs none
            audit_entries,
            audit_tiles,
        )

        audit_tiles(self.files, audit_entries(self.files, head))
        raise LedgerDamagedError(
            f"ledger {self.path} changed while it was read; try again, then run "
            "`redoxa ledger verify`"
        )


def edges_with(tip: Tip, hashes: Sequence[bytes]) -> list[list[bytes]]:
    """The right edge with further leaves, of which none lies beyond the growing bundle."""
    edges = [list(edge) for edge in tip.edges]
    carry = list(hashes)
    for level in count():
        if level == len(edges):
            edges.append([])
        edge = edges[level]
        edge += carry
        assert len(edge) <= TILE_WIDTH, "a tile takes no more"
        if len(edge) < TILE_WIDTH:
            break
        carry = [root_of(edge)]
        edge.clear()
    return edges


def _foreign(
    tip: Tip, beyond: list[bytes], carry: list[bytes] | None, *, wanted: int = 1
) -> int | None:
    """The first level where other hashes stand beyond the checkpoint than those of the entries.

    `carry` is the entries' hashes; None where they are torn, and as many as `wanted` may stand.
    """
    for level, data in enumerate(beyond):
        if carry is None:
            if len(data) > HASH_BYTES * (1 if level else wanted):
                return level
            continue
        true = b"".join(carry)
        if len(data) > len(true) or not may_be_left(data, true):
            return level
        edge = tip.edges[level] if level < len(tip.edges) else []
        full = bool(carry) and len(edge) + len(carry) == TILE_WIDTH
        carry = [root_of([*edge, *carry])] if full else []
    return None


def is_leaf(entry: bytes) -> bool:
    """Whether a whole leaf was written there, rather than a part of one."""
    try:
        decode_leaf(entry)
    except MalformedNodeError:
        return False
    return True
