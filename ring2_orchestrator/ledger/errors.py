"""What a ledger may answer instead of doing its work.

RedoxaError
  InputError
    MalformedCheckpointError  a text that is not a checkpoint
    NoSuchEntryError          the ledger is shorter than that
  DamageError
    LedgerDamagedError        the ledger is not what it was; `entry` says where
  UnavailableError
    LedgerBusyError           another process holds the ledger for too long
    LedgerUnreadableError     a file of the ledger cannot be read
    LedgerWriteError          the disk refused; nothing acknowledged is lost
"""

from cid_store.errors import DamageError, InputError, UnavailableError


class MalformedCheckpointError(InputError):
    """A text that is not a checkpoint in the one accepted form."""


class NoSuchEntryError(InputError):
    """The ledger holds no entry of that number."""


class LedgerDamagedError(DamageError):
    """The ledger is not what it was when it was written; `entry` is the first one concerned."""

    def __init__(self, message: str, *, entry: int | None = None) -> None:
        super().__init__(message)
        self.entry = entry


class LedgerBusyError(UnavailableError):
    """Another process holds the ledger's lock for longer than anyone should."""


class LedgerUnreadableError(UnavailableError):
    """A file of the ledger is there and cannot be read."""


class LedgerWriteError(UnavailableError):
    """The disk refused a write; everything acknowledged before is still there."""
