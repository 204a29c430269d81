"""The shadow ledger: batches of entries in an append-only Merkle log, each one durable at once.

Order of durability: the batch in the store, its entry in the bundle, the checkpoint. So whatever
the checkpoint covers is complete, and a crash leaves at most one entry beyond it. Where several
come at once, the checkpoint to come is written beside the old one first, and a crash leaves what
it covers, or a part of that.
"""

import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from cid_store.cid import Cid, Codec
from cid_store.encoding import NodeLike
from cid_store.errors import CorruptObjectError, MalformedNodeError, MissingObjectError, RedoxaError
from cid_store.store import Store
from ring2_orchestrator.clock import Clock
from ring2_orchestrator.ledger import durable
from ring2_orchestrator.ledger.checkpoint import Checkpoint
from ring2_orchestrator.ledger.errors import (
    LedgerBusyError,
    LedgerDamagedError,
    LedgerWriteError,
    NoSuchEntryError,
)
from ring2_orchestrator.ledger.leaf import (
    Batch,
    Draft,
    Leaf,
    check_names,
    decode_batch,
    decode_leaf,
    encode_batch,
    encode_leaf,
    mention,
)
from ring2_orchestrator.ledger.merkle import (
    EMPTY_ROOT,
    Span,
    consistency_spans,
    inclusion_spans,
    leaf_hash,
    root_of,
    root_of_edges,
)
from ring2_orchestrator.ledger.note import Note
from ring2_orchestrator.ledger.reader import LogReader, Tip, edges_with, is_leaf
from ring2_orchestrator.ledger.tiles import MAX_ENTRY, TILE_WIDTH, frame

if TYPE_CHECKING:
    from ring2_orchestrator.ledger.proof import GrowthProof, InclusionProof
    from ring2_orchestrator.ledger.serving import Resource

LOCK_TIMEOUT_S = 30.0


class Receipt(NamedTuple):
    """What an append acknowledges: the entry's place, its hash, and the log's new head."""

    seq: int
    leaf_hash: bytes
    size: int
    root_hash: bytes


