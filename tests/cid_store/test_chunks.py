"""Objects kept in chunks: stored once, found again when damaged, refused by an older Redoxa."""

import io
import os
import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cid_store import disk, streams
from cid_store.chunks import CHUNK_BYTES, ChunkList, encode_chunks, parse_chunks
from cid_store.cid import Cid, Codec
from cid_store.errors import CorruptObjectError, MissingObjectError, StoreStoppedError
from cid_store.local import LocalStore
from cid_store.pack import RECORD_MAGIC
from tests.cid_store.conftest import pack_of, place_of, remove_index
from tests.cid_store.test_crash import FailingSync
from tests.cid_store.test_formats import OLD
from tests.cid_store.test_store import random_bytes

SIZE = 3 * CHUNK_BYTES + 99
DATA = random_bytes(SIZE)
BLOB = Cid.of(DATA)
PARTS = [DATA[at : at + CHUNK_BYTES] for at in range(0, SIZE, CHUNK_BYTES)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    with LocalStore(path) as store:
        store.set_root("blob", store.put_stream(io.BytesIO(DATA)))
    return path


def alter(path: Path, old: bytes, new: bytes) -> None:
    data = pack_of(path).read_bytes()
    assert data.count(old) == 1
    with pack_of(path).open("r+b") as file:
        file.seek(data.index(old))
        file.write(new)


@given(size=st.integers(0, 1 << 64 - 1), length=st.integers(1, 1 << 32 - 1), data=st.data())
def test_a_list_holds_for_its_own_blob_alone(size: int, length: int, data: st.DataObject) -> None:
    count = -(-size // length)
    if count > 5:
        length, count = max(1, size // 5), -(-size // max(1, size // 5))
    if length >= 1 << 32:
        return
    chunks = ChunkList(size, length, data.draw(st.binary(min_size=32 * count, max_size=32 * count)))
    payload = encode_chunks(BLOB, chunks)
    assert parse_chunks(BLOB, payload) == chunks
    assert parse_chunks(Cid.of(b"another"), payload) is None
    assert parse_chunks(Cid(Codec.NODE, BLOB.digest), payload) is None
    at = data.draw(st.integers(0, len(payload) * 8 - 1))
    flipped = bytearray(payload)
    flipped[at // 8] ^= 1 << at % 8
    assert parse_chunks(BLOB, bytes(flipped)) is None
    assert parse_chunks(BLOB, payload[: at // 8]) is None


def test_the_parts_of_a_blob_are_pieces_of_its_chunks() -> None:
    chunks = ChunkList(25, 10, bytes(32) + b"\1" * 32 + b"\2" * 32)
    assert [(*piece[1:], piece.chunk.digest[0]) for piece in chunks.pieces(7, 99)] == [
        (7, 10, 0),
        (0, 10, 1),
        (0, 5, 2),
    ]
    assert list(chunks.pieces(25, 30)) == list(chunks.pieces(3, 3)) == []
    assert [length for _, length in chunks.chunks()] == [10, 10, 5]


def test_equal_chunks_are_stored_once(tmp_path: Path) -> None:
    with LocalStore(tmp_path / "store") as store:
        one = store.put_stream(io.BytesIO(DATA))
        size = store.stat().object_bytes
        other = store.put_stream(io.BytesIO(DATA + b"and more"))
        assert store.stat().object_bytes < size + 1000
        zeros = store.put_stream(io.BytesIO(bytes(50 << 20)))
        assert store.stat().object_bytes < size + 1000 + CHUNK_BYTES + 5000
        assert store.get(zeros) == bytes(50 << 20)
        assert (store.get(one), store.get(other)) == (DATA, DATA + b"and more")
        assert [store.get(Cid.of(part)) for part in PARTS] == PARTS
        before = store.stat()
        store.put_many([DATA, *PARTS])
        store.put_stream(io.BytesIO(DATA))
        assert store.stat() == before
        assert store.verify().ok


def test_a_blob_that_is_kept_whole_gets_no_list(tmp_path: Path) -> None:
    with LocalStore(tmp_path / "store") as store:
        store.put(DATA)
        assert store.put_stream(io.BytesIO(DATA)) == BLOB
        assert store.stat().objects == 1 + len(PARTS)  # the chunks were written before it was known
        assert store.view(BLOB).obj is not store.get(BLOB)


def test_everything_is_found_without_the_index(path: Path) -> None:
    remove_index(path)
    for read_only in (True, False):
        with LocalStore(path, read_only=read_only) as store:
            assert store.get(store.root("blob") or BLOB) == DATA
            assert store.verify().ok


READS: list[Callable[[LocalStore], bytes]] = [
    lambda store: store.get(BLOB),
    lambda store: bytes(store.view(BLOB)),
    lambda store: b"".join(store.get_stream(BLOB)),
    lambda store: store.read(BLOB, 0, SIZE),
    lambda store: store.get_many([BLOB])[0],
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("keep_index", [True, False])
def test_a_damaged_chunk_is_named_and_put_again(
    path: Path, read: Callable[[LocalStore], bytes], keep_index: bool
) -> None:
    alter(path, PARTS[2][:16], bytes(16))
    if not keep_index:
        remove_index(path)
    with LocalStore(path) as store:
        with pytest.raises(CorruptObjectError, match=str(Cid.of(PARTS[2]))):
            read(store)
        # What it does not touch is read all the same.
        assert store.read(BLOB, 0, 2 * CHUNK_BYTES) == DATA[: 2 * CHUNK_BYTES]
        assert not store.verify().ok
        if keep_index:
            store.put_stream(io.BytesIO(DATA))
        else:
            store.put(DATA)
        assert read(store) == DATA


@pytest.mark.parametrize("read", READS)
def test_a_damaged_list_is_said_and_put_again(
    path: Path, read: Callable[[LocalStore], bytes]
) -> None:
    alter(path, Cid.of(PARTS[1]).digest + Cid.of(PARTS[2]).digest, bytes(64))
    with LocalStore(path) as store:
        with pytest.raises(CorruptObjectError, match=r"the list of its chunks at offset [\d,]+ of"):
            read(store)
        report = store.verify()
        assert [str(BLOB) in sentence for sentence in report.damage] == [True, True]
        assert store.put_stream(io.BytesIO(DATA)) == BLOB
        assert read(store) == DATA
        assert store.verify().ok


@pytest.mark.parametrize("read", READS)
def test_a_forged_list_gives_nothing_that_is_read_whole(
    path: Path, read: Callable[[LocalStore], bytes]
) -> None:
    """A list that is sealed to the blob and names other chunks: only a liar can have written it."""
    digests = Cid.of(PARTS[0]).digest * 3 + Cid.of(PARTS[3]).digest
    with LocalStore(path) as store:
        old = store._keeper.read(place_of(store, BLOB))
    alter(path, old, encode_chunks(BLOB, ChunkList(SIZE, CHUNK_BYTES, digests)))
    with LocalStore(path) as store:
        assert not store.verify().ok
        if read is not READS[3]:
            with pytest.raises(CorruptObjectError, match="the list of its chunks does not make"):
                read(store)


def test_a_missing_chunk_is_missing(path: Path) -> None:
    with sqlite3.connect(path / "index.sqlite") as connection:
        connection.execute("DELETE FROM objects WHERE digest = ?", [Cid.of(PARTS[0]).digest])
    connection.close()
    with LocalStore(path) as store:
        with pytest.raises(MissingObjectError, match=str(Cid.of(PARTS[0]))):
            store.get(BLOB)
        assert store.put_stream(io.BytesIO(DATA)) == BLOB
        assert store.get(BLOB) == DATA


def test_a_part_touches_only_the_chunks_it_needs(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalStore(path) as store:
        touched = 0
        real = disk.read_into

        def counted(fd: int, room: memoryview, offset: int) -> int:
            nonlocal touched
            touched += len(room)
            return real(fd, room, offset)

        monkeypatch.setattr(disk, "read_into", counted)
        assert store.read(BLOB, CHUNK_BYTES + 5, 10) == DATA[CHUNK_BYTES + 5 : CHUNK_BYTES + 15]
        assert touched == CHUNK_BYTES


def test_an_old_pack_is_left_for_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "store"
    shutil.copytree(OLD, path)
    with LocalStore(path) as store:
        store.put(b"plain objects still go there")
        assert store.stat().packs == 1
        assert store.put_stream(io.BytesIO(DATA)) == BLOB
        assert [file.read_bytes()[7] for file in sorted((path / "packs").iterdir())] == [1, 3]
        assert store.get(BLOB) == DATA
    kind_at_4 = struct.Struct("<4sB")
    assert kind_at_4.pack(RECORD_MAGIC, 3) not in pack_of(path).read_bytes()
    remove_index(path)
    with LocalStore(path) as store:
        assert store.get(BLOB) == DATA
        assert store.verify().ok


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("missing", [["kind", "size", "cost"], ["size", "cost"]])
def test_an_old_index_is_made_anew(path: Path, missing: list[str], read_only: bool) -> None:
    shutil.rmtree(path)
    shutil.copytree(OLD, path)
    with LocalStore(path) as store:
        hello = store.put(b"hello")
    with sqlite3.connect(path / "index.sqlite") as connection:
        for column in missing:
            connection.execute(f"ALTER TABLE objects DROP COLUMN {column}")
        connection.execute(f"PRAGMA user_version = {4 - len(missing)}")
    connection.close()
    before = (path / "index.sqlite").stat().st_ino
    with LocalStore(path, read_only=read_only) as store:
        assert store.get(hello) == b"hello"
        assert len(dict(store.roots())) == 2
        assert store.verify().ok
        assert store.verify().notes == ()
    assert ((path / "index.sqlite").stat().st_ino == before) == read_only


def test_a_list_never_outlives_its_chunks_in_a_torn_append(path: Path) -> None:
    """The last append lost a chunk: its other objects count, its list must not."""
    data = random_bytes(2 * CHUNK_BYTES)
    with LocalStore(path) as store:
        store.put_stream(io.BytesIO(data))
    alter(path, data[:64], bytes(64))
    remove_index(path)
    for read_only in (True, False):
        with LocalStore(path, read_only=read_only) as store:
            assert not store.has(Cid.of(data))
            assert store.get(Cid.of(data[CHUNK_BYTES:])) == data[CHUNK_BYTES:]
            assert store.get(BLOB) == DATA


@pytest.mark.parametrize("fail_at", [1, 2])
def test_a_sync_that_fails_ends_the_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_at: int
) -> None:
    monkeypatch.setattr(streams, "_WINDOW_BYTES", 2 * CHUNK_BYTES)
    with LocalStore(tmp_path / "store") as store:
        store.put(b"begun")
        FailingSync(monkeypatch, fail_at=fail_at)
        with pytest.raises(StoreStoppedError):
            store.put_stream(io.BytesIO(DATA))
        assert not store.has(BLOB)
    with LocalStore(tmp_path / "store") as store:
        assert store.put_stream(io.BytesIO(DATA)) == BLOB
        assert store.get(BLOB) == DATA


@pytest.mark.slow
def test_a_forked_child_hashes_large_blobs(tmp_path: Path) -> None:
    """The threads that hash do not survive a fork; a child must not wait for them."""
    with LocalStore(tmp_path / "store") as store:
        assert store.get(store.put(DATA)) == DATA  # the threads are there now
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with LocalStore(tmp_path / "store") as store:
                code = 0 if store.get(BLOB) == DATA == store.get(store.put(DATA)) else 1
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("size", [0, 1, 3 * CHUNK_BYTES + 5])
def test_the_places_of_an_object_hold_its_bytes(path: Path, size: int) -> None:
    data = bytes(index * 7 % 251 for index in range(256)) * (size // 256 + 1)
    with LocalStore(path) as store, store.batch():
        pending = store.put(b"not yet on the disk")
        assert store.places(pending) is None
    with LocalStore(path) as store:
        for cid in (store.put(data[:size]), store.put_stream(io.BytesIO(data[:size]))):
            found = store.places(cid)
            assert found is not None
            parts = [
                (path / "packs" / f"{pack:08}.pack").read_bytes()[offset : offset + length]
                for pack, offset, length in found
            ]
            assert b"".join(parts) == data[:size]
