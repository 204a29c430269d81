"""A store on disk among hostile files: one clear sentence, nothing lost, no crash."""

import errno
import os
import shutil
import stat
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cid_store import disk
from cid_store import folder as folder_module
from cid_store.cid import Cid, Codec
from cid_store.errors import (
    CorruptObjectError,
    DamageError,
    InputError,
    RedoxaError,
    StoreLockedError,
    UnavailableError,
    UsageError,
)
from cid_store.local import LocalStore
from cid_store.nodes import put_node
from tests.cid_store.conftest import (
    BLOBS,
    CIDS,
    check_whole,
    fill,
    pack_of,
    read_what_is_there,
    remove_index,
)

# Files and modes


def test_everything_is_private(path: Path) -> None:
    with LocalStore(path):
        for part in [path, *path.rglob("*")]:
            wanted = 0o700 if part.is_dir() else 0o600
            assert stat.S_IMODE(part.stat().st_mode) == wanted, part


@pytest.mark.parametrize(
    "part", ["index.sqlite", "index.sqlite-wal", "packs/00000001.pack", "lock"]
)
def test_links_are_not_followed(path: Path, part: str) -> None:
    file = path / part
    target = path.parent / "elsewhere"
    file.rename(target)
    file.symlink_to(target)
    before = target.read_bytes()
    with pytest.raises(DamageError, match="is a symbolic link, and a store follows none"):
        LocalStore(path)
    assert target.read_bytes() == before


@pytest.mark.parametrize("part", ["index.sqlite", "packs/00000001.pack", "lock"])
def test_pipes_are_not_waited_for(path: Path, part: str) -> None:
    (path / part).unlink()
    os.mkfifo(path / part)
    with pytest.raises(RedoxaError, match=part):
        LocalStore(path)


@pytest.mark.parametrize("part", ["index.sqlite", "packs/00000001.pack", "lock"])
def test_a_folder_in_place_of_a_file_is_said(path: Path, part: str) -> None:
    (path / part).unlink()
    (path / part).mkdir()
    with pytest.raises(RedoxaError, match="store") as caught:
        LocalStore(path)
    assert caught.value.exit_code in (3, 4)


