"""Threads that put at once share what the disk costs, and nothing else."""

import errno
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cid_store import disk
from cid_store.cid import Cid
from cid_store.errors import StoreStoppedError, UnavailableError
from cid_store.local import LocalStore
from tests.cid_store.test_store import random_bytes

WORKERS = 6


class SlowDisk:
    """A disk whose first sync waits until it is told to go on; counts its syncs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.syncs = 0
        self.waiting = threading.Event()
        self.go_on = threading.Event()
        self._real = disk.sync_data
        monkeypatch.setattr(disk, "sync_data", self)

    def __call__(self, fd: int) -> None:
        self.syncs += 1
        if self.syncs == 1:
            self.waiting.set()
            assert self.go_on.wait(30)
        self._real(fd)


def together(store: LocalStore, slow: SlowDisk, puts: Sequence[Callable[[], object]]) -> list[str]:
    """Do the first put, the others while it waits for the disk; how each of the others ended."""
    with ThreadPoolExecutor(len(puts)) as pool:
        first = pool.submit(puts[0])
        assert slow.waiting.wait(30)
        others = [pool.submit(put) for put in puts[1:]]
        commits = store._keeper._commits
        while len(commits._waiting) < len(others):
            threading.Event().wait(0.001)
        slow.go_on.set()
        first.result(30)
        return [type(other.exception(30)).__name__ for other in others]


def test_who_comes_while_the_disk_is_waited_for_shares_the_next_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalStore(tmp_path / "store") as store:
        store.put(b"begun")
        slow = SlowDisk(monkeypatch)

        def put(at: int) -> None:
            with store.batch():
                # All put one blob, each one of its own, and each binds a name.
                store.put(b"shared")
                store.set_root(f"root {at}", store.put(b"own %d" % at))

        ends = together(store, slow, [lambda at=at: put(at) for at in range(WORKERS)])
        assert ends == ["NoneType"] * (WORKERS - 1)
        assert slow.syncs == 2
        assert len(list(store.roots())) == WORKERS
        assert store.stat().objects == 2 + WORKERS
        report = store.verify()
        assert report.ok
        assert report.objects == store.stat().objects


def test_a_put_too_large_for_the_disk_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = disk.write_all

    def full(fd: int, parts: Sequence[bytes | memoryview], offset: int) -> None:
        if sum(map(len, parts)) > 100_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(fd, parts, offset)

    with LocalStore(tmp_path / "store") as store:
        store.put(b"begun")
        slow = SlowDisk(monkeypatch)
        monkeypatch.setattr(disk, "write_all", full)
        blobs = [b"first", b"one", random_bytes(200_000), b"two"]
        ends = together(store, slow, [lambda blob=blob: store.put(blob) for blob in blobs])
        assert ends == ["NoneType", "UnavailableError", "NoneType"]
        assert [store.has(Cid.of(blob)) for blob in blobs] == [True, True, False, True]


def test_a_sync_that_fails_fails_the_whole_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(SlowDisk):
        def __call__(self, fd: int) -> None:
            super().__call__(fd)
            if self.syncs > 1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    with LocalStore(tmp_path / "store") as store:
        store.put(b"begun")
        slow = Broken(monkeypatch)
        blobs = [b"%d" % at for at in range(WORKERS)]
        ends = together(store, slow, [lambda blob=blob: store.put(blob) for blob in blobs])
        assert ends == ["StoreStoppedError"] * (WORKERS - 1)
        assert slow.syncs == 2
        assert store.get(Cid.of(b"0")) == b"0"
        with pytest.raises(StoreStoppedError):
            store.put(b"after")


def test_a_leader_that_is_interrupted_leaves_the_others_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(SlowDisk):
        def __call__(self, fd: int) -> None:
            super().__call__(fd)
            if self.syncs == 2:
                raise KeyboardInterrupt

    with LocalStore(tmp_path / "store") as store:
        store.put(b"begun")
        slow = Interrupted(monkeypatch)
        blobs = [b"%d" % at for at in range(WORKERS)]
        ends = together(store, slow, [lambda blob=blob: store.put(blob) for blob in blobs])
        assert sorted(ends) == ["KeyboardInterrupt"] + ["NoneType"] * (WORKERS - 2)
        assert all(store.get(Cid.of(blob)) == blob for blob in blobs)
        assert store.verify().ok


def test_an_error_of_a_group_is_each_threads_own(tmp_path: Path) -> None:
    from cid_store.commits import GroupCommit, Request  # noqa: PLC0415 - this case alone

    def refuse(group: Sequence[Request]) -> None:
        raise StoreStoppedError("the disk is gone")

    commits = GroupCommit(refuse)
    own, other = (Request({}, {}, {}) for _ in range(2))
    commits._waiting.append(other)
    with pytest.raises(UnavailableError, match="the disk is gone"):
        commits.join(own)
    assert other.done
    assert other.error is not own.error
    assert str(other.error) == str(own.error)
