"""Nothing acknowledged is lost: syncs refused, power cut, disks full.

Processes that are killed, and disks whose power is really cut: tests/faults.
"""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from cid_store import disk, folder
from cid_store.cid import Cid
from cid_store.errors import StoreStoppedError, UnavailableError
from cid_store.local import LocalStore

ROOT = Path(__file__).resolve().parents[2]


# Syncs that fail


class FailingSync:
    """A disk whose n-th sync fails, once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, fail_at: int = 1) -> None:
        self._real = disk.sync_data
        self._left = fail_at
        monkeypatch.setattr(disk, "sync_data", self)

    def __call__(self, fd: int) -> None:
        self._left -= 1
        if self._left == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._real(fd)


def test_after_a_failed_sync_nothing_more_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store"
    with LocalStore(path) as store:
        before = store.put(b"before")
        store.set_root("a", before)
        FailingSync(monkeypatch)
        sentence = r"the disk did not confirm a write to .*00000001\.pack \(Input/output error\)"
        with pytest.raises(StoreStoppedError, match=sentence):
            store.put(b"unconfirmed")
        for again in (
            lambda: store.put(b"unconfirmed"),
            lambda: store.put(b"another"),
            lambda: store.set_root("a", None),
            lambda: store.batch().__enter__(),
        ):
            with pytest.raises(StoreStoppedError, match="takes no more writes until it is opened"):
                again()
        assert not store.has(Cid.of(b"unconfirmed"))
        assert store.get(before) == b"before"
        assert store.root("a") == before
    with LocalStore(path) as store:
        assert store.get(before) == b"before"
        assert store.get(store.put(b"unconfirmed")) == b"unconfirmed"
        assert store.verify().ok


def test_what_a_failed_sync_left_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed sync the system may show bytes that it never writes: they are not trusted."""
    path = tmp_path / "store"
    with LocalStore(path) as store:
        store.put(b"before")
        FailingSync(monkeypatch)
        with pytest.raises(StoreStoppedError):
            store.put(b"unconfirmed" * 100)
    rewritten: list[tuple[int, int]] = []
    real = disk.rewrite

    def noted(fd: int, start: int, stop: int) -> None:
        rewritten.append((start, stop))
        real(fd, start, stop)

    monkeypatch.setattr(disk, "rewrite", noted)
    with LocalStore(path) as store:
        assert store.has(Cid.of(b"unconfirmed" * 100))
    assert rewritten == [(192, 192 + 64 + 1152)]


@pytest.mark.parametrize("fail_at", [1, 2, 3])
def test_a_sync_may_fail_while_a_store_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_at: int
) -> None:
    path = tmp_path / "store"
    FailingSync(monkeypatch, fail_at=fail_at)
    with LocalStore(path) as store:
        for data in (b"one", b"two"):
            try:
                store.put(data)
            except StoreStoppedError:
                break
    monkeypatch.undo()
    with LocalStore(path) as store:
        assert store.get(store.put(b"one")) == b"one"
        assert store.verify().ok


def test_another_process_goes_on_where_one_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalStore(tmp_path / "store") as one, LocalStore(tmp_path / "store") as other:
        one.put(b"before")
        FailingSync(monkeypatch)
        with pytest.raises(StoreStoppedError):
            one.put(b"unconfirmed")
        cid = other.put(b"after")
        assert one.get(cid) == b"after"
        with pytest.raises(StoreStoppedError):
            one.put(b"more")


def test_a_folder_that_cannot_be_synced_stops_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with LocalStore(tmp_path / "store") as store:
        monkeypatch.setattr(disk, "sync_folder", refuse)
        with pytest.raises(StoreStoppedError, match="packs"):
            store.put(b"the name of this pack might not last")
    monkeypatch.undo()
    with LocalStore(tmp_path / "store") as store:
        store.put(b"x")
        assert store.verify().ok


def test_an_index_that_cannot_be_made_anew_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with LocalStore(tmp_path / "store") as store:
        cid = store.put(b"kept")
        for broken in ("unlink", "rename"):
            with monkeypatch.context() as patch:
                patch.setattr(Path, broken, refuse)
                with pytest.raises(
                    UnavailableError, match=r"index\.sqlite cannot be used \(Input/"
                ):
                    store.repair()
            assert store.get(cid) == b"kept"
        assert store.get(store.put(b"after")) == b"after"
        assert store.verify().ok


# Disks that are full


@pytest.mark.slow
def test_a_full_disk_is_said_and_survived(tmp_path: Path) -> None:
    """A real limit of the system: no file may grow past 300,000 bytes."""
    program = """
import resource, sys
from cid_store.local import LocalStore
from cid_store.errors import UnavailableError
with LocalStore(sys.argv[1]) as store:
    kept = [store.put(bytes([at]) * 50_000) for at in range(3)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    try:
        store.put_many([bytes([at]) * 50_000 for at in range(100, 120)])
    except UnavailableError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    assert [store.get(cid) for cid in kept] == [bytes([at]) * 50_000 for at in range(3)]
    store.get(store.put(b"after"))
    assert store.verify().ok
"""
    path = tmp_path / "store"
    with LocalStore(path) as store:
        store.put(b"first")
        pack = next((path / "packs").iterdir())
        os.truncate(pack, 192)  # no room reserved, so that the limit is met
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "could not be written (File too large); nothing of this put is kept" in done.stdout
    with LocalStore(path) as store:
        assert store.stat().objects == 5
        assert store.verify().ok


