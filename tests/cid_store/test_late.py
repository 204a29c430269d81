"""What is acknowledged is there for everybody, whenever the index is written."""

import errno
import shutil
import threading
from pathlib import Path

import pytest

from cid_store import disk, late, shared
from cid_store.errors import MissingObjectError, UnavailableError
from cid_store.index import Index
from cid_store.local import LocalStore
from tests.cid_store.conftest import CIDS, pack_of, remove_index
from tests.cid_store.ends import check_whole_packs, check_words, known_end


def test_two_stores_at_one_folder_put_the_same_once(path: Path) -> None:
    with LocalStore(path) as one, LocalStore(path) as other:
        for at in range(5):
            one.put(b"same%d" % at)
            other.put(b"same%d" % at)
            other.put(b"else%d" % at)
        assert one.stat().objects == len(CIDS) + 10
        check_whole_packs(path, len(CIDS) + 10)


def test_what_was_put_is_there_before_the_index_is_written(path: Path) -> None:
    before = known_end(path)
    with LocalStore(path) as store:
        cid = store.put(b"new")
        store.set_root("new", cid)
        store.set_root("root/2", None)
        assert known_end(path) == before
        assert (store.get(cid), store.root("new"), store.root("root/2")) == (b"new", cid, None)
        assert [name for name, _ in store.roots()] == ["new", "root/0", "root/1"]
        size = pack_of(path).read_bytes().rstrip(b"\0")
        assert store.put(b"new") == cid
        assert pack_of(path).read_bytes().rstrip(b"\0") == size
    after = known_end(path)
    assert after is not None
    assert after != before
    with LocalStore(path) as store:
        assert store.get(cid) == b"new"


def test_the_index_is_written_before_much_waits(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "_LATE_OBJECTS", 3)
    with LocalStore(path) as store:
        before = known_end(path)
        store.put(b"1")
        store.put(b"2")
        assert known_end(path) == before
        store.put(b"3")
        assert known_end(path) != before
        before = known_end(path)
        monkeypatch.setattr(late, "_LATE_BYTES", 1 << 20)
        store.put(b"4" * (1 << 19))
        assert known_end(path) == before
        store.put(b"5" * (1 << 19))
        assert known_end(path) != before


def test_a_large_append_is_there_for_everybody_before_the_index_is_written(path: Path) -> None:
    before = known_end(path)
    blobs = [b"%d" % at * 3000 for at in range(300)]
    with LocalStore(path) as store, LocalStore(path, read_only=True) as reader:
        cids = store.put_many(blobs)
        assert known_end(path) == before
        assert store.get_many(cids) == blobs
        assert reader.get_many(cids) == blobs
        end = pack_of(path).read_bytes().rstrip(b"\0")
        assert store.put_many(blobs) == cids
        assert pack_of(path).read_bytes().rstrip(b"\0") == end


def test_what_another_process_dropped_is_gone(path: Path) -> None:
    """Though it waits here to be written into the index."""
    with LocalStore(path) as store, LocalStore(path) as other:
        cid = store.put(b"soon garbage")
        assert other.gc(grace_s=0).dropped > 0
        assert not store.has(cid)
        with pytest.raises(MissingObjectError):
            store.get(cid)
        assert store.get(store.put(b"soon garbage")) == b"soon garbage"
        assert other.get(cid) == b"soon garbage"
        assert store.verify().ok


def test_a_disk_that_does_not_take_the_index_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_args: object, **_options: object) -> None:
        raise UnavailableError("the store's index could not be used (disk full)")

    with LocalStore(path) as store:
        cid = store.put(b"durable")
        monkeypatch.setattr(Index, "_apply", refusing)
        assert store.get(cid) == b"durable"
        with pytest.raises(UnavailableError, match="disk full"):
            store.stat()
        assert store.get(cid) == b"durable"
    monkeypatch.undo()
    with LocalStore(path) as store:
        assert store.get(cid) == b"durable"
        check_words(store, ["durable"])


def test_a_reader_believes_nothing_that_does_not_reach_the_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalStore(path) as store, LocalStore(path, read_only=True) as reader:
        cid = store.put(b"new")

        def failing(_fd: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(disk, "sync_data", failing)
        assert not reader.has(cid)
        monkeypatch.undo()
        store.put(b"newer")
        assert reader.get(cid) == b"new"


def test_small_appends_write_zeros_ahead_and_no_further_than_the_room(path: Path) -> None:
    with LocalStore(path) as store:
        cids = [store.put(b"%d" % at * 500) for at in range(150)]
        end = known_end(path)
        assert end is not None
        assert [store.get(cid) for cid in cids] == [b"%d" % at * 500 for at in range(150)]
        assert store.verify().ok
    remove_index(path)
    with LocalStore(path) as store:
        assert all(store.has(cid) for cid in cids)
        assert store.verify().ok
    assert not (path / "torn").exists()


def test_many_threads_put_and_read_while_the_index_waits(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "_LATE_OBJECTS", 7)
    monkeypatch.setattr(shared, "_TOGETHER", 2)
    failed: list[BaseException] = []

    def work(store: LocalStore, worker: int) -> None:
        try:
            for at in range(15):
                cid = store.put(b"%d of %d" % (at, worker))
                store.set_root(f"late/{worker}", cid)
                assert store.root(f"late/{worker}") == cid
                assert store.get(cid) == b"%d of %d" % (at, worker)
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    with LocalStore(path) as one, LocalStore(path) as other:
        threads = [
            threading.Thread(target=work, args=(store, at))
            for at, store in enumerate([one, other, one, other])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        for store in (one, other):
            assert len(dict(store.roots("late/"))) == 4
            assert store.stat().objects == len(CIDS) + 60
            assert store.verify().ok
    with LocalStore(path) as store:
        assert {name: store.get(cid) for name, cid in store.roots("late/")} == {
            f"late/{worker}": b"14 of %d" % worker for worker in range(4)
        }
        assert all(store.root(f"root/{at}") == CIDS[at] for at in (0, 1, 2))


def test_a_batch_of_more_than_may_wait_is_indexed_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "_LATE_OBJECTS", 100)
    with LocalStore(path) as store:
        store.put(b"waits")
        store.put_many([b"%d" % at * 1000 for at in range(100)])
        index = Index.open(path / "index.sqlite", read_only=True)
        assert index.totals().objects == len(CIDS) + 101
        index.close()
        check_words(store, ["waits"])
    with LocalStore(path) as store:
        assert store.stat().objects == len(CIDS) + 101
    check_whole_after(path)


def check_whole_after(path: Path) -> None:
    remove_index(path)
    with LocalStore(path) as store:
        assert [store.get(cid) for cid in CIDS]
        assert store.verify().ok


def test_an_index_of_the_past_is_brought_up_to_date_while_in_use(path: Path) -> None:
    """Put back by hand under a process that knows the packs' end: it must look again."""
    old = path.parent / "old.sqlite"
    shutil.copy(path / "index.sqlite", old)
    with LocalStore(path) as store:
        waiting = store.put(b"waits")
        for file in path.glob("index*"):
            file.unlink()
        old.rename(path / "index.sqlite")
        late = store.put(b"late")
        assert store.get(waiting) == b"waits"
    with LocalStore(path) as store:
        check_words(store, ["waits", "late"])
        assert store.root("root/0") == CIDS[0]
        report = store.verify()
        assert (report.damage, report.index_is_wrong) == ((), False)
        assert store.has(late)
