"""What others appended and did not index: a reader hears all that was acknowledged, and no more."""

import errno
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from cid_store import disk, recovery
from cid_store.cid import Cid
from cid_store.errors import MissingObjectError
from cid_store.index import Index
from cid_store.local import LocalStore
from cid_store.pack import Kind, Record, laid_out
from tests.cid_store.conftest import CIDS, begin_pack, pack_of, remove_index
from tests.cid_store.ends import check_whole_packs, known_end


@pytest.mark.parametrize(("age_s", "looks"), [(3600, 1), (0, 5)])
def test_what_is_half_written_is_looked_at_again_while_its_writer_may_be_at_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, age_s: int, looks: int
) -> None:
    with LocalStore(path, read_only=True) as reader:
        write_at_the_end(path, b"RDXo torn", age_s=age_s)
        surveys = 0
        real = recovery.survey

        def counted(*args: Any) -> recovery.Survey:
            nonlocal surveys
            surveys += 1
            return real(*args)

        monkeypatch.setattr("cid_store.unheard.survey", counted)
        for _ in range(5):
            assert reader.root("none") is None
        assert surveys == looks
        with LocalStore(path) as store:
            cid = store.put(b"after")
            assert reader.get(cid) == b"after"
            check_whole_packs(path, len(CIDS) + 1)


def write_at_the_end(path: Path, data: bytes, *, age_s: float) -> None:
    """As a writer does that is not heard of yet; its file says when it began."""
    known = known_end(path)
    assert known is not None
    with pack_of(path).open("r+b") as file:
        file.seek(known.end)
        file.write(data)
    then_ns = time.time_ns() - round(age_s * 1e9)
    os.utime(pack_of(path), ns=(then_ns, then_ns))


@pytest.mark.parametrize("ask_whole", [False, True])
def test_a_reader_that_came_in_the_middle_of_a_long_write_sees_its_end(
    path: Path, ask_whole: bool
) -> None:
    """A write that takes a while bears one time, from before the reader looked to the end."""
    known = known_end(path)
    assert known is not None
    data = [b"first" * 99, b"second" * 5000]
    cids = [Cid.of(blob) for blob in data]
    records = [Record(Kind.OBJECT, *each) for each in zip(cids, data, strict=True)]
    written = b"".join(bytes(part) for part in laid_out(records, 1, known.end))
    with LocalStore(path, read_only=True) as reader:
        write_at_the_end(path, written[:20_000], age_s=1)
        began_ns = pack_of(path).stat().st_mtime_ns
        assert reader.has(cids[0])
        if ask_whole:
            assert reader.stat().objects == len(CIDS) + 1
        assert not reader.has(cids[1])
        write_at_the_end(path, written, age_s=1)
        os.utime(pack_of(path), ns=(began_ns, began_ns))
        assert reader.get_many(cids) == data


def test_a_reader_forgets_what_the_index_learnt(path: Path) -> None:
    with LocalStore(path) as store, LocalStore(path, read_only=True) as reader:
        for at in range(5):
            cid = store.put(b"%d" % at)
            assert reader.get(cid) == b"%d" % at
            unheard = reader._keeper._unheard
            assert unheard is not None
            assert unheard.objects.keys() == {cid}
            store.stat()  # which writes the index


def test_a_reader_does_not_take_for_damaged_what_others_dropped(path: Path) -> None:
    with LocalStore(path) as store, LocalStore(path, read_only=True) as reader:
        cid = store.put(b"soon garbage")
        assert reader.has(cid)
        with LocalStore(path) as other:
            assert other.gc(grace_s=0).dropped > 0
            store.put(b"later")
            assert not reader.has(cid)
            with pytest.raises(MissingObjectError):
                reader.get(cid)


def test_a_pack_that_was_left_hides_no_later_one(path: Path) -> None:
    """A power cut may give a pack its unused room back and keep the next pack."""
    with LocalStore(path) as store:
        size = pack_of(path).stat().st_size
        begin_pack(store)
        shutil.copytree(path, path.with_name("old"))
        store.set_root("later", store.put(b"later"))
    copy = path.with_name("old")
    old = Index.open(copy / "index.sqlite")
    old.drop([2])
    old.close()
    shutil.copy(pack_of(path, 2), pack_of(copy, 2))
    os.truncate(pack_of(copy), size)
    with LocalStore(copy, read_only=True) as reader:
        assert reader.get(Cid.of(b"later")) == b"later"
        assert reader.root("later") == Cid.of(b"later")


def test_a_reader_whose_sync_failed_once_looks_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error may be another writer's: what was acknowledged before is on the disk."""
    with LocalStore(path) as store, LocalStore(path, read_only=True) as reader:
        cid = store.put(b"acknowledged")
        os.utime(pack_of(path), (1, 1))

        def failing(_fd: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(disk, "sync_data", failing)
        assert not reader.has(cid)
        monkeypatch.undo()
        assert reader.get(cid) == b"acknowledged"


@pytest.mark.parametrize("index", [True, False])
def test_an_index_in_memory_shows_nothing_that_does_not_reach_the_disk(
    path: Path, index: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = disk.sync_data

    def counted(fd: int) -> None:
        synced.append(os.fstat(fd).st_ino)
        real(fd)

    with LocalStore(path) as store:
        store.put(b"new")
        if not index:
            remove_index(path)
        with LocalStore(path, read_only=True) as reader:
            monkeypatch.setattr(disk, "sync_data", counted)
            assert reader.stat().objects == len(CIDS) + 1
            assert pack_of(path).stat().st_ino in synced or not index
