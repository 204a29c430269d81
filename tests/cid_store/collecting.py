"""A store with garbage in three packs, how it grows old, and what must be left of it."""

import os
from pathlib import Path

from cid_store.cid import Cid
from cid_store.local import LocalStore
from cid_store.memory import MemoryStore
from cid_store.nodes import put_node
from tests.cid_store.conftest import begin_pack, remove_index

WEEK_S = 7 * 24 * 3600
Collectable = LocalStore | MemoryStore


def age(path: Path, *, by_s: float = 2 * WEEK_S) -> None:
    """Let every pack look as if it had been written to that long ago."""
    for file in (path / "packs").iterdir():
        status = file.stat()
        os.utime(file, (status.st_atime - by_s, status.st_mtime - by_s))


def gone(store: Collectable, cids: list[Cid]) -> list[bool]:
    return [not store.has(cid) for cid in cids]


def filled(path: Path) -> tuple[LocalStore, dict[str, Cid], list[Cid]]:
    """Three packs with garbage between what is needed; roots bound, rebound and unbound."""
    store = LocalStore(path)
    needed: dict[str, Cid] = {}
    garbage: list[Cid] = []
    for part in range(3):
        for at in range(12):
            garbage.append(store.put(b"garbage %d %d " % (part, at) * 90))
            leaf = store.put(b"needed %d %d " % (part, at) * 30)
            with store.batch():
                name = f"{part}/{at}"
                needed[name] = put_node(store, [name, leaf])
                store.set_root(name, needed[name])
                store.set_root("moving", needed[name])
                store.set_root("forgotten", needed[name] if part == 0 else None)
        begin_pack(store)
    needed["moving"] = needed["2/11"]
    return store, needed, garbage


def check_needed(store: LocalStore, needed: dict[str, Cid], *, others: bool = False) -> None:
    bound = dict(store.roots())
    assert bound == needed or (others and bound.items() >= needed.items())
    for name, cid in needed.items():
        assert store.get(cid) == store.view(cid)
        if name != "moving":
            part, at = name.split("/")
            leaf = b"needed %d %d " % (int(part), int(at)) * 30
            assert store.get(Cid.of(leaf)) == leaf


def check_store(path: Path, needed: dict[str, Cid]) -> None:
    """The store is sound with its index, without it, and for a reader."""
    with LocalStore(path) as store:
        check_needed(store, needed)
        report = store.verify()
        assert report.damage == ()
        assert report.notes == ()
    remove_index(path)
    for read_only in (True, False):
        with LocalStore(path, read_only=read_only) as store:
            check_needed(store, needed)
            assert store.verify().damage == ()


def check_store_roots(path: Path, roots: dict[str, Cid]) -> None:
    remove_index(path)
    with LocalStore(path) as store:
        assert dict(store.roots()) == roots
        assert store.verify().ok
