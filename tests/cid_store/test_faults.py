"""Every call that a store makes of the system fails once: nothing acknowledged is lost by it.

The n-th call fails, for every n until none does: with an error, with a write that stopped half way,
with a disk that is full. SQLite makes its own calls; for these the index as a whole fails.
"""

import contextlib
import errno
import io
import os
import shutil
import sqlite3
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from cid_store import disk, streams
from cid_store import index as index_module
from cid_store.chunks import CHUNK_BYTES
from cid_store.cid import Cid
from cid_store.errors import RedoxaError
from cid_store.index import Index
from cid_store.local import LocalStore
from cid_store.nodes import put_node
from tests.cid_store.conftest import remove_index
from tests.cid_store.test_store import random_bytes

WRITES = ("pwritev", "pwrite")
READS = ("pread", "preadv")
OTHERS = ("fdatasync", "fsync", "posix_fallocate", "ftruncate", "utime", "open")
STREAM = random_bytes(3 * CHUNK_BYTES + 5)


class FaultySystem:
    """Stands where `os` stands for the store's disk; the n-th of its calls fails."""

    def __init__(self, code: int, *, at: int, reads: bool) -> None:
        self.left = at
        self._code = code
        self._calls = READS if reads else (*WRITES, *OTHERS)

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return self._failing(name, real) if name in self._calls else real

    def fails(self) -> bool:
        """Whether the call that is being made is the one."""
        self.left -= 1
        return self.left == 0

    def error(self) -> OSError:
        return OSError(self._code, os.strerror(self._code))

    def _failing(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            if self.fails():
                if name == "pwritev":  # torn: half of it is on the disk
                    fd, parts, offset = args
                    real(fd, parts[: len(parts) // 2], offset)
                raise self.error()
            return real(*args, **named)

        return call


@contextlib.contextmanager
def faults(
    monkeypatch: pytest.MonkeyPatch, code: int, *, at: int, reads: bool
) -> Generator[FaultySystem]:
    """The system's n-th call fails inside the block, or the index's n-th transaction does."""
    system = FaultySystem(code, at=at, reads=reads)
    real = Index._apply

    def apply(self: Index, *args: Any, **named: Any) -> None:
        if system.fails():
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise index_module._translated(full)
        real(self, *args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "os", system)
        patch.setattr("cid_store.folder.os", system)
        if not reads:
            patch.setattr(Index, "_apply", apply)
        yield system


class Work:
    """What is done with a store while its disk fails, and what of it was acknowledged."""

    def __init__(self) -> None:
        self.kept: dict[Cid, bytes] = {}
        self.roots: dict[str, Cid | None] = {}
        self.tried: dict[str, set[Cid | None]] = {}

    def do(self, path: Path) -> None:
        """Puts, batches, streams and a collection; whatever fails is tried once more at the end."""
        for again in range(2):
            with contextlib.suppress(RedoxaError), LocalStore(path) as store:
                for step in (self.puts, self.batch, self.stream, self.unbind, self.collect):
                    with contextlib.suppress(RedoxaError):
                        step(store, again)

    def puts(self, store: LocalStore, again: int) -> None:
        for data in (b"one", b"two" * 3000, b"%d" % again):
            self.kept[store.put(data)] = data
            self.bind(store, f"put/{len(self.kept)}", Cid.of(data))

    def batch(self, store: LocalStore, again: int) -> None:
        blobs = [b"batch %d %d " % (again, at) * (at * 40) for at in range(8)]
        with store.batch():
            names = store.put_many(blobs)
            node = put_node(store, names)
            self.tried.setdefault("batch", set()).add(node)
            store.set_root("batch", node)
        self.kept.update(zip(names, blobs, strict=True))
        self.acknowledge("batch", node)

    def stream(self, store: LocalStore, _again: int) -> None:
        cid = store.put_stream(io.BytesIO(STREAM))
        self.kept[cid] = STREAM
        self.bind(store, "stream", cid)

    def unbind(self, store: LocalStore, again: int) -> None:
        store.put(b"garbage %d " % again * 2000)
        self.bind(store, "gone", Cid.of(b"one"))
        self.bind(store, "gone", None)

    def collect(self, store: LocalStore, _again: int) -> None:
        # What nothing leads to may go from here on; the rest stays acknowledged.
        bound = set(self.roots.values())
        batch = self.roots.get("batch")
        named = set(links_of(store, batch)) if batch is not None else set()
        self.kept = {cid: data for cid, data in self.kept.items() if cid in bound | named}
        store.gc(grace_s=0)

    def bind(self, store: LocalStore, name: str, cid: Cid | None) -> None:
        self.tried.setdefault(name, set()).add(cid)
        store.set_root(name, cid)
        self.acknowledge(name, cid)

    def acknowledge(self, name: str, cid: Cid | None) -> None:
        self.roots[name] = cid
        self.tried[name] = {cid}  # what was tried before can never come back

    def check(self, store: LocalStore) -> None:
        for cid, data in self.kept.items():
            assert store.get(cid) == data
        bound = dict(store.roots())
        for name, cid in self.roots.items():
            assert bound.get(name) in {cid, *self.tried[name]}, name
        for cid in bound.values():
            store.get(cid)
        assert store.verify().damage == ()


def links_of(store: LocalStore, cid: Cid) -> list[Cid]:
    from cid_store.nodes import get_node, links  # noqa: PLC0415 - beside its one use

    return list(links(get_node(store, cid)))


def sweep(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: int, *, reads: bool, step: int = 1
) -> int:
    """Let every `step`-th call fail, one in each round; how many rounds there were."""
    for rounds, at in enumerate(range(1, 3000, step), start=1):
        path = folder / f"{at}"
        work = Work()
        with faults(monkeypatch, code, at=at, reads=reads) as system:
            work.do(path)
        with LocalStore(path) as store:
            work.check(store)
            assert store.get(store.put(b"work goes on")) == b"work goes on"
        remove_index(path)
        with LocalStore(path) as store:
            work.check(store)
        shutil.rmtree(path)
        if system.left > 0:
            return rounds
    pytest.fail("the sweep never ended")


BOUNDED = os.environ.get("REDOXA_LONG") == "bounded"
CODES = [errno.EIO] if BOUNDED else [errno.EIO, errno.ENOSPC, errno.EINTR]


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_WINDOW_BYTES", 2 * CHUNK_BYTES)


@pytest.mark.slow
@pytest.mark.parametrize("reads", [True, False])
def test_some_calls_fail_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: bool
) -> None:
    assert sweep(tmp_path, monkeypatch, errno.EIO, reads=reads, step=29) > 5


@pytest.mark.long
@pytest.mark.parametrize("code", CODES, ids=errno.errorcode.get)
@pytest.mark.parametrize("reads", [True, False])
def test_every_call_fails_once_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, reads: bool
) -> None:
    rounds = sweep(tmp_path, monkeypatch, code, reads=reads)
    print(f"{errno.errorcode[code]}, reads {reads}: {rounds:,} rounds")  # noqa: T201 - the figure
    assert rounds > 50
