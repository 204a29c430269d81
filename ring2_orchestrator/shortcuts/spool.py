"""Reuses that `redoxa-run` wrote down, entered in the ledger by whoever opens it next."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

from cid_store.encoding import NodeLike, decode
from cid_store.errors import MalformedNodeError
from ring2_orchestrator.ledger import Ledger
from ring2_orchestrator.plainfile import open_plain
from ring2_orchestrator.shortcuts.form import DIGEST_BYTES, MARK, digest, key_of

NAME = "reuses"
_HEAD = len(MARK) + 4 + 16 + 8 + 8


class _Reuse(NamedTuple):
    name: bytes  # drawn by lot, so that none is entered twice
    time_ns: int
    wall_ns: int
    entry: bytes


def enter_reuses(home: Path, ledger: Ledger) -> int:
    """Enter what is spooled, and empty the spool; how many were entered.

    Whoever is killed in between enters nothing twice: the spool is emptied last, and what the
    ledger holds already is left out. Raises OSError, LedgerWriteError, LedgerDamagedError.
    """
    path = home / NAME
    if not path.exists() or not path.stat().st_size:
        return 0
    descriptor = open_plain(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with open(descriptor, "rb", closefd=False) as file:
            waiting = list(_reuses(file.read(), key_of(home)))
        entered = _names_at_the_end(ledger, len(waiting))
        new = [reuse for reuse in waiting if reuse.name not in entered]
        for reuse in new:
            _enter(ledger, reuse)
        os.ftruncate(descriptor, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return len(new)


def _reuses(data: bytes, key: bytes) -> Iterator[_Reuse]:
    """Every whole record; a torn one was never acknowledged, and the next is found by its mark."""
    at = data.find(MARK)
    while at >= 0:
        head = data[at + len(MARK) : at + _HEAD]
        end = at + _HEAD + int.from_bytes(head[:4], "little")
        if digest(key, data[at:end]) == data[end : end + DIGEST_BYTES]:
            yield _Reuse(
                name=head[4:20],
                time_ns=int.from_bytes(head[20:28], "little"),
                wall_ns=int.from_bytes(head[28:36], "little"),
                entry=data[at + _HEAD : end],
            )
            at = data.find(MARK, end)
        else:
            at = data.find(MARK, at + 1)


def _names_at_the_end(ledger: Ledger, count: int) -> set[bytes]:
    """The names of the spooled reuses among the ledger's newest entries."""
    names: set[bytes] = set()
    for number, batch in enumerate(ledger.batches(newest_first=True)):
        if number == count:
            break
        names |= {
            cast("bytes", entry["spooled"])
            for entry in batch.entries
            if isinstance(entry, dict) and "spooled" in entry
        }
    return names


def _enter(ledger: Ledger, reuse: _Reuse) -> None:
    match decode(reuse.entry):
        case {
            "entry": dict(entry),
            "kept_wall_ns": int(kept_wall_ns),
            "kind": str(kind),
            "subject": str(subject),
        }:
            told = cast("dict[str, NodeLike]", entry) | {
                "saved_s": kept_wall_ns / 1e9 - reuse.wall_ns / 1e9,
                "spooled": reuse.name,
                "wall_s": reuse.wall_ns / 1e9,
            }
            ledger.append([told], kind=kind, subject=subject, time_ns=reuse.time_ns)
        case _:
            raise MalformedNodeError("a spooled reuse is no entry of the ledger")
