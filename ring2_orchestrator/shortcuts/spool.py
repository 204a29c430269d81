"""Reuses that `redoxa-run` wrote down, entered in the ledger by whoever opens it next."""

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

from cid_store.encoding import NodeLike, decode
from cid_store.errors import MalformedNodeError
from ring2_orchestrator.ledger import Draft, Ledger
from ring2_orchestrator.plainfile import open_plain
from ring2_orchestrator.shortcuts.form import DIGEST_BYTES, ENTERING, MARK, digest, key_of

NAME = "reuses"
_HEAD = len(MARK) + 4 + 16 + 8 + 8


class _Reuse(NamedTuple):
    name: bytes  # drawn by lot, so that none is entered twice
    time_ns: int
    wall_ns: int
    entry: bytes


def enter_reuses(home: Path, ledger: Ledger) -> int:
    """Enter what is spooled, and empty the spool; how many were entered.

    Whoever is killed in between loses nothing and enters nothing twice: the spool is emptied last,
    and says by then from where on the ledger may hold some of it. Raises OSError, LedgerWriteError,
    LedgerDamagedError.
    """
    path = home / NAME
    if not path.exists() or not path.stat().st_size:
        return 0
    descriptor = open_plain(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read()
        key = key_of(home)
        waiting = list(_reuses(data, key))
        since = min(_beginnings(data, key), default=None)
        entered: set[bytes] = set()
        if since is not None:
            ledger.settle()  # or what a crash left would be adopted later, beside a second one
            entered = _names_since(ledger, since)
        elif waiting:
            _note_beginning(descriptor, len(data), len(ledger), key)
        new = [reuse for reuse in waiting if reuse.name not in entered]
        ledger.append_all([_draft(reuse) for reuse in new])
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


def _note_beginning(descriptor: int, at: int, size: int, key: bytes) -> None:
    """Write down, at the spool's end, how long the ledger was before anything of it was entered."""
    note = ENTERING + size.to_bytes(8, "little")
    note += digest(key, note)
    if os.pwrite(descriptor, note, at) != len(note):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fdatasync(descriptor)


def _beginnings(data: bytes, key: bytes) -> Iterator[int]:
    """How long the ledger was whenever somebody began to enter what is spooled."""
    at = data.find(ENTERING)
    while at >= 0:
        end = at + len(ENTERING) + 8
        if digest(key, data[at:end]) == data[end : end + DIGEST_BYTES]:
            yield int.from_bytes(data[end - 8 : end], "little")
        at = data.find(ENTERING, at + 1)


def _names_since(ledger: Ledger, size: int) -> set[bytes]:
    """The names of the spooled reuses among the ledger's entries from that number on."""
    names: set[bytes] = set()
    for batch in ledger.batches(newest_first=True):
        if batch.seq < size:
            break
        names |= {
            cast("bytes", entry["spooled"])
            for entry in batch.entries
            if isinstance(entry, dict) and "spooled" in entry
        }
    return names


def _draft(reuse: _Reuse) -> Draft:
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
            return Draft([told], kind, subject, reuse.time_ns)
        case _:
            raise MalformedNodeError("a spooled reuse is no entry of the ledger")
