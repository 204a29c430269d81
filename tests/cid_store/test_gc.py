"""Collecting garbage: what is needed stays through everything, what is not goes when it is old."""

import io
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cid_store import folder as folder_module
from cid_store.cid import Cid, Codec
from cid_store.errors import (
    CorruptObjectError,
    MissingObjectError,
    UsageError,
)
from cid_store.local import LocalStore
from cid_store.memory import MemoryStore
from cid_store.nodes import get_node, links, put_node
from tests.cid_store.conftest import begin_pack, pack_of, remove_index
from tests.cid_store.test_store import MIB, random_bytes

WEEK_S = 7 * 24 * 3600
Collectable = LocalStore | MemoryStore
MAKERS: dict[str, Callable[[Path], Collectable]] = {
    "memory": lambda _path: MemoryStore(),
    "local": LocalStore,
}


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Collectable]:
    with MAKERS[request.param](tmp_path / "store") as opened:
        yield opened


def age(path: Path, *, by_s: float = 2 * WEEK_S) -> None:
    """Let every pack look as if it had been written to that long ago."""
    for file in (path / "packs").iterdir():
        status = file.stat()
        os.utime(file, (status.st_atime - by_s, status.st_mtime - by_s))


def gone(store: Collectable, cids: list[Cid]) -> list[bool]:
    return [not store.has(cid) for cid in cids]


# What both stores promise


def test_what_roots_lead_to_stays_and_the_rest_goes(store: Collectable) -> None:
    leaf, other, lone = (store.put(b"leaf %d" % at) for at in range(3))
    middle = put_node(store, {"leaf": leaf, "list": [[other]]})
    top = put_node(store, [middle])
    lone_top = put_node(store, [lone, middle])
    no_node = store.put(b"\xcc\x01", Codec.NODE)  # bytes that are no node link to nothing
    store.set_root("top", top)
    store.set_root("odd", no_node)
    store.gc(grace_s=0)
    assert gone(store, [leaf, other, middle, top, no_node]) == [False] * 5
    assert gone(store, [lone, lone_top]) == [True, True]
    with pytest.raises(MissingObjectError, match="put it"):
        store.get(lone)
    assert store.get(store.put(b"leaf 2")) == b"leaf 2"
    store.set_root("top", None)
    store.gc(grace_s=0)
    assert gone(store, [leaf, other, middle, top, no_node]) == [True] * 4 + [False]
    assert dict(store.roots()) == {"odd": no_node}


def test_what_the_caller_names_stays(store: Collectable) -> None:
    leaf = store.put(b"leaf")
    batch = put_node(store, [leaf])
    absent = Cid.of(b"absent")
    store.gc(live=lambda: [batch, absent], grace_s=0)
    assert gone(store, [leaf, batch]) == [False, False]
    store.gc(grace_s=0)
    assert gone(store, [leaf, batch]) == [True, True]


def test_what_was_put_lately_stays_with_all_it_links_to(store: Collectable) -> None:
    leaf = store.put(b"leaf")
    top = put_node(store, [leaf])
    store.gc()
    assert gone(store, [leaf, top]) == [False, False]


def test_a_stream_is_kept_or_dropped_with_its_chunks(store: Collectable) -> None:
    shared, own = random_bytes(2 * MIB), random_bytes(2 * MIB + 1)
    kept = store.put_stream(io.BytesIO(shared + b"kept"))
    lost = store.put_stream(io.BytesIO(shared + own))
    store.set_root("kept", kept)
    store.gc(grace_s=0)
    assert store.get(kept) == shared + b"kept"
    assert b"".join(store.get_stream(kept)) == shared + b"kept"
    assert not store.has(lost)
    store.set_root("kept", None)
    store.gc(grace_s=0)
    assert not store.has(kept)


