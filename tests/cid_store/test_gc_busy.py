"""Garbage is collected while others write and read, and in several appends."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cid_store import folder as folder_module
from cid_store.cid import Cid
from cid_store.local import LocalStore
from cid_store.nodes import get_node, links, put_node
from tests.cid_store.collecting import age, check_needed, check_store_roots, filled
from tests.cid_store.test_store import random_bytes


class Busy:
    """Threads that use a store until they are told to stop, each with its own `LocalStore`."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.written: dict[str, Cid] = {}

    def write(self, store: LocalStore) -> None:
        """Bind nodes that link to what is garbage at this moment, and unbind older ones."""
        at = 0
        while not self.stop.is_set():
            at += 1
            with store.batch():
                leaf = store.put(b"garbage %d %d " % (at % 3, at % 12) * 90)
                cid = put_node(store, [at, leaf, store.put(b"new %d" % at)])
                store.set_root(f"new/{at}", cid)
                store.set_root(f"new/{at - 5}", None)
            self.written[f"new/{at}"] = cid
            self.written.pop(f"new/{at - 5}", None)

    def read(self, store: LocalStore, needed: dict[str, Cid]) -> None:
        while not self.stop.wait(0.001):
            check_needed(store, needed, others=True)


@pytest.mark.slow
@pytest.mark.parametrize("grace_s", [0, 3600])
def test_writers_and_readers_go_on_while_garbage_is_collected(
    tmp_path: Path, grace_s: float
) -> None:
    path = tmp_path / "store"
    store, needed, _ = filled(path)
    busy = Busy()
    with (
        store,
        LocalStore(path) as other,
        LocalStore(path, read_only=True) as reader,
        ThreadPoolExecutor(3) as pool,
    ):
        work = [
            pool.submit(busy.write, other),
            pool.submit(busy.read, reader, needed),
            pool.submit(busy.read, store, needed),
        ]
        try:
            for _ in range(4):
                age(path)
                store.gc(grace_s=grace_s)
        finally:
            busy.stop.set()
        for thread in work:
            thread.result(30)
    needed.update(busy.written)
    with LocalStore(path) as store:
        assert dict(store.roots()) == needed
        assert store.verify().damage == ()
        assert store.gc(grace_s=0).lost == ()
        assert all(len(store.get_many(links_of(store, cid))) for cid in busy.written.values())


def links_of(store: LocalStore, cid: Cid) -> list[Cid]:
    return list(links(get_node(store, cid)))


def test_large_and_small_move_in_several_appends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cid_store.collect._APPEND_BYTES", 100_000)
    monkeypatch.setattr(folder_module, "PACK_BYTES", 400_000)
    path = tmp_path / "store"
    with LocalStore(path) as store:
        blobs = [random_bytes(size) for size in (1, 70_000, 250_000, 90_000, 0, 5, 120_000)]
        for at, blob in enumerate(blobs):
            store.put(b"garbage %d" % at * 9000)
            store.set_root(f"{at}", store.put(blob))
        store.gc(grace_s=0)
        assert [store.get(cid) for _, cid in store.roots()] == blobs
        assert store.stat().objects == len(blobs)
    check_store_roots(path, {f"{at}": Cid.of(blob) for at, blob in enumerate(blobs)})
