"""What a tree would take, found out before anything is written."""

import os
import unicodedata
from pathlib import Path
from typing import NamedTuple

from cid_store.cid import Cid
from cid_store.errors import InputError
from cid_store.store import Store
from ring2_orchestrator.tree.node import MAX_DEPTH, File, Folder, get_tree, too_deep

_MOST_ENTRIES = 10_000_000


class Limits(NamedTuple):
    """How much may be written."""

    max_bytes: int
    max_entries: int = _MOST_ENTRIES


class Totals(NamedTuple):
    """What a tree holds, everything below it counted as often as it appears."""

    size_bytes: int  # of the files, holes included
    entries: int
    depth: int
    # Names in one folder that are one name where case or form of letters does not count.
    alike: tuple[bytes, bytes] | None


def room_on(folder: Path) -> Limits:
    """What the disk of a folder has room for."""
    disk = os.statvfs(folder)
    # Some file systems make entries as they need them and count none.
    entries = min(disk.f_favail, _MOST_ENTRIES) if disk.f_favail else _MOST_ENTRIES
    return Limits(disk.f_bavail * disk.f_frsize, entries)


def survey(store: Store, cid: Cid, limits: Limits | None = None) -> Totals:
    """Read every list of the tree, each once, and add up what it holds.

    Raises InputError where that is over the limits, if any are given, and MalformedNodeError for
    what is no tree. A tree that names one folder a million times costs no more than naming it once.
    """
    totals = _totals(store, cid, b"", {}, 1)
    if limits is not None:
        _check(totals, cid, limits)
    if totals.depth > MAX_DEPTH:
        raise too_deep(b"a part of the tree")
    return totals


def _check(totals: Totals, cid: Cid, limits: Limits) -> None:
    if totals.size_bytes > limits.max_bytes:
        raise InputError(
            f"the tree {cid} takes {totals.size_bytes:,} bytes, over the limit of "
            f"{limits.max_bytes:,}; make room, or raise the limit with --max-bytes"
        )
    if totals.entries > limits.max_entries:
        raise InputError(
            f"the tree {cid} has {totals.entries:,} entries, over the limit of "
            f"{limits.max_entries:,}"
        )


def _totals(store: Store, cid: Cid, where: bytes, known: dict[Cid, Totals], depth: int) -> Totals:
    found = known.get(cid)
    if found is not None:
        return found
    if depth > MAX_DEPTH:
        raise too_deep(where)
    size = entries = 0
    deepest = 0
    folded: dict[str, bytes] = {}
    alike: tuple[bytes, bytes] | None = None
    for name, entry in get_tree(store, cid).items():
        entries += 1
        other = folded.setdefault(_folded(name), name)
        if other != name:
            alike = alike or (other, name)
        if isinstance(entry, File):
            size += entry.size
        elif isinstance(entry, Folder):
            below = _totals(store, entry.tree, where + b"/" + name, known, depth + 1)
            size, entries = size + below.size_bytes, entries + below.entries
            deepest, alike = max(deepest, below.depth), alike or below.alike
    known[cid] = Totals(size, entries, deepest + 1, alike)
    return known[cid]


def _folded(name: bytes) -> str:
    """What file systems that fold names may take a name for; never too little."""
    text = os.fsdecode(name)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
