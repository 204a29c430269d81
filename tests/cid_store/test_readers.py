"""A store opened for reading only: it changes nothing, and it does not stay in the past."""

import errno
import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from cid_store import disk, recovery
from cid_store.errors import InputError, UnavailableError, UsageError
from cid_store.index import Index
from cid_store.late import LateIndex
from cid_store.local import LocalStore
from tests.cid_store.conftest import BLOBS, CIDS, check_whole, pack_of, remove_index


def test_reading_only_makes_nothing(tmp_path: Path, path: Path) -> None:
    with pytest.raises(InputError, match="there is no store at"):
        LocalStore(tmp_path / "absent", read_only=True)
    assert not (tmp_path / "absent").exists()
    with LocalStore(path, read_only=True) as store:
        check_whole(store)
        for use in (lambda: store.put(b"x"), lambda: store.set_root("a", None)):
            with pytest.raises(UsageError, match="opened for reading only"):
                use()


def test_a_reader_needs_no_index_and_no_permission(path: Path) -> None:
    remove_index(path)
    before = sorted(path.rglob("*"))
    with LocalStore(path, read_only=True) as store:
        check_whole(store)
    assert sorted(path.rglob("*")) == before


def test_what_only_reads_writes_where_it_can_and_reads_where_it_cannot(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove_index(path)
    with LocalStore.to_read(path) as store:  # as ever: the index is made anew
        check_whole(store)
        store.put(BLOBS[0])
    assert (path / "index.sqlite").exists()
    real = disk.open_file

    def refusing(place: Path, flags: int) -> int:
        if flags & (os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(place))
        return real(place, flags)

    monkeypatch.setattr(disk, "open_file", refusing)
    with LocalStore.to_read(path) as store:
        check_whole(store)
        with pytest.raises(UsageError, match="opened for reading only"):
            store.put(BLOBS[0])
    with pytest.raises(InputError, match="is a folder of other things"):
        LocalStore.to_read(path / "packs")


def test_an_index_without_its_log_is_read_until_somebody_writes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where SQLite may not make the files beside it, on a disk that is not written to from here."""
    with closing(sqlite3.connect(path / "index.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for name in ("index.sqlite-wal", "index.sqlite-shm"):
        (path / name).unlink(missing_ok=True)
    real = LateIndex.open.__func__

    def refusing(_: type, place: Path, *, read_only: bool = False, still: bool = False) -> Index:
        if read_only and not still:
            raise UnavailableError("SQLite cannot open the file")
        return real(LateIndex, place, read_only=read_only, still=still)

    monkeypatch.setattr(LateIndex, "open", classmethod(refusing))
    monkeypatch.setattr(recovery, "rebuild", None)  # the packs are not read for it
    with LocalStore(path, read_only=True) as reader:
        check_whole(reader)
        monkeypatch.undo()
        with LocalStore(path) as writer:
            late = writer.put(b"late")
            writer.set_root("late", late)
        assert reader.root("late") == late
        assert reader.get(late) == b"late"


def test_a_reader_sees_what_a_crash_left_unindexed(path: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(path, old)
    with LocalStore(path) as store:
        late = store.put(b"late")
        store.set_root("late", late)
    shutil.copy(pack_of(path), pack_of(old))
    before = (old / "index.sqlite").read_bytes()
    with LocalStore(old, read_only=True) as store:
        assert store.get(late) == b"late"
        assert store.root("late") == late
    assert (old / "index.sqlite").read_bytes() == before


def test_a_reader_that_came_in_the_middle_of_a_write_sees_later_ones(path: Path) -> None:
    """Between a writer's append and its index a reader must make do without the index."""
    index = (path / "index.sqlite").read_bytes()
    with LocalStore(path) as store:
        store.set_root("first", store.put(b"first"))
    remove_index(path)
    (path / "index.sqlite").write_bytes(index)
    with LocalStore(path, read_only=True) as reader:
        assert reader.root("first") is not None
        with LocalStore(path) as writer:
            for at in range(3):
                cid = writer.put(b"later %d" % at)
                writer.set_root("later", cid)
                assert reader.root("later") == cid
                assert reader.get(cid) == b"later %d" % at


def test_a_reader_without_an_index_sees_later_writes(path: Path) -> None:
    remove_index(path)
    with LocalStore(path, read_only=True) as reader:
        check_whole(reader)
        with LocalStore(path) as writer:
            cid = writer.put(b"later")
            assert reader.get(cid) == b"later"


def test_a_reader_never_goes_back_to_an_index_that_it_found_damaged(path: Path) -> None:
    """It opens as if nothing were wrong, and some rows of it are not found."""
    lost, found = CIDS[3], CIDS[5]
    with sqlite3.connect(path / "index.sqlite") as index:
        index.execute("DELETE FROM objects WHERE digest = ?", [lost.digest])
        index.execute("UPDATE objects SET kind = 77 WHERE digest = ?", [found.digest])
    index.close()
    with LocalStore(path, read_only=True) as reader:
        assert reader.get(found) == BLOBS[5]  # from here on it is known to be damaged
        for age_s in (0, 0, 3600, 0):  # touched, which may be a writer's doing
            then_ns = time.time_ns() - age_s * 10**9
            os.utime(path / "index.sqlite", ns=(then_ns, then_ns))
            assert reader.get(lost) == BLOBS[3]
        with LocalStore(path) as writer:
            late = writer.put(b"late")
            assert reader.get(late) == b"late"
            writer.repair()
            writer.set_root("late", late)
        assert [reader.get(cid) for cid in CIDS] == BLOBS
        assert reader.root("late") == late
