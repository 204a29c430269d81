"""A collection that ends at any step, by an error or for good, loses nothing that is needed."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cid_store import disk
from cid_store.collect import GcReport
from cid_store.errors import (
    RedoxaError,
    StoreStoppedError,
)
from cid_store.local import LocalStore
from tests.cid_store.collecting import check_needed, check_store, filled
from tests.cid_store.conftest import remove_index


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
