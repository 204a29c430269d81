"""A collection that ends at any step, by an error or for good, loses nothing that is needed."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cid_store import disk, leaving
from cid_store.errors import (
    MissingObjectError,
    RedoxaError,
    StoreStoppedError,
)
from cid_store.gc_report import GcReport
from cid_store.local import LocalStore
from cid_store.tiers import Tier
from tests.cid_store.collecting import check_needed, check_store, filled
from tests.cid_store.conftest import begin_pack, pack_of, remove_index
from tests.cid_store.rebuilder import opened, put_recipe


class Stop(BaseException):
    """The process ends here."""


class StoppingDisk:
    """A disk whose n-th act ends the process or fails, before or after it is done."""

    ACTS = ("write_all", "sync_data", "sync_folder", "sync_file", "remove", "preallocate")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException) -> None:
        self.left = at
        for act in self.ACTS:
            monkeypatch.setattr(disk, act, self._stopping(getattr(disk, act), error))

    def _stopping(self, act: Callable[..., object], error: BaseException) -> Callable[..., object]:
        def acted(*args: object) -> object:
            self.left -= 1
            if self.left == 0:
                raise error
            return act(*args)

        return acted


def collect_until(
    path: Path, monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException, after: Path
) -> tuple[bool, GcReport | None]:
    """Collect with a disk that stops at its `at`-th act; whether it did, and the report."""
    with LocalStore(path) as store, monkeypatch.context() as patch:
        stopping = StoppingDisk(patch, at, error)
        report = None
        try:
            report = store.gc(grace_s=0)
        except (Stop, RedoxaError):
            shutil.copytree(path, after)  # what stands there while the process still has it
        fired = stopping.left <= 0
    return fired, report


@pytest.mark.slow
@pytest.mark.parametrize("error", [Stop(), OSError(errno.EIO, os.strerror(errno.EIO))])
@pytest.mark.parametrize("index_is", ["kept", "older", "gone"])
def test_a_collection_may_end_at_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, index_is: str
) -> None:
    first = tmp_path / "first"
    store, needed, _ = filled(first)
    store.close()
    for at in range(1, 200):
        path, after = tmp_path / f"{at}", tmp_path / f"{at}-after"
        shutil.copytree(first, path)
        fired, report = collect_until(path, monkeypatch, at, error, after)
        if not fired:
            assert report is not None
            break
        if not after.exists():
            shutil.copytree(path, after)
        if index_is == "older" and not (after / "packs" / "00000001.pack").exists():
            index_is = "kept"  # its transaction was synced before the first pack went
        if index_is == "older":
            for suffix in ("-wal", "-shm"):
                (after / f"index.sqlite{suffix}").unlink(missing_ok=True)
        elif index_is == "gone":
            remove_index(after)
        with LocalStore(after) as store:
            check_needed(store, needed)
            assert store.verify().damage == ()
            assert store.gc(grace_s=0).lost == ()
            assert store.stat().packs <= 2
        check_store(after, needed)
        shutil.rmtree(path)
        shutil.rmtree(after)
    else:
        pytest.fail("the sweep never ended")
    assert at > 8


def test_a_store_whose_disk_failed_stays_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, needed, _ = filled(tmp_path / "store")
    with store:
        with monkeypatch.context() as patch:

            def refuse(fd: int) -> None:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

            patch.setattr(disk, "sync_data", refuse)
            with pytest.raises(StoreStoppedError):
                store.gc(grace_s=0)
        with pytest.raises(StoreStoppedError):
            store.gc(grace_s=0)
        check_needed(store, needed)
    check_store(tmp_path / "store", needed)


@pytest.mark.parametrize("index_is", ["kept", "gone"])
@pytest.mark.parametrize("removed", [(), (1,), (2,)])
def test_packs_that_rest_on_one_another_go_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removed: tuple[int, ...], index_is: str
) -> None:
    """A kill comes between two removals, and a power cut may leave the later one alone."""
    path, after = tmp_path / "store", tmp_path / "after"
    data = b"part" * 50
    with opened(path) as store:
        recipe = put_recipe(store, store.put(b"part"), times=50)
        cid = store.put(data)
        store.set_root("gone", cid)
        begin_pack(store)
        store.demote(cid, recipe, Tier.UMBRA)
        store.set_root("gone", None)
        begin_pack(store)
        kept = store.put(b"kept")
        store.set_root("kept", kept)

        def killed(_file: Path) -> None:
            shutil.copytree(path, after)
            for number in removed:
                pack_of(after, number).unlink()
            raise Stop

        monkeypatch.setattr(disk, "remove", killed)
        with pytest.raises(Stop):
            store.gc(grace_s=0)
    monkeypatch.undo()
    if index_is == "gone":
        remove_index(after)
    for read_only in (True, False):
        with opened(after, read_only=read_only) as store:
            assert dict(store.roots()) == {"kept": kept}
            assert store.verify(rebuild=True).damage == ()
            with pytest.raises(MissingObjectError):
                store.get(cid)
    with opened(after) as store:
        assert store.gc().notes == ()
        assert store.verify(rebuild=True).damage == ()
        assert sorted(file.suffix for file in (after / "packs").iterdir()) == [".pack"] * (
            store.stat().packs
        )
        assert store.get(store.put(data)) == data


def test_a_list_of_leaving_packs_that_is_damaged_removes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store"
    store, needed, _ = filled(path)
    with store:
        numbers = store._keeper.packs.numbers()
        identities = {n: head.identity for n in numbers if (head := store._keeper.packs.head(n))}
        leaving.write(path / "packs", identities)
        assert store._keeper.packs.numbers() == []
        whole = (path / "packs" / leaving.NAME).read_bytes()
        for at in range(len(whole)):
            for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
                (path / "packs" / leaving.NAME).write_bytes(data)
                assert store._keeper.packs.numbers() == numbers
        # Who knows them still may have put something there since: they stay.
        leaving.write(path / "packs", identities)
        store._keeper.packs.finish_removal(numbers)
        assert store._keeper.packs.numbers() == numbers
        leaving.write(path / "packs", dict.fromkeys(numbers, bytes(16)))
        assert store._keeper.packs.numbers() == numbers
    check_store(path, needed)


def test_a_list_of_leaving_packs_beyond_all_measure_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "store"
    store, needed, _ = filled(path)
    with store:
        numbers = store._keeper.packs.numbers()
        with (path / "packs" / leaving.NAME).open("wb") as file:
            file.truncate(1 << 40)  # a hole: whoever read it all would never come back
        assert store._keeper.packs.numbers() == numbers
        store.gc(grace_s=0)
        assert not (path / "packs" / leaving.NAME).exists()
    check_store(path, needed)