class Ledger:
    """Batches in order, each verified against the log's head when it is read.

    Safe for several threads and several processes: appends take turns, reads wait for nobody.
    """

    def __init__(self, path: Path, *, store: Store, clock: Clock) -> None:
        """Open the log in a folder, or begin one. Reads nothing yet but whether it exists."""
        self.path = Path(path)
        self._store = store
        self._clock = clock
        self._log = LogReader(self.path)
        self._mutex = threading.Lock()
        self._closed = False
        if not durable.size(self._log.checkpoint_path):
            self._begin()

    def append(
        self, entries: Sequence[NodeLike], *, kind: str, subject: str, time_ns: int | None = None
    ) -> Receipt:
        """Add one batch; when this returns, batch and entry survive a power cut.

        `time_ns` is when it happened, now unless given.

        Never call it inside the store's `batch()`: the entry would be durable before its batch.
        Raises LedgerDamagedError, and adds nothing, where the log is not what it was. After a
        LedgerWriteError the batch may or may not be in the log.
        """
        assert not self._closed, "a closed ledger takes no entries"
        time_ns = self._clock.now_ns() if time_ns is None else time_ns
        entry = self._keep(Draft(entries, kind, subject, time_ns))
        with self._writing():
            return self._commit(self._settle(), entry)

    def append_all(self, drafts: Sequence[Draft]) -> None:
        """Add batches in their order, a bundle's worth between two waits for the disk.

        All are durable when this returns. A crash, or a LedgerWriteError, leaves the first of them,
        up to the end of some bundle, and none of the others.
        """
        assert not self._closed, "a closed ledger takes no entries"
        with self._store.batch():
            entries = [self._keep(draft) for draft in drafts]
        with self._writing():
            tip = self._settle()
            while entries:
                room = TILE_WIDTH - tip.size % TILE_WIDTH
                self._commit(tip, *entries[:room])
                tip, entries = self._log.tip(), entries[room:]

    def settle(self) -> None:
        """Adopt or drop what a crash left beyond the checkpoint, as the next append would."""
        with self._writing():
            self._settle()

    def _keep(self, draft: Draft) -> bytes:
        check_names(draft.kind, draft.subject)
        batch = self._store.put(encode_batch(draft), Codec.NODE)
        entry = encode_leaf(Leaf(batch, draft.kind, draft.subject, draft.time_ns))
        assert len(entry) <= MAX_ENTRY, "names are bounded, so a leaf is"
        return entry

    def read(self, seq: int) -> Batch:
        """The batch of that number, checked against the log's head.

        Raises NoSuchEntryError, LedgerDamagedError.
        """
        return self._load(seq, self.leaf(seq))

    def leaf(self, seq: int) -> Leaf:
        """What the log itself says of that batch, without reading the store."""
        tip = self._log.tip()
        if not 0 <= seq < tip.size:
            raise self._no_entry(seq, tip)
        entries = self._log.entries(tip, seq // TILE_WIDTH)
        return self._log.leaf(seq, entries[seq % TILE_WIDTH])

    def leaves(
        self, kind: str | None = None, subject: str | None = None, *, newest_first: bool = False
    ) -> Iterator[tuple[int, Leaf]]:
        """Number and leaf of every batch of that kind and subject, without reading the store."""
        tip = self._log.tip()
        marks = [mention(text) for text in (kind, subject) if text is not None]
        bundles = range(-(-tip.size // TILE_WIDTH))
        for index in reversed(bundles) if newest_first else bundles:
            entries = self._log.entries(tip, index)
            places = range(len(entries))
            for at in reversed(places) if newest_first else places:
                # Looking for the encoded text spares decoding most leaves of a long log.
                if not all(mark in entries[at] for mark in marks):
                    continue
                leaf = self._log.leaf(index * TILE_WIDTH + at, entries[at])
                if kind in (None, leaf.kind) and subject in (None, leaf.subject):
                    yield index * TILE_WIDTH + at, leaf

    def batches(
        self, kind: str | None = None, subject: str | None = None, *, newest_first: bool = False
    ) -> Iterator[Batch]:
        """Every batch of that kind and subject in the log as it is when the first is asked for."""
        for seq, leaf in self.leaves(kind, subject, newest_first=newest_first):
            yield self._load(seq, leaf)

    def needed(self) -> list[Cid]:
        """Every batch to keep: the log's, and that of an entry which the next append adopts."""
        beyond, _ = self._log.beyond(self._log.tip())
        adopted = [decode_leaf(entry).batch for entry in beyond if is_leaf(entry)]
        return [leaf.batch for _, leaf in self.leaves()] + adopted

    def verify(
        self, checkpoint: str | None = None, advance: Callable[[int], None] | None = None
    ) -> Checkpoint:
        """Check every entry, hash and batch, and that the log extends `checkpoint` if given.

        Changes nothing. `advance` hears how many more entries were checked; each is counted twice,
        once for its hash and once for its batch. Raises MalformedCheckpointError, and
        LedgerDamagedError naming the first entry that is wrong.
        """
        from ring2_orchestrator.ledger.audit import (  # noqa: PLC0415 - an append audits nothing
            audit_entries,
            audit_tiles,
        )

        outside = Checkpoint.parse(checkpoint) if checkpoint is not None else None
        head = self._log.head()
        self._log.check_origin(head)
        if outside is not None:
            self._log.check_grown(head, outside)
        audit = audit_entries(self._log.files, head, advance)
        if outside is not None and root_of(audit.hashes[: outside.size]) != outside.root_hash:
            raise self._log.forked(outside)
        self._log.check_beyond(self._log.tip())
        audit_tiles(self._log.files, audit)
        for seq, leaf in self.leaves():
            if seq < head.size:
                self._load(seq, leaf)
                if advance is not None:
                    advance(1)
        return head

    def unfinished(self) -> list[str]:
        """What a crash left that is no damage, in sentences; the next append puts it in order."""
        found = self._unfinished()
        if not found:
            return []
        try:
            # What somebody is appending right now is no crash's: look when nobody is.
            with durable.locked(self.path / "lock", timeout_s=LOCK_TIMEOUT_S):
                return self._unfinished()
        except (OSError, LedgerBusyError):
            return found

    def rebuild(self) -> int:
        """Make wrong or missing hash tiles again from the entries; how many were made.

        Raises LedgerDamagedError where the entries themselves are not what the checkpoint fixes.
        """
        from ring2_orchestrator.ledger.audit import audit_entries  # noqa: PLC0415 - as above

        made = 0
        with self._writing():
            audit = audit_entries(self._log.files, self._log.head())
            levels = list(audit.tile_levels())
            # One more, and one hash more in each: what stands where nothing belongs goes, too.
            for level, row in [*levels, (len(levels), [])]:
                for first in range(0, len(row) + 1, TILE_WIDTH):
                    hashes, index = row[first : first + TILE_WIDTH], first // TILE_WIDTH
                    if self._log.files.tile_bytes(level, index) != b"".join(hashes):
                        self._log.files.write_hashes(level, index, 0, hashes)
                        made += 1
        return made

    def checkpoint(self) -> str:
        """The log's head as a text to keep elsewhere: it fixes every entry up to here."""
        return self.head().text

    def head(self, *, extending: Checkpoint | None = None) -> Checkpoint:
        """The log's head. Raises LedgerDamagedError where it does not extend the one given."""
        tip = self._log.tip()
        if extending is not None:
            self._log.check_extends(tip, extending)
        return tip.checkpoint

    def head_at(self, size: int) -> Checkpoint:
        """The head that the log had after its first `size` entries."""
        tip = self._log.tip()
        if not 0 <= size <= tip.size:
            raise self._no_entry(size - 1, tip)
        return self._log.checkpoint_at(tip, size)

    def prove(self, seq: int, under: Note | None = None) -> "InclusionProof":
        """The proof that an entry is in the log of its head, or of an earlier checkpoint's note.

        Raises NoSuchEntryError, and LedgerDamagedError where the log does not extend the note.
        """
        from ring2_orchestrator.ledger.proof import InclusionProof  # noqa: PLC0415 - rarely asked

        tip = self._log.tip()
        note = Note(tip.checkpoint.text, ()) if under is None else under
        head = Checkpoint.of(note)
        self._log.check_extends(tip, head)
        if not 0 <= seq < head.size:
            raise self._no_entry(seq, head)
        entry = self._log.entries(tip, seq // TILE_WIDTH)[seq % TILE_WIDTH]
        hashes = self._roots(tip, inclusion_spans(head.size, seq))
        return InclusionProof(seq, entry, hashes, note)

    def prove_growth(self, old: Checkpoint, under: Note | None = None) -> "GrowthProof":
        """The proof that the log of its head, or of a later checkpoint's note, begins with `old`.

        Raises LedgerDamagedError where it does not.
        """
        from ring2_orchestrator.ledger.proof import GrowthProof  # noqa: PLC0415 - rarely asked

        tip = self._log.tip()
        note = Note(tip.checkpoint.text, ()) if under is None else under
        head = Checkpoint.of(note)
        self._log.check_extends(tip, head)
        self._log.check_grown(head, old)
        self._log.check_extends(tip, old)
        spans = consistency_spans(head.size, old.size) if old.size else []
        return GrowthProof(old.size, self._roots(tip, spans), note)

    def resources(self, head: Checkpoint, *, since: int = 0) -> "Iterator[Resource]":
        """The files in which a tiled log serves what a checkpoint of this log covers, each proven.

        Full ones that the log of `since` entries had already are left out. Raises
        LedgerDamagedError where the log does not extend the checkpoint.
        """
        from ring2_orchestrator.ledger.serving import resources  # noqa: PLC0415 - rarely asked

        tip = self._log.tip()
        self._log.check_extends(tip, head)
        return resources(self._log, tip, head.size, since=since)

    def __len__(self) -> int:
        return self._log.tip().size

    def close(self) -> None:
        """Let go; everything acknowledged is already durable. Closing twice is harmless."""
        self._closed = True
        self._log.advance(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _unfinished(self) -> list[str]:
        tip = self._log.tip()
        found: list[str] = []
        recorded, true = self._log.growing(tip)
        if not recorded.startswith(true):
            found.append(
                f"the hashes of the newest entries in {self._log.files.tile_path(0, 0).parent} "
                "are behind: the next append writes them again"
            )
        left = self._log.unacknowledged(tip)
        if left.whole and left.wanted > 1:
            found.append(
                f"entries {tip.size} to {tip.size + left.wanted - 1} were written and not "
                "acknowledged: they will be adopted"
            )
        elif left.whole:
            found.append(f"entry {tip.size} was written and not acknowledged: it will be adopted")
        elif left.some:
            found.append(f"entry {tip.size} was written in part: the next append cuts it off")
        return found

    def _roots(self, tip: Tip, spans: Sequence[Span]) -> tuple[bytes, ...]:
        return tuple(self._log.span_root(tip, begin, end) for begin, end in spans)

    def _no_entry(self, seq: int, log: Tip | Checkpoint) -> NoSuchEntryError:
        held = f"{log.size} entries, 0 to {log.size - 1}" if log.size else "no entry yet"
        return NoSuchEntryError(f"the ledger has no entry {seq}; it holds {held}")

    def _load(self, seq: int, leaf: Leaf) -> Batch:
        try:
            return decode_batch(seq, leaf, self._store.get(leaf.batch))
        except (MissingObjectError, CorruptObjectError, MalformedNodeError) as error:
            raise LedgerDamagedError(
                f"ledger {self.path}: the batch of entry {seq} is lost: {error}", entry=seq
            ) from error

    def _begin(self) -> None:
        """Write the checkpoint of an empty log under a new name of its own."""
        try:
            durable.make_folder(self.path)
        except OSError as error:
            raise self._unwritable(error) from error
        with self._writing():
            if durable.size(self._log.checkpoint_path):
                return
            if os.path.lexists(self.path / "tile"):
                raise LedgerDamagedError(
                    f"ledger {self.path} holds entries but its file `checkpoint` is missing or "
                    "empty; restore it from a copy",
                    entry=0,
                )
            # Two ledgers must never share a name, so this one thing is drawn by lot.
            origin = f"redoxa/ledger/{os.urandom(8).hex()}"
            self._write_origin(origin)
            self._prepare_head(Checkpoint(origin, 0, EMPTY_ROOT))
            durable.put_in_place(self._log.checkpoint_path)
            durable.sync_folder(self.path.parent)

    @contextmanager
    def _writing(self) -> Generator[None]:
        """Alone with the log: no other thread, no other process."""
        with self._mutex:
            try:
                with durable.locked(self.path / "lock", timeout_s=LOCK_TIMEOUT_S):
                    yield
            except OSError as error:
                # What reached the disk is unknown: forget what we knew, and read it again.
                self._log.advance(None)
                raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> RedoxaError:
        return LedgerWriteError(
            f"ledger {self.path} cannot be written ({error.strerror}); nothing acknowledged is "
            "lost: make room or give the folder back to its owner, then try again"
        )

    def _settle(self) -> Tip:
        """The tip to append to, after what a crash left beyond it is adopted or dropped."""
        tip = self._log.tip()
        self._log.check_beyond(tip)
        self._log.check_growing(tip)
        if not self._log.origin_path.exists():  # begun by a Redoxa that did not write it
            self._write_origin(tip.checkpoint.origin)
        left = self._log.unacknowledged(tip)
        if left.whole:
            # Whole but unacknowledged: keeping it loses nothing, dropping it might.
            self._commit(tip, *left.leaves)
            return self._log.tip()
        if left.some:
            self._log.files.cut_bundle(tip.size // TILE_WIDTH, tip.end)
        # A head that never came would let the next crash leave more than one entry.
        durable.beside(self._log.checkpoint_path).unlink(missing_ok=True)
        return tip

    def _commit(self, tip: Tip, *entries: bytes) -> Receipt:
        """Append entries that fit into the growing bundle; the last one's receipt."""
        hashes = [leaf_hash(entry) for entry in entries]
        edges = edges_with(tip, hashes)
        head = Checkpoint(tip.checkpoint.origin, tip.size + len(entries), root_of_edges(edges))
        frames = b"".join(map(frame, entries))
        if len(entries) > 1 and self._log.coming(tip) != head:
            # Said first: a crash leaves one entry beyond the checkpoint, or those of this head.
            self._prepare_head(head)
            durable.sync_folder(self.path)
        self._log.files.write_entries(tip.size // TILE_WIDTH, tip.end, frames)
        self._write_tiles(tip, hashes)
        if len(entries) == 1:
            self._prepare_head(head)
        durable.put_in_place(self._log.checkpoint_path)
        self._log.advance(Tip(head, edges, tip.end + len(frames) if head.size % TILE_WIDTH else 0))
        return Receipt(head.size - 1, hashes[-1], head.size, head.root_hash)

    def _write_tiles(self, tip: Tip, hashes: list[bytes]) -> None:
        """Write further leaves' hashes, and the roots of the tiles that they fill."""
        carry, index = hashes, tip.size
        for level in count():
            index //= TILE_WIDTH
            known = tip.edges[level] if level < len(tip.edges) else []
            edge = [*known, *carry]
            # A power cut may have left the growing tile of leaf hashes behind: then write it whole.
            behind = level == 0 and self._log.files.hashes(0, index)[: len(known)] != known
            first = 0 if behind else len(known)
            self._log.files.write_hashes(level, index, first, edge[first:])
            if len(edge) < TILE_WIDTH:
                break
            carry = [root_of(edge)]

    def _write_origin(self, origin: str) -> None:
        durable.replace(self._log.origin_path, f"{origin}\n".encode())

    def _prepare_head(self, head: Checkpoint) -> None:
        durable.prepare(self._log.checkpoint_path, head.text.encode("utf-8"))
