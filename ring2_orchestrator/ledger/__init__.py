"""The shadow ledger: an append-only Merkle log of batches, each one durable when acknowledged."""

from ring2_orchestrator.ledger.checkpoint import Checkpoint
from ring2_orchestrator.ledger.errors import (
    LedgerBusyError,
    LedgerDamagedError,
    LedgerUnreadableError,
    LedgerWriteError,
    MalformedCheckpointError,
    MalformedNoteError,
    NoSuchEntryError,
    NotProvenError,
)
from ring2_orchestrator.ledger.leaf import Batch, Draft, Leaf
from ring2_orchestrator.ledger.log import Ledger, Receipt

__all__ = [
    "Batch",
    "Checkpoint",
    "Draft",
    "Leaf",
    "Ledger",
    "LedgerBusyError",
    "LedgerDamagedError",
    "LedgerUnreadableError",
    "LedgerWriteError",
    "MalformedCheckpointError",
    "MalformedNoteError",
    "NoSuchEntryError",
    "NotProvenError",
    "Receipt",
]