def test_a_folder_of_other_things_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="is a folder of other things, not a store"):
        LocalStore(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("dear")
    for at in ("file", "file/below"):
        with pytest.raises(InputError, match="cannot be opened"):
            LocalStore(tmp_path / at)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_disk_that_fails_at_opening_is_not_called_a_wrong_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def failing(path: Path, flags: int) -> int:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(disk, "open_file", failing)
    with pytest.raises(UnavailableError, match=f"cannot be used .{os.strerror(code)}.; check the"):
        LocalStore(tmp_path / "store")


def test_a_later_format_is_not_touched(path: Path) -> None:
    header = bytearray(pack_of(path).read_bytes()[:64])
    header[7] = 4
    header[60:] = struct.pack("<I", zlib.crc32(header[:60]))
    with pack_of(path).open("r+b") as file:
        file.write(header)
    before = pack_of(path).read_bytes()
    with pytest.raises(InputError, match="format version 4, and this Redoxa reads versions 1 to 3"):
        LocalStore(path)
    assert pack_of(path).read_bytes() == before


def test_a_process_that_forked_opens_the_store_again(path: Path) -> None:
    with LocalStore(path) as store:
        store._keeper._process += 1  # what getpid says in a forked child
        with pytest.raises(UsageError, match="before this process was forked"):
            store.get(CIDS[0])
        store._keeper._process -= 1


# The index


def garbage(file: Path) -> None:
    file.write_bytes(bytes(range(256)) * 64)


def half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def empty(file: Path) -> None:
    os.truncate(file, 0)


def scrambled_pages(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[4096:] = bytes(reversed(data[4096:]))
    file.write_bytes(data)


def byte_in_the_schema(file: Path) -> None:
    """SQLite's complaint about this is not UTF-8."""
    file.write_bytes(file.read_bytes().replace(b"CREATE TABLE roots", b"CREATE TABLE \x80oots"))


def foreign_database(file: Path) -> None:
    import sqlite3  # noqa: PLC0415 - this case alone

    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE objects (digest)")
    connection.close()


INDEX_DAMAGE: list[Callable[[Path], None]] = [
    Path.unlink,
    garbage,
    half,
    empty,
    scrambled_pages,
    byte_in_the_schema,
    foreign_database,
]


@pytest.mark.parametrize("damage", INDEX_DAMAGE)
@pytest.mark.parametrize("read_only", [False, True])
def test_a_damaged_index_is_rebuilt(
    path: Path, damage: Callable[[Path], None], read_only: bool
) -> None:
    damage(path / "index.sqlite")
    with LocalStore(path, read_only=read_only) as store:
        check_whole(store)


def test_an_index_damaged_while_open_is_rebuilt(path: Path) -> None:
    with LocalStore(path) as store:
        for file in path.glob("index.sqlite*"):
            file.unlink()
        more = store.put(b"more")
        assert store.get(more) == b"more"
        check_whole_with(store, 1)
    with LocalStore(path) as store:
        assert store.get(more) == b"more"
        check_whole_with(store, 1)


def check_whole_with(store: LocalStore, more: int) -> None:
    assert [store.get(cid) for cid in CIDS] == BLOBS
    report = store.verify()
    assert (report.damage, report.objects) == ((), len(BLOBS) + more)


def test_two_open_stores_survive_a_rebuild_by_one(path: Path) -> None:
    with LocalStore(path) as one, LocalStore(path) as other:
        before = other.put(b"before")
        one._keeper.rebuild_index()
        after = one.put(b"after")
        # The other still has the old index open; it notices.
        assert other.get(after) == b"after"
        last = other.put(b"last")
        assert one.get(last) == b"last"
        other.close()
        assert [one.get(cid) for cid in (before, after, last)] == [b"before", b"after", b"last"]
    with LocalStore(path) as store:
        check_whole_with(store, 3)


def test_the_index_of_another_store_is_not_believed(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with LocalStore(other) as store:
        store.put_many(b"foreign %d" % at for at in range(80))
    shutil.copy(other / "index.sqlite", path / "index.sqlite")
    with LocalStore(path) as store:
        check_whole(store)


@pytest.mark.parametrize(
    "lie",
    [
        "UPDATE objects SET offset = offset + 64",
        "UPDATE objects SET length = 9223372036854775807",
        "UPDATE objects SET length = length + 1",
        "UPDATE objects SET pack = 77",
        "UPDATE objects SET offset = 4611686018427387904",
        "UPDATE objects SET offset = -64",
        "UPDATE objects SET offset = 'text'",
        "UPDATE objects SET offset = x'00'",
        "UPDATE objects SET length = 1.5",
        "UPDATE roots SET cid = x'0155'",
        "UPDATE OR REPLACE roots SET name = x'ff'",
        "UPDATE packs SET end = 64",
        "UPDATE packs SET end = 9223372036854775807",
        "UPDATE packs SET identity = 5",
        "DELETE FROM packs",
        "DROP TABLE roots",
        "DROP TABLE objects",
    ],
)
def test_an_index_that_lies_loses_nothing(path: Path, lie: str) -> None:
    import sqlite3  # noqa: PLC0415 - this case alone

    with sqlite3.connect(path / "index.sqlite") as connection:
        connection.execute(lie)
    connection.close()
    with LocalStore(path) as store:
        for cid, blob in zip(CIDS, BLOBS, strict=True):
            assert store.get(cid) == blob
            assert store.view(cid) == blob
        new = store.put(b"new")
        store.verify()
        assert store.get(new) == b"new"
    remove_index(path)
    with LocalStore(path) as store:
        check_whole_with(store, 1)


@pytest.mark.parametrize("lie", ["DELETE FROM objects", "DELETE FROM roots"])
def test_verify_mends_an_index_that_forgot(path: Path, lie: str) -> None:
    import sqlite3  # noqa: PLC0415 - this case alone

    with sqlite3.connect(path / "index.sqlite") as connection:
        connection.execute(lie)
    connection.close()
    with LocalStore(path) as store:
        report = store.verify()
        assert "the index disagreed with the packs and was rebuilt from them" in report.notes
        check_whole(store)


# The packs


def flip(file: Path, at: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(at)
        byte = opened.read(1)
        opened.seek(at)
        opened.write(bytes([byte[0] ^ 1]))


def payload_offset(path: Path, blob: bytes) -> int:
    return pack_of(path).read_bytes().index(blob, 64)


@pytest.mark.parametrize("keep_index", [True, False])
def test_a_flipped_bit_is_one_sentence_and_one_object(path: Path, keep_index: bool) -> None:
    at = payload_offset(path, BLOBS[20])
    flip(pack_of(path), at)
    if not keep_index:
        remove_index(path)
    with LocalStore(path) as store:
        sentence = f"object {CIDS[20]} is corrupt: its {len(BLOBS[20]):,} bytes at offset {at:,}"
        for read in (store.get, store.view):
            with pytest.raises(CorruptObjectError) as caught:
                read(CIDS[20])
            assert sentence in str(caught.value)
            assert str(caught.value).endswith("; put the same bytes again to repair it")
        report = store.verify()
        assert not report.ok
        assert len(report.damage) == 1
        assert sentence in report.damage[0]
        for other, blob in zip(CIDS, BLOBS, strict=True):
            assert other == CIDS[20] or store.get(other) == blob
        assert store.put(BLOBS[20]) == CIDS[20]
        check_whole(store)
    remove_index(path)
    with LocalStore(path) as store:
        check_whole(store)


def test_a_damaged_header_costs_at_most_its_object(path: Path) -> None:
    at = payload_offset(path, BLOBS[20]) - 64
    flip(pack_of(path), at + 8)  # the length: the next record is no longer where it seems
    with LocalStore(path) as store:
        assert store.get(CIDS[20]) == BLOBS[20]  # the index still knows
        assert not store.verify().ok
    remove_index(path)
    with LocalStore(path) as store:
        for other, blob in zip(CIDS, BLOBS, strict=True):
            assert other == CIDS[20] or store.get(other) == blob
        assert len(dict(store.roots())) == 3
        assert not store.verify().ok
        store.put(BLOBS[20])
        assert store.get(CIDS[20]) == BLOBS[20]


def test_headers_of_foreign_lengths_are_harmless(path: Path) -> None:
    """A header that is sound but promises more than there is: it is no record."""
    at = payload_offset(path, BLOBS[20]) - 64
    header = bytearray(pack_of(path).read_bytes()[at : at + 64])
    header[8:16] = struct.pack("<Q", 2**64 - 1)
    header[60:] = struct.pack("<I", zlib.crc32(header[:60]))
    with pack_of(path).open("r+b") as file:
        file.seek(at)
        file.write(header)
    remove_index(path)
    with LocalStore(path) as store:
        for other, blob in zip(CIDS, BLOBS, strict=True):
            assert other == CIDS[20] or store.get(other) == blob


def test_a_pack_kept_as_an_object_is_not_taken_for_records(path: Path) -> None:
    inner = pack_of(path).read_bytes()
    with LocalStore(path) as store:
        kept = store.put(inner)
        store.set_root("root/0", None)
    flip(pack_of(path), pack_of(path).read_bytes().index(inner[64:200], 4096 + 64) - 100)
    remove_index(path)
    with LocalStore(path) as store:
        assert store.root("root/0") is None
        assert store.get(CIDS[0]) == BLOBS[0]
        assert kept == Cid.of(inner)


@pytest.mark.parametrize("keep_index", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7])
def test_a_truncated_pack_costs_what_was_cut(path: Path, share: float, keep_index: bool) -> None:
    size = payload_offset(path, BLOBS[-1]) + len(BLOBS[-1])
    os.truncate(pack_of(path), int(size * share))
    if not keep_index:
        remove_index(path)
    with LocalStore(path) as store:
        assert read_what_is_there(store) < len(BLOBS)
        assert store.put_many(BLOBS) == CIDS
        assert [store.get(cid) for cid in CIDS] == BLOBS
    with LocalStore(path) as store:
        assert [store.get(cid) for cid in CIDS] == BLOBS


def test_a_pack_that_is_gone_is_named(path: Path) -> None:
    pack_of(path).unlink()
    with LocalStore(path) as store:
        with pytest.raises(CorruptObjectError, match=r"is lost with its pack: .*1\.pack is gone"):
            store.get(CIDS[0])
        assert "is gone, and 40 objects with it" in store.verify().damage[0]
        store.put_many(BLOBS)
        assert [store.get(cid) for cid in CIDS] == BLOBS


def test_a_damaged_pack_header_costs_nothing(path: Path) -> None:
    for at in (0, 10, 20, 63):
        flip(pack_of(path), at)
        remove_index(path)
        with LocalStore(path) as store:
            assert [store.get(cid) for cid in CIDS] == BLOBS
            assert store.put(b"%d" % at)
            assert "the header of" in store.verify().damage[0]


def test_swapped_packs_are_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "PACK_BYTES", 4096)
    with LocalStore(path) as store:
        store.put(b"x" * 4096)
        assert len(store._keeper.packs.numbers()) == 2
    one, two, aside = pack_of(path, 1), pack_of(path, 2), path / "aside"
    one.rename(aside)
    two.rename(one)
    aside.rename(two)
    for read_only in (False, True):
        with pytest.raises(DamageError, match=r"1\.pack is pack 2 by its header; give it back"):
            LocalStore(path, read_only=read_only)
    two.rename(aside)
    one.rename(two)
    aside.rename(one)
    with LocalStore(path) as store:
        assert [store.get(cid) for cid in CIDS] == BLOBS


def test_a_failed_read_is_repaired_from_another_copy(path: Path) -> None:
    """Two copies of an object, the indexed one damaged: the other is found and remembered."""
    at = payload_offset(path, BLOBS[20])
    flip(pack_of(path), at)
    with LocalStore(path) as store:
        store.put(BLOBS[20])
    flip(pack_of(path), at)
    flip(pack_of(path), pack_of(path).read_bytes().rindex(BLOBS[20]))
    with LocalStore(path) as store:
        assert store.get(CIDS[20]) == BLOBS[20]
        check_whole(store)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_damage_to_any_file_is_survived(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever is written anywhere: opening, reading and verifying give bytes or a sentence."""
    path = tmp_path_factory.mktemp("damage") / "store"
    fill(path)
    os.truncate(pack_of(path), 16384)
    for _ in range(data.draw(st.integers(1, 4))):
        files = [pack_of(path), *(path / f"index.sqlite{end}" for end in ("", "-wal", "-shm"))]
        file = data.draw(st.sampled_from(files))
        if file.exists():
            content = bytearray(file.read_bytes())
            at = data.draw(st.integers(0, len(content)))
            patch = data.draw(st.binary(min_size=1, max_size=80))
            content[at : at + len(patch)] = patch
            file.write_bytes(content)
    with LocalStore(path) as store:
        read_what_is_there(store)
        store.verify()
        store.put_many(BLOBS)
        assert [store.get(cid) for cid in CIDS] == BLOBS
    shutil.rmtree(path)


# Growth


def test_a_full_pack_is_left_for_a_new_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "PACK_BYTES", 10_000)
    with LocalStore(path) as store:
        more = [store.put(bytes([at]) * 3000) for at in range(12)]
        large = store.put(b"large" * 10_000)
        packs = store.stat().packs
        assert packs >= 5
    assert pack_of(path, 2).stat().st_size <= 10_000 + 64
    remove_index(path)
    with LocalStore(path) as store:
        assert all(store.get(cid) == bytes([at]) * 3000 for at, cid in enumerate(more))
        assert store.get(large) == b"large" * 10_000
        check_whole_with(store, 13)
        assert store.stat().packs == packs


def test_putting_again_takes_no_room(path: Path) -> None:
    with LocalStore(path) as store:
        before = store.stat()
        store.put_many(BLOBS + BLOBS)
        for name, cid in list(store.roots()):
            store.set_root(name, cid)
        assert store.stat() == before
        assert before.objects == 40
        assert before.object_bytes == sum(map(len, BLOBS))


def test_views_outlive_growth_and_closing(tmp_path: Path) -> None:
    with LocalStore(tmp_path / "store") as store:
        first = store.view(store.put(b"first"))
        store.put(bytes(5 << 20))
        second = store.view(store.put(b"second"))
        empty_view = store.view(store.put(b""))
    assert (first, second, empty_view) == (b"first", b"second", b"")
    with pytest.raises(TypeError):
        first[0] = 0


def test_views_are_aligned_for_vectors(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    with LocalStore(tmp_path / "store") as store:
        for size in (8, 24, 100, 4096):
            array = numpy.frombuffer(store.view(store.put(bytes([size % 251]) * size)), "u1")
            assert array.ctypes.data % 64 == 0


def test_a_writer_that_waits_too_long_says_so(path: Path) -> None:
    with (
        LocalStore(path) as holder,
        LocalStore(path, lock_timeout_s=0.01) as waiter,
        holder._keeper.exclusive(),
    ):
        with pytest.raises(StoreLockedError, match=r"another process \(waited 0\.01 s\); try"):
            waiter.put(b"later")
        assert waiter.get(CIDS[3]) == BLOBS[3]  # readers never wait
    with LocalStore(path) as store:
        assert not store.has(Cid.of(b"later"))


def test_objects_of_both_codecs_stand_side_by_side(tmp_path: Path) -> None:
    with LocalStore(tmp_path / "store") as store:
        node = put_node(store, {"a": [1]})
        raw = store.put(store.get(node))
        assert (raw.digest, raw.codec) == (node.digest, Codec.RAW)
        assert store.stat().objects == 2
    remove_index(tmp_path / "store")
    with LocalStore(tmp_path / "store") as store:
        assert store.has(node)
        assert store.has(raw)
