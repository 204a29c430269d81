"""What `redoxa jit hint` said of a command, kept for `redoxa-run` to say again.

Only of a command that would be reused, by the very trace of its shortcut: while the shortcut's
facts hold, so does what was decided, and the ledger's head and the question fix all else.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

from cid_store.cid import Cid
from ring2_orchestrator.plainfile import read_plain
from ring2_orchestrator.shortcuts.folder import hint_of, path_of, write
from ring2_orchestrator.shortcuts.form import DIGEST_BYTES, HINT_MAGIC, MAGIC, digest, key_of, part
from ring2_orchestrator.shortcuts.spool import NAME as SPOOL


class Moment(NamedTuple):
    """What a hint rests on: its command's shortcut, and the ledger's head."""

    key: bytes
    path: Path
    shortcut: bytes
    head: bytes

    @classmethod
    def of(cls, home: Path, command: Sequence[str], cwd: Path) -> Self | None:
        """As it is now; None where there is no shortcut, or reuses wait to be entered."""
        try:
            if (home / SPOOL).exists() and (home / SPOOL).stat().st_size:
                return None
            key = key_of(home)
            path = path_of(home, key, [os.fsencode(word) for word in command], os.fsencode(cwd))
            return cls(key, path, read_plain(path), read_plain(home / "ledger" / "checkpoint"))
        except OSError:
            return None

    def keep(self, said: str, question: str, trace: str) -> None:
        """Keep what was said between two moments that are the same; a failure is silent."""
        if Cid.parse(trace).to_bytes() not in self.shortcut:
            return
        text = said.encode()
        mac = self.shortcut[len(MAGIC) : len(MAGIC) + DIGEST_BYTES]
        state = HINT_MAGIC + mac + part(question.encode()) + part(self.head) + text
        with suppress(OSError):
            write(hint_of(self.path), digest(self.key, state) + text)
