"""The key of a ledger, in a private file; and the newest checkpoint it signed, beside it."""

import os
import stat
from pathlib import Path

from ring2_orchestrator.ledger import durable
from ring2_orchestrator.ledger.checkpoint import Checkpoint
from ring2_orchestrator.ledger.errors import KeyFileError, MalformedNoteError
from ring2_orchestrator.ledger.keys import SigningKey, VerifierKey
from ring2_orchestrator.ledger.log import LOCK_TIMEOUT_S, Ledger
from ring2_orchestrator.ledger.note import MAX_NOTE, Note

_SEED_BYTES = 32
_MAX_KEY = 4096


class KeyFile:
    """`ledger.key` in a folder of its own, outside the ledger: a copy of a log carries no key."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.key"
        self._signed = folder / "ledger.signed"
        self._lock = folder / "lock"

    def new(self, name: str) -> VerifierKey:
        """Draw a key, readable by its owner alone. Raises KeyFileError where there is one."""
        self._refuse_other_folders()
        key = SigningKey(name, os.urandom(_SEED_BYTES))
        try:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            durable.sync_folder(self.path.parent.parent)
            with durable.locked(self._lock, timeout_s=LOCK_TIMEOUT_S):
                durable.create(self.path, f"{key.secret}\n".encode())
        except FileExistsError:
            if self.path.is_symlink():
                raise KeyFileError(
                    f"{self.path} is a symbolic link, and none is followed there; put the key "
                    "itself there, or move the link away first"
                ) from None
            raise KeyFileError(
                f"there is a key already in {self.path}; whoever verifies knows it: to begin with "
                "another, move that file away first"
            ) from None
        except OSError as error:
            raise KeyFileError(
                f"the key {self.path} cannot be written ({error.strerror}); nothing was signed"
            ) from error
        return key.verifier

    def load(self) -> SigningKey | None:
        """The key, or None where none was made. Raises KeyFileError where it cannot be trusted."""
        self._refuse_other_folders()
        text = durable.read(self.path, limit=_MAX_KEY).decode("utf-8", "replace")
        if not text and not self.path.exists():
            return None
        if stat.S_IMODE(self.path.lstat().st_mode) & 0o077:
            raise KeyFileError(
                f"others can read the key {self.path}; take that right away with "
                f"`chmod 600 {self.path}`, or make a new key if somebody did"
            )
        key = SigningKey.parse(text.removesuffix("\n"))
        if key is None:
            raise KeyFileError(f"{self.path} does not hold a whole key; restore it from a copy")
        return key

    def need(self) -> SigningKey:
        """The key. Raises KeyFileError where none was made."""
        key = self.load()
        if key is None:
            raise KeyFileError(f"there is no key in {self.path}; `redoxa ledger key new` makes one")
        return key

    def sign(self, ledger: Ledger) -> Note:
        """The ledger's checkpoint, signed. It extends every one signed before, or is refused.

        Raises KeyFileError, and LedgerDamagedError where the log lost or changed what was signed.
        """
        key = self.need()
        with durable.locked(self._lock, timeout_s=LOCK_TIMEOUT_S):
            head = ledger.head(extending=self._last())
            if head.origin != key.verifier.name:
                raise KeyFileError(
                    f"the key {self.path} is of {key.verifier.name}, and this ledger is "
                    f"{head.origin}: move the key away, then make one with "
                    "`redoxa ledger key new`"
                )
            note = key.sign(head.text)
            # Before anybody sees the signature: what was signed once must never be contradicted.
            durable.replace(self._signed, note.whole.encode("utf-8"))
        return note

    def _refuse_other_folders(self) -> None:
        """Raise KeyFileError where `keys` is no folder of the home's own."""
        folder = self.path.parent
        if folder.is_symlink():
            # The home is private, and what a link leads to may be anybody's.
            raise KeyFileError(
                f"{folder} is a symbolic link, and none is followed to a key; put the folder "
                "itself there"
            )
        if folder.exists() and not folder.is_dir():
            raise KeyFileError(f"{folder} is no folder; move away what is there, then try again")

    def _last(self) -> Checkpoint | None:
        text = durable.read(self._signed, limit=MAX_NOTE).decode("utf-8", "replace")
        try:
            return Checkpoint.parse(text) if text else None
        except MalformedNoteError as error:
            raise KeyFileError(
                f"{self._signed} should hold the newest signed checkpoint: {error}"
            ) from error
