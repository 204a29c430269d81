"""Packs that are damaged, cut, swapped or gone: one sentence, and only what was hit is lost."""

import os
import shutil
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cid_store import folder as folder_module
from cid_store.cid import Cid
from cid_store.errors import (
    CorruptObjectError,
    DamageError,
)
from cid_store.local import LocalStore
from tests.cid_store.conftest import (
    BLOBS,
    CIDS,
    check_whole,
    fill,
    pack_of,
    read_what_is_there,
    remove_index,
)


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
        with pytest.raises(
            DamageError, match=r"1\.pack is pack 2 by its header; move 00000002\.pack"
        ):
            LocalStore(path, read_only=read_only)
    two.rename(aside)
    one.rename(two)
    aside.rename(one)
    with LocalStore(path) as store:
        assert [store.get(cid) for cid in CIDS] == BLOBS


@pytest.mark.parametrize("number", [2, 9])
def test_a_copied_pack_is_never_to_be_renamed_over_the_live_one(path: Path, number: int) -> None:
    copy = pack_of(path, number)
    shutil.copy(pack_of(path), copy)
    sentence = f"{copy} is pack 1 by its header, and 00000001.pack is there: this is a copy; "
    if number == 9:  # the next pack's name is looked at whenever the store is opened
        with LocalStore(path) as store:
            late = store.put(b"put after the copy was made")
            assert any(sentence in line for line in store.verify().damage)
            with pytest.raises(DamageError) as caught:
                store.repair()
            assert sentence in str(caught.value)
            copy.unlink()
            assert store.repair().found.ok
            assert store.get(late) == b"put after the copy was made"
    else:
        with pytest.raises(DamageError) as caught:
            LocalStore(path)
        assert str(caught.value) == f"{sentence}move it out of that folder"
        assert copy.read_bytes() == pack_of(path).read_bytes(), "nothing of it was cut"
        copy.unlink()
        with LocalStore(path) as store:
            check_whole(store)


def test_a_pack_whose_name_is_free_is_given_it_back(path: Path) -> None:
    pack_of(path).rename(pack_of(path, 7))
    sentence = f"{pack_of(path, 7)} is pack 1 by its header; give it back the name 00000001.pack"
    with LocalStore(path, read_only=True) as store:
        assert sentence in store.verify().damage
    pack_of(path, 7).rename(pack_of(path))
    with LocalStore(path) as store:
        check_whole(store)


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
