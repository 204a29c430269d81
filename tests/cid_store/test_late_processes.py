"""What one process was told is durable is there for every other at once, and after it is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cid_store.cid import Cid
from cid_store.local import LocalStore
from tests.cid_store.conftest import CIDS, remove_index
from tests.cid_store.ends import check_words, known_end

ROOT = Path(__file__).resolve().parents[2]


# Takes lines `put WORD`, `bind NAME WORD`, `unbind NAME`; answers each when it is acknowledged.
WRITER = """
import sys
from cid_store.local import LocalStore
store = LocalStore(sys.argv[1])
print("open", flush=True)
for line in sys.stdin:
    act, *words = line.split()
    if act == "put":
        store.put(words[0].encode())
    elif act == "bind":
        with store.batch():
            store.set_root(words[0], store.put(words[1].encode()))
    else:
        store.set_root(words[0], None)
    print(line, end="", flush=True)
"""


class Writer:
    """Another process at the same store; it never closes it."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "open\n"

    def do(self, line: str) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(line + "\n")
        stdin.flush()
        assert self._answer() == line + "\n"

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate(timeout=60)

    def _answer(self) -> str:
        stdout = self._process.stdout
        assert stdout is not None
        return stdout.readline()


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    writer = Writer(path)
    yield writer
    writer.kill()


@pytest.mark.slow
@pytest.mark.parametrize("read_only", [True, False])
def test_a_process_sees_at_once_what_another_was_told_is_durable(
    path: Path, writer: Writer, read_only: bool
) -> None:
    before = known_end(path)
    with LocalStore(path, read_only=read_only) as store:
        for at in range(5):
            word = Cid.of(f"a{at}".encode())
            assert not store.has(word)
            writer.do(f"put a{at}")
            check_words(store, [f"a{at}"])
            assert store.root("name") == (Cid.of(f"b{at - 1}".encode()) if at else None)
            writer.do(f"bind name b{at}")
            assert store.root("name") == Cid.of(f"b{at}".encode())
            assert dict(store.roots("name")) == {"name": Cid.of(f"b{at}".encode())}
        writer.do("unbind name")
        assert store.root("name") is None
        assert dict(store.roots("na")) == {}
        writer.do("unbind root/1")
        assert [name for name, _ in store.roots()] == ["root/0", "root/2"]
        assert known_end(path) == before, "the writer has not written its index yet"
        assert store.stat().objects == len(CIDS) + 10
        assert (store.stat().roots, store.verify().damage) == (2, ())
        assert store.gc(dry_run=True).kept == len(CIDS) + 10


@pytest.mark.slow
def test_what_a_killed_process_did_not_index_is_not_lost(path: Path) -> None:
    before = known_end(path)
    writer = Writer(path)
    words = [f"word{at}" for at in range(20)]
    with LocalStore(path, read_only=True) as early:
        for word in words:
            writer.do(f"bind {word} {word}")
        writer.do("unbind root/0")
        writer.kill()
        assert known_end(path) == before
        with LocalStore(path, read_only=True) as store:
            for reader in (early, store):
                check_words(reader, words)
                assert reader.root("root/0") is None
                assert len(dict(reader.roots())) == 2 + len(words)
        assert known_end(path) == before
        with LocalStore(path) as store:
            check_words(store, words)
            assert store.verify().ok
        check_words(early, words)
    assert known_end(path) != before


@pytest.mark.slow
def test_two_processes_write_in_turn_and_rebind_each_others_names(
    path: Path, writer: Writer
) -> None:
    with LocalStore(path) as store:
        for at in range(6):
            store.set_root("turn", store.put(b"mine%d" % at))
            writer.do(f"bind turn theirs{at}")
            assert store.root("turn") == Cid.of(b"theirs%d" % at)
            # It was bound so before, and is not any more: that must not be skipped.
            store.set_root("turn", store.put(b"mine%d" % at))
            assert store.root("turn") == Cid.of(b"mine%d" % at)
        report = store.verify()
        assert (report.damage, report.index_is_wrong) == ((), False)
        # Nobody put twice what another had put.
        assert report.objects == len(CIDS) + 12
    remove_index(path)
    with LocalStore(path) as store:
        assert store.root("turn") == Cid.of(b"mine5")
        assert store.verify()[:4] == report[:4]