@settings(max_examples=25, deadline=None)
@given(
    edges=st.lists(st.lists(st.integers(0, 11), max_size=3), min_size=1, max_size=12),
    bound=st.sets(st.integers(0, 11), max_size=3),
    again=st.booleans(),
)
@pytest.mark.parametrize("maker", MAKERS)
def test_exactly_what_can_be_reached_is_left(
    maker: str,
    edges: list[list[int]],
    bound: set[int],
    again: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Any graph of nodes that link to earlier ones, any roots."""
    with MAKERS[maker](tmp_path_factory.mktemp("gc") / "store") as store:
        cids: list[Cid] = []
        links: list[list[int]] = []
        for at, targets in enumerate(edges):
            links.append([target for target in targets if target < at])
            cids.append(put_node(store, [at, *(cids[target] for target in links[at])]))
        for at in bound:
            if at < len(cids):
                store.set_root(f"{at}", cids[at])
        reached: set[int] = set()
        waiting = [at for at in bound if at < len(cids)]
        while waiting:
            at = waiting.pop()
            reached.add(at)
            waiting += links[at]
        for _ in range(1 + again):
            store.gc(grace_s=0)
            assert gone(store, cids) == [at not in reached for at in range(len(cids))]


# The store on a disk


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


@pytest.mark.parametrize("grace_s", [0, WEEK_S])
def test_packs_of_garbage_are_compacted(tmp_path: Path, grace_s: float) -> None:
    path = tmp_path / "store"
    store, needed, garbage = filled(path)
    with store, LocalStore(path, read_only=True) as reader:
        before = store.stat()
        views = [store.view(cid) for cid in garbage]
        reader.get(garbage[0])  # its file is open there
        if grace_s:
            age(path)
        plan = store.gc(grace_s=grace_s, dry_run=True)
        assert store.stat() == before
        report = store.gc(grace_s=grace_s)
        assert report == plan
        assert (report.packs, report.dropped, report.kept) == ((1, 2, 3), 36, 72)
        assert (report.young, report.spared, report.lost, report.notes) == (0, 0, (), ())
        assert gone(store, garbage) == [True] * 36
        after = store.stat()
        assert after.objects == 72
        assert after.object_bytes == before.object_bytes - report.dropped_bytes
        assert after.packs == 1
        check_needed(store, needed)
        check_needed(reader, needed)
        with pytest.raises(MissingObjectError):
            reader.get(garbage[1])
        assert bytes(views[0]).startswith(b"garbage 0 0")  # what is mapped stays mapped
        again = store.gc(grace_s=0)
        assert (again.packs, again.dropped) == ((), 0)
    check_store(path, needed)


def test_unbound_names_stay_unbound_when_the_index_is_lost(tmp_path: Path) -> None:
    """The record that unbinds may go only if no older one is left to bind again."""
    path = tmp_path / "store"
    with LocalStore(path) as store:
        keep = store.put(b"keep" * 200)
        store.set_root("keep", keep)
        store.set_root("gone", keep)
        begin_pack(store)
        store.put(b"garbage" * 500)
        store.set_root("gone", None)
        begin_pack(store)
        store.put(b"last")
        age(path)
        os.utime(pack_of(path, 1))  # young: it stays, and binds `gone`
        assert store.gc().packs == (2,)
    check_store_roots(path, {"keep": keep})


def check_store_roots(path: Path, roots: dict[str, Cid]) -> None:
    remove_index(path)
    with LocalStore(path) as store:
        assert dict(store.roots()) == roots
        assert store.verify().ok


def test_a_young_pack_keeps_everything_and_an_old_one_little(tmp_path: Path) -> None:
    path = tmp_path / "store"
    store, needed, garbage = filled(path)
    with store:
        report = store.gc()
        assert (report.packs, report.dropped, report.young) == ((), 0, 36)
        age(path)
        os.utime(pack_of(path, 2))
        report = store.gc()
        assert (report.packs, report.young) == ((1, 3), 12)
        assert gone(store, garbage) == [True] * 12 + [False] * 12 + [True] * 12
    check_store(path, needed)


def test_what_a_young_node_links_to_stays_in_an_old_pack(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with LocalStore(path) as store:
        leaf = store.put(b"leaf" * 100)
        store.put(b"garbage" * 900)
        begin_pack(store)
        age(path)
        top = put_node(store, [leaf])  # it was there, so nobody put it again
        report = store.gc()
        assert report.packs == (1,)
        assert store.get(leaf) == b"leaf" * 100
        store.set_root("top", top)
        assert store.verify().ok


@pytest.mark.parametrize("put", ["put", "put_many", "put_stream", "whole"])
def test_what_is_put_again_is_young_again(tmp_path: Path, put: str) -> None:
    path = tmp_path / "store"
    data = random_bytes(MIB + 9)
    with LocalStore(path) as store:
        cid = store.put_stream(io.BytesIO(data)) if put == "put_stream" else store.put(data)
        begin_pack(store)
        store.put(b"x")
        age(path)
        puts: dict[str, Callable[[], object]] = {
            "put": lambda: store.put(data),
            "put_many": lambda: store.put_many([b"new", data]),
            "put_stream": lambda: store.put_stream(io.BytesIO(data)),
            "whole": lambda: store.put_stream(io.BytesIO(data)),
        }
        puts[put]()
        age(path, by_s=WEEK_S - 3600)
        size = store.stat().object_bytes
        assert store.gc().dropped <= 3  # at most the chunks of what is kept whole, and x
        assert store.get(cid) == data
        assert store.stat().object_bytes <= size
        age(path)
        store.gc()
        assert not store.has(cid)


def test_the_last_pack_is_left_when_it_is_much_garbage(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with LocalStore(path) as store:
        store.put(b"garbage" * 500)
        store.gc()
        assert store.stat().packs == 2
        store.gc()
        store.set_root("a", store.put(b"needed" * 900))
        assert store.stat().packs == 2
        age(path)
        assert store.gc().packs == (1,)
        store.gc()
        assert store.stat().packs == 1


def test_a_root_cannot_be_bound_to_what_was_dropped_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store"
    with LocalStore(path) as store, LocalStore(path) as other:
        cid = store.put(b"garbage")
        other.gc(grace_s=0)
        monkeypatch.setattr(store, "has", bool)  # true: it was asked before the object went
        with pytest.raises(MissingObjectError, match="put it first"):
            store.set_root("a", cid)
        assert store.root("a") is None
        with store.batch():
            store.set_root("a", store.put(b"garbage"))
        assert store.root("a") == cid


def test_nothing_is_dropped_while_a_needed_node_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with LocalStore(path) as store:
        leaf = store.put(b"leaf")
        top = put_node(store, ["top" * 100, leaf])
        store.set_root("top", top)
        garbage = store.put(b"garbage" * 900)
        data = pack_of(path).read_bytes()
        at = data.index(b"toptop")
        with pack_of(path).open("r+b") as file:
            file.seek(at)
            file.write(b"x")
        report = store.gc(grace_s=0)
        assert report.packs == ()
        assert report.lost == (top,)
        assert f"object {top} cannot be read, so what it links to is not known" in report.notes[0]
        assert not any(gone(store, [leaf, garbage]))
        put_node(store, ["top" * 100, leaf])
        assert store.gc(grace_s=0).dropped == 1
        assert gone(store, [leaf, top, garbage]) == [False, False, True]


def test_a_damaged_object_keeps_its_pack(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with LocalStore(path) as store:
        leaf = store.put(b"leaf" * 20)
        store.set_root("leaf", leaf)
        other = store.put(b"other")
        store.set_root("other", other)
        store.put(b"garbage" * 900)
        data = pack_of(path).read_bytes()
        with pack_of(path).open("r+b") as file:
            file.seek(data.index(b"leafleaf"))
            file.write(b"x")
        report = store.gc(grace_s=0)
        assert report.packs == ()
        assert report.notes == (f"object {leaf} is corrupt; its pack is left as it is",)
        with pytest.raises(CorruptObjectError):
            store.get(leaf)
        assert store.get(other) == b"other"
        store.put(b"leaf" * 20)
        assert store.gc(grace_s=0).packs != ()
        assert store.verify().ok


def test_a_collection_is_refused_where_it_cannot_be_meant(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with LocalStore(path) as store:
        store.put(b"x")
        with store.batch(), pytest.raises(UsageError, match="not collected inside a batch"):
            store.gc()
    with LocalStore(path, read_only=True) as store:
        assert store.gc(grace_s=0, dry_run=True).dropped == 1
        with pytest.raises(UsageError, match="opened for reading only"):
            store.gc(grace_s=0)


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
