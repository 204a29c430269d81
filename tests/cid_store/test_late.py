"""What is acknowledged is there for every process at once, whenever the index is written."""

import errno
import inspect
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cid_store import disk, folder, late, recovery, shared
from cid_store.cid import Cid
from cid_store.errors import MissingObjectError, UnavailableError
from cid_store.folder import Place, Tail
from cid_store.index import Index, IndexDamagedError, PackEnd
from cid_store.late import LateIndex
from cid_store.local import LocalStore
from tests.cid_store.conftest import CIDS, pack_of, remove_index

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


def known_end(path: Path) -> PackEnd | None:
    """How far the index's file knows the packs."""
    index = Index.open(path / "index.sqlite", read_only=True)
    try:
        return index.last_pack()
    finally:
        index.close()


def check_words(store: LocalStore, words: list[str]) -> None:
    cids = [Cid.of(word.encode()) for word in words]
    assert all(store.has(cid) for cid in cids)
    assert [store.get(cid).decode() for cid in cids] == words
    assert [data.decode() for data in store.get_many(cids)] == words
    assert [bytes(store.view(cid)).decode() for cid in cids] == words
    assert [store.size(cid) for cid in cids] == [len(word) for word in words]


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


def test_two_stores_at_one_folder_put_the_same_once(path: Path) -> None:
    with LocalStore(path) as one, LocalStore(path) as other:
        for at in range(5):
            one.put(b"same%d" % at)
            other.put(b"same%d" % at)
            other.put(b"else%d" % at)
        assert one.stat().objects == len(CIDS) + 10
        check_whole_packs(path, len(CIDS) + 10)


def check_whole_packs(path: Path, objects: int) -> None:
    packs = folder.PackFolder(path / "packs")
    pack = packs.pack(1)
    assert pack is not None
    found = recovery.survey(pack, 1, 64)
    assert len([head for head in found.sound if head.kind.is_object]) == objects


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


QUESTIONS: list[Callable[[Index], object]] = [
    lambda index: index.places(CIDS),
    lambda index: index.root("late"),
    lambda index: index.roots(""),
    lambda index: index.last_pack(),
    lambda index: index.whole(0),
]
ASKED = {"places", "root", "roots", "last_pack", "whole"}  # above
NO_QUESTIONS = {
    "apply", "drop", "adopt", "repoint", "close", "copy",  # change it; below
    "check", "upgrade", "seal", "open", "create",  # before it is in force
}  # fmt: skip


def late_index(path: Path) -> LateIndex:
    """An index of which one object, two roots and an end wait to be written."""
    index = LateIndex.create(path)
    index.apply([(CIDS[0], Place.whole(1, 64, 1))], {"old": CIDS[0], "gone": CIDS[0]}, end(192))
    index.apply_late(
        [(CIDS[1], Place.whole(1, 192, 1))],
        {"late": CIDS[1], "gone": None},
        start=Tail(1, 192),
        end=Tail(1, 320),
    )
    return index


def end(at: int) -> PackEnd:
    return PackEnd(1, b"i" * 16, at)


def test_an_index_that_waits_answers_as_one_that_is_written(tmp_path: Path) -> None:
    """Every question there is, so that a new one is not forgotten."""
    names = {name for name, _ in inspect.getmembers(Index, inspect.isfunction) if name[0] != "_"}
    plain = [name for name in names - NO_QUESTIONS if not parameters(name)]
    assert names - NO_QUESTIONS <= ASKED | set(plain), "ask it above"
    asked: list[Callable[[Any], object]] = [
        *QUESTIONS,
        *(lambda index, name=name: ready(getattr(index, name)()) for name in plain),
    ]
    for at, question in enumerate(asked):
        index, written = late_index(tmp_path / f"{at}"), late_index(tmp_path / f"{at}w")
        written.write()
        assert question(index) == question(written)
        for each in (index, written):
            each.close()


def parameters(name: str) -> list[str]:
    return list(inspect.signature(getattr(Index, name)).parameters)[1:]


def ready(answer: object) -> object:
    return list(answer) if inspect.isgenerator(answer) else answer


CHANGES: list[Callable[[Index], None]] = [
    lambda index: index.apply([(CIDS[1], Place.whole(1, 320, 1))], {"late": None}, end(448)),
    lambda index: index.repoint(CIDS[1], Place.whole(1, 64, 9)),
    lambda index: index.drop([1]),
    lambda index: index.adopt([(CIDS[1], Place.whole(2, 64, 1))], PackEnd(2, b"j" * 16, 128)),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_waits_is_written_before_what_comes_later(
    tmp_path: Path, change: Callable[[Index], None]
) -> None:
    index, written = late_index(tmp_path / "index"), late_index(tmp_path / "written")
    written.write()
    change(index)
    change(written)
    for question in QUESTIONS:
        assert question(index) == question(written)
    index.close()
    written.close()


@pytest.mark.parametrize(
    ("known", "taken"),
    [
        (end(192), True),
        (end(320), True),  # another process learnt it from the packs
        (end(448), False),  # and wrote more
        (end(128), False),  # another index, of the past
        (PackEnd(2, b"j" * 16, 64), False),  # and began a pack
        (PackEnd(1, b"k" * 16, 192), False),
    ],
)
def test_what_others_learnt_meanwhile_stands(tmp_path: Path, known: PackEnd, taken: bool) -> None:
    path = tmp_path / "index"
    index = late_index(path)
    other = Index.open(path)
    other.drop([1])
    other.apply([], {}, known)
    assert index.last_pack() == (end(320) if taken else known)
    assert index.is_late is taken
    other.close()
    index.close()

    index = late_index(tmp_path / "again")
    other = Index.open(tmp_path / "again")
    other.drop([1])
    other.apply([], {}, known)
    index.write()
    assert (CIDS[1] in other.places([CIDS[1]])) is taken
    assert other.last_pack() == (end(320) if taken else known)
    other.close()
    index.close()


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


def test_a_snapshot_is_of_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though another thread appends between writing what waits and looking."""
    index = late_index(tmp_path / "index")
    real = LateIndex.write
    ends = {"start": Tail(1, 320), "end": Tail(1, 448)}
    other = threading.Thread(target=index.apply_late, args=([], {"new": CIDS[0]}), kwargs=ends)

    def write_and_append(self: LateIndex) -> None:
        real(self)
        monkeypatch.undo()
        other.start()
        other.join(0.05)  # it may have to wait for the snapshot

    monkeypatch.setattr(LateIndex, "write", write_and_append)
    packs, roots = index.snapshot()
    other.join()
    assert ("new" in roots) is (packs[-1].end == 448)
    assert index.root("new") == CIDS[0]
    index.close()


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


@pytest.mark.parametrize("start", [Tail(1, 128), Tail(1, 448), Tail(2, 320)])
def test_an_index_that_knows_another_end_learns_nothing_late(tmp_path: Path, start: Tail) -> None:
    index = late_index(tmp_path / "index")
    with pytest.raises(IndexDamagedError):
        index.apply_late([], {}, start=start, end=start._replace(end=start.end + 64))
    index.close()


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
