"""What a ledger may answer instead of doing its work.

RedoxaError
  NotProvenError              a signature or a proof does not hold
  InputError
    MalformedNoteError        a text that is not a signed note, a key or a proof
      MalformedCheckpointError  a text that is not a checkpoint
    NoSuchEntryError          the ledger is shorter than that
    KeyFileError              there is no key to sign with, or its file cannot be trusted
  DamageError
    LedgerDamagedError        the ledger is not what it was; `entry` says where
  UnavailableError
    LedgerBusyError           another process holds the ledger for too long
    LedgerUnreadableError     a file of the ledger cannot be read
    LedgerWriteError          the disk refused; nothing acknowledged is lost
"""

from cid_store.errors import DamageError, InputError, RedoxaError, UnavailableError


class NotProvenError(RedoxaError):
    """What was to be proven is not: a signature or a hash does not fit."""


class MalformedNoteError(InputError):
    """A text that is not a signed note, a key or a proof in its one accepted form."""


class MalformedCheckpointError(MalformedNoteError):
    """A text that is not a checkpoint in the one accepted form."""


class KeyFileError(InputError):
    """There is no key to sign with, one too many, or others can read its file."""


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