def test_a_write_that_stops_half_way_is_cleared_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = disk.write_all

    def half(fd: int, parts: Sequence[bytes | memoryview], offset: int) -> None:
        real(fd, parts[: len(parts) // 2], offset)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "store"
    with LocalStore(path) as store:
        store.put(b"before")
        monkeypatch.setattr(disk, "write_all", half)
        with pytest.raises(UnavailableError, match="No space left on device"):
            store.put_many([b"%d" % at * 100 for at in range(9)])
        monkeypatch.undo()
        store.put(b"after")
        assert store.verify().ok
    with LocalStore(path) as store:
        assert store.get(Cid.of(b"after")) == b"after"
        assert store.verify().ok


@pytest.mark.parametrize("length", [0, 1, 32, 63, 64])
def test_a_header_that_stopped_half_way_is_written_anew(tmp_path: Path, length: int) -> None:
    path = tmp_path / "store"
    pack = path / "packs" / "00000001.pack"
    pack.parent.mkdir(parents=True)
    pack.write_bytes(b"RDXPACK\x02 and what else a header holds, but for its checksum...."[:length])
    for _ in range(2):
        with LocalStore(path) as store:
            assert store.get(store.put(b"after")) == b"after"
            assert store.verify().ok
    assert [file.name for file in pack.parent.iterdir()] == [pack.name]


# Power cuts


class PowerCut(BaseException):
    """The moment the power goes: no handler of errors may see it."""


class CutDisk:
    """A disk that loses, at the n-th sync, an arbitrary part of what was not synced yet.

    Blocks of 512 bytes reach the disk or do not, in any order.
    """

    SECTOR = 512

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cut_at: int, seed: int) -> None:
        self._left = cut_at
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._unsynced: list[tuple[int, int]] = []
        self._write, self._sync = disk.write_all, disk.sync_data
        monkeypatch.setattr(disk, "write_all", self.write_all)
        monkeypatch.setattr(disk, "sync_data", self.sync_data)

    def write_all(self, fd: int, parts: Sequence[bytes | memoryview], offset: int) -> None:
        self._write(fd, parts, offset)
        self._unsynced.append((offset, offset + sum(map(len, parts))))

    def sync_data(self, fd: int) -> None:
        self._left -= 1
        if self._left == 0:
            self._lose(fd)
            raise PowerCut
        self._sync(fd)
        self._unsynced.clear()

    def _lose(self, fd: int) -> None:
        kept_share = self._random.choice([0.0, 0.5, 0.95])
        for start, stop in self._unsynced:
            for at in range(start, stop, self.SECTOR):
                if self._random.random() > kept_share:
                    self._write(fd, [bytes(min(self.SECTOR, stop - at))], at)


def work(store: LocalStore) -> Iterator[tuple[list[Cid], int]]:
    """Batches of objects with a root each; yields what is acknowledged."""
    for at in range(100):
        with store.batch():
            cids = [store.put(b"%d %d" % (at, n) * (n * 60 + 1)) for n in range(6)]
            store.set_root("newest", store.put(b"%d" % at))
        yield cids, at


def lose_index_log(path: Path) -> None:
    """SQLite in WAL mode may lose its newest transactions in a power cut."""
    (path / "index.sqlite-wal").unlink(missing_ok=True)
    (path / "index.sqlite-shm").unlink(missing_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize("index_is", ["kept", "older", "gone"])
@pytest.mark.parametrize("seed", range(8))
def test_a_power_cut_loses_nothing_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, index_is: str
) -> None:
    path, after = tmp_path / "store", tmp_path / "after"
    if seed % 2:  # appends that go to the disk in several blocks
        monkeypatch.setattr(folder, "SMALL_BYTES", 0)
        monkeypatch.setattr(folder, "_BLOCK_BYTES", 300)
    acknowledged: list[Cid] = []
    newest = -1
    with LocalStore(path) as store:
        CutDisk(monkeypatch, cut_at=seed + 1, seed=seed)
        try:
            for cids, at in work(store):
                acknowledged += cids
                newest = at
        except PowerCut:
            shutil.copytree(path, after)  # what the disk holds while the process still has it open
    monkeypatch.undo()
    if index_is == "older":
        lose_index_log(after)
    elif index_is == "gone":
        lose_index_log(after)
        (after / "index.sqlite").unlink()
    with LocalStore(after) as store:
        for cid in acknowledged:
            store.get(cid)
        check_newest(store, newest)
        assert store.verify().ok
        last = store.put(b"work goes on")
        store.set_root("newest", store.put(b"1000"))
    with LocalStore(after, read_only=True) as store:
        assert store.get(last) == b"work goes on"
        check_newest(store, 1000)


def check_newest(store: LocalStore, acknowledged: int) -> None:
    bound = store.root("newest")
    found = int(store.get(bound)) if bound is not None else -1
    assert found in (acknowledged, acknowledged + 1)
