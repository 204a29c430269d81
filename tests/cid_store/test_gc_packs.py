"""Collecting garbage on a disk: packs are compacted, kept while young, left while damaged."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cid_store.errors import (
    CorruptObjectError,
    MissingObjectError,
    UsageError,
)
from cid_store.local import LocalStore
from cid_store.nodes import put_node
from tests.cid_store.collecting import (
    WEEK_S,
    age,
    check_needed,
    check_store,
    check_store_roots,
    filled,
    gone,
)
from tests.cid_store.conftest import begin_pack, pack_of
from tests.cid_store.test_store import MIB, random_bytes


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
        assert report._replace(forgotten=plan.forgotten) == plan
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
