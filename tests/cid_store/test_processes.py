"""Several processes at one store: they take turns in writing, and never wait for reading."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cid_store.cid import Cid
from cid_store.local import LocalStore

ROOT = Path(__file__).resolve().parents[2]

WRITE = """
import sys
from cid_store.local import LocalStore
path, worker = sys.argv[1], int(sys.argv[2])
with LocalStore(path) as store:
    for at in range(40):
        # Every second blob is put by all workers, the others by one.
        data = b"%d" % at if at % 2 else b"%d of %d" % (at, worker)
        cid = store.put(data * 50)
        assert store.get(cid) == data * 50
        with store.batch():
            store.set_root(f"{worker}/{at}", cid)
            store.set_root("newest", cid)
    store.put_many(b"many %d" % at * 300 for at in range(100))
"""

READ = """
import sys
from cid_store.local import LocalStore
path = sys.argv[1]
with LocalStore(path, read_only=True) as store:
    seen = 0
    while store.root("stop") is None:
        bound = dict(store.roots())
        assert len(bound) >= seen  # what was there stays there
        seen = len(bound)
        for cid in bound.values():
            store.view(cid)
            store.get(cid)
print(seen)
"""


def start(program: str, *words: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> str:
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, err) == (0, "")
    return out


@pytest.mark.slow
def test_processes_write_and_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with LocalStore(path) as store:
        readers = [start(READ, path) for _ in range(2)]
        writers = [start(WRITE, path, worker) for worker in range(4)]
        for writer in writers:
            finish(writer)
        store.set_root("stop", store.put(b"stop"))
        for reader in readers:
            assert int(finish(reader)) > 0
        assert len(list(store.roots())) == 4 * 40 + 2
        shared, own, many = 20, 4 * 20, 100
        assert store.stat().objects == shared + own + many + 1
        for at in range(40):
            for worker in range(4):
                cid = store.root(f"{worker}/{at}")
                assert cid is not None
                assert store.get(cid).startswith(b"%d" % at)
        report = store.verify()
        assert report.ok
        # Two writers may meet at the same bytes; the packs hold each but once all the same.
        assert report.objects == store.stat().objects
    for file in path.glob("index*"):
        file.unlink()
    with LocalStore(path) as store:
        assert store.verify()[:4] == report[:4]


@pytest.mark.slow
def test_many_processes_begin_one_store(tmp_path: Path) -> None:
    program = "import sys\nfrom cid_store.local import LocalStore\n"
    program += "with LocalStore(sys.argv[1]) as store: print(store.put(sys.argv[2].encode()))\n"
    processes = [start(program, tmp_path / "a" / "store", at % 5) for at in range(8)]
    names = [finish(process).strip() for process in processes]
    assert names == [str(Cid.of(b"%d" % (at % 5))) for at in range(8)]
    with LocalStore(tmp_path / "a" / "store") as store:
        assert store.stat().objects == 5
        assert store.verify().ok


@pytest.mark.slow
def test_a_forked_child_must_open_the_store_itself(tmp_path: Path) -> None:
    program = """
import os, sys
from cid_store.errors import UsageError
from cid_store.local import LocalStore
with LocalStore(sys.argv[1]) as store:
    cid = store.put(b"parent")
    child = os.fork()
    if child == 0:
        try:
            store.get(cid)
        except UsageError as error:
            print(error, flush=True)
            store.close()
            with LocalStore(sys.argv[1]) as own:
                own.put(b"child")
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    print(len(store.put_many([b"parent", b"child", b"again"])), store.stat().objects)
"""
    out = finish(start(program, tmp_path / "store"))
    assert "was opened before this process was forked; open it again in the child" in out
    assert out.endswith("3 3\n")
