"""A store on disk among foreign files, and how it grows: one clear sentence, no crash."""

import errno
import os
import stat
import struct
import zlib
from pathlib import Path

import pytest

from cid_store import disk
from cid_store import folder as folder_module
from cid_store.cid import Cid, Codec
from cid_store.errors import (
    DamageError,
    InputError,
    RedoxaError,
    StoreLockedError,
    UnavailableError,
    UsageError,
)
from cid_store.local import LocalStore
from cid_store.nodes import put_node

# Files and modes
from tests.cid_store.conftest import (
    BLOBS,
    CIDS,
    check_whole_with,
    pack_of,
    remove_index,
)


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


def test_a_folder_in_place_of_the_next_pack_or_index_is_named(path: Path) -> None:
    for part in ("packs/00000002.pack", "index.new"):
        (path / part / "within").mkdir(parents=True)
        with pytest.raises(DamageError) as caught, LocalStore(path) as store:
            store.repair()
        assert str(caught.value).startswith(f"{path / part} is not a regular file; a store keeps")
        assert (path / part / "within").is_dir()
        (path / part / "within").rmdir()
        (path / part).rmdir()
    with LocalStore(path) as store:
        assert store.repair().found.ok


def test_a_folder_of_other_things_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="is a folder of other things, not a store"):
        LocalStore(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


def test_a_store_that_another_process_makes_meanwhile_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = disk.is_folder, list[Path]()

    def is_folder(path: Path) -> bool:
        asked.append(path)
        if len(asked) > 1:
            return real(path)
        path.mkdir(parents=True)  # the other process, just after the look
        return False

    monkeypatch.setattr(disk, "is_folder", is_folder)
    with LocalStore(tmp_path / "store") as store:
        assert store.get(store.put(b"both")) == b"both"


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
