"""Demoted objects read back through every door, and are demoted only where they can be rebuilt."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from cid_store.chunks import CHUNK_BYTES
from cid_store.cid import Cid, Codec
from cid_store.encoding import encode
from cid_store.errors import (
    InputError,
    MissingObjectError,
    UnavailableError,
    UsageError,
)
from cid_store.local import LocalStore
from cid_store.pack import RECORD_MAGIC
from cid_store.tiers import Account, Tier, Writable
from tests.cid_store.conftest import pack_of, remove_index
from tests.cid_store.rebuilder import opened, put_recipe, toy_of
from tests.cid_store.test_store import random_bytes

SEED = random_bytes(50_000)
LARGE = SEED * 70  # 3.5 MB: more than a chunk
SMALL = SEED * 2
LARGE_CID, SMALL_CID = Cid.of(LARGE), Cid.of(SMALL)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with a demoted object that was kept whole, and one that was kept in chunks."""
    path = tmp_path / "store"
    with opened(path) as store:
        seed = store.put(SEED)
        for data, times, tier in ((SMALL, 2, Tier.PENUMBRA), (LARGE, 70, Tier.UMBRA)):
            cid = store.put_stream(io.BytesIO(data))
            store.set_root(f"root/{times}", cid)
            store.demote(cid, put_recipe(store, seed, times=times), tier)
    return path


READS: list[Callable[[LocalStore, Cid], bytes]] = [
    lambda store, cid: store.get(cid),
    lambda store, cid: bytes(store.view(cid)),
    lambda store, cid: b"".join(store.get_stream(cid)),
    lambda store, cid: store.read(cid, 0, 1 << 30),
    lambda store, cid: store.get_many([cid])[0],
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("read_only", [True, False])
def test_every_door_gives_what_was_demoted(
    path: Path, read: Callable[[LocalStore, Cid], bytes], index: bool, read_only: bool
) -> None:
    if not index:
        remove_index(path)
    with opened(path, read_only=read_only) as store:
        for data in (SMALL, LARGE):
            cid = Cid.of(data)
            assert read(store, cid) == data
            assert store.size(cid) == len(data)
            assert store.has(cid)
            assert store.tier(cid) is not Tier.ILLUMINATED
        assert toy_of(store).rebuilt == [SMALL_CID, LARGE_CID]
        assert store.read(LARGE_CID, len(SEED) - 1, 2) == SEED[-1:] + SEED[:1]
        assert store.read(LARGE_CID, len(LARGE) - 1, 9) == LARGE[-1:]
        assert store.read(LARGE_CID, len(LARGE) + 1, 9) == b""
        assert {len(part) for part in store.get_stream(LARGE_CID)} == {
            CHUNK_BYTES,
            len(LARGE) % CHUNK_BYTES,
        }
        many = store.get_many([LARGE_CID, Cid.of(SEED), SMALL_CID])
        assert many == [LARGE, SEED, SMALL]


def test_knowing_about_a_demoted_object_rebuilds_nothing(path: Path) -> None:
    with opened(path) as store:
        assert (store.size(SMALL_CID), store.size(LARGE_CID)) == (len(SMALL), len(LARGE))
        assert (store.tier(SMALL_CID), store.tier(LARGE_CID)) == (Tier.PENUMBRA, Tier.UMBRA)
        assert store.tier(Cid.of(SEED)) is Tier.ILLUMINATED
        with store.batch():
            assert store.tier(store.put(b"held back")) is Tier.ILLUMINATED
        assert store.verify().ok
        assert store.repair().lost == ()
        store.gc(grace_s=0)
        assert toy_of(store).rebuilt == []
        assert store.get(LARGE_CID) == LARGE
        with pytest.raises(MissingObjectError):
            store.tier(Cid.of(b"never put"))


@pytest.mark.parametrize("read", READS)
def test_without_a_rebuild_a_demoted_object_is_known_and_not_read(
    path: Path, read: Callable[[LocalStore, Cid], bytes]
) -> None:
    with LocalStore(path) as store:
        assert store.has(SMALL_CID)
        with pytest.raises(UnavailableError, match=rf"{SMALL_CID} .* through a Redoxa home"):
            read(store, SMALL_CID)
        assert read(store, Cid.of(SEED)) == SEED
        store.gc(grace_s=0)
        assert store.verify().ok
        assert "opened without" in store.verify(rebuild=True).notes[0]
    with opened(path) as store:
        assert read(store, SMALL_CID) == SMALL


def test_demoting_gives_the_room_back(path: Path) -> None:
    with opened(path) as store:
        books = store.books()
        assert books.penumbra[:3] == (1, len(SMALL), 192)
        assert books.umbra[:3] == (1, len(LARGE), 192)
        assert books.umbra.debt_s > 0
        assert store.stat().disk_bytes > len(LARGE)
        store.gc(grace_s=0)
        assert store.stat().disk_bytes < len(LARGE) // 2
        after = store.books()
        assert after[1:] == books[1:]
        assert after.illuminated[:2] == (3, len(SEED) + sum(map(store.size, recipes(store))))


def recipes(store: LocalStore) -> list[Cid]:
    return [put_recipe(store, Cid.of(SEED), times=times) for times in (2, 70)]


def test_putting_the_bytes_again_or_promoting_makes_it_whole(path: Path) -> None:
    with opened(path) as store:
        store.gc(grace_s=0)
        debts = store.books()[1:]
        assert store.promote(LARGE_CID)
        assert not store.promote(LARGE_CID)
        assert store.put(SMALL) == SMALL_CID
        assert store.books()[1:] == (Account(), Account())
        assert toy_of(store).rebuilt == [LARGE_CID]
        assert (store.get(LARGE_CID), store.get(SMALL_CID)) == (LARGE, SMALL)
        for times, cid, tier in ((2, SMALL_CID, Tier.PENUMBRA), (70, LARGE_CID, Tier.UMBRA)):
            store.demote(cid, put_recipe(store, Cid.of(SEED), times=times), tier)
        assert [account[:3] for account in store.books()[1:]] == [debt[:3] for debt in debts]
        store.put_stream(io.BytesIO(LARGE))
        assert store.tier(LARGE_CID) is Tier.ILLUMINATED
    remove_index(path)
    with LocalStore(path) as store:
        assert store.get(LARGE_CID) == LARGE
        assert store.tier(SMALL_CID) is Tier.PENUMBRA
        assert store.verify().ok


def test_an_object_moves_between_penumbra_and_umbra(path: Path) -> None:
    with opened(path) as store:
        other = put_recipe(store, *store.put_many([SMALL[:1], SMALL[1:]]))
        assert store.demote(SMALL_CID, other, Tier.UMBRA).size == len(SMALL)
        assert store.books().penumbra == Account()
        assert store.books().umbra.objects == 2
        store.gc(grace_s=0)
        assert store.get(SMALL_CID) == SMALL


# What is refused


def refused(store: LocalStore, cid: Cid, recipe: Cid, match: str) -> None:
    before = store.books()
    with pytest.raises(InputError, match=match):
        store.demote(cid, recipe, Tier.UMBRA)
    assert store.books() == before


def test_what_cannot_be_rebuilt_stays(tmp_path: Path) -> None:
    with opened(tmp_path / "store") as store:
        one, two = store.put(b"one"), store.put(b"oneone")
        refused(store, two, put_recipe(store, one, times=1), r"3 bytes that were rebuilt hash to")
        refused(store, two, put_recipe(store, one, times=3), r"longer than its 6 bytes")
        refused(store, two, put_recipe(store, two), "needs the object itself")
        refused(store, two, put_recipe(store, Cid.of(b"no")), "which recipe .* needs, is not in")
        refused(store, two, Cid.of(b"no", Codec.NODE), "is not in the store")
        refused(store, Cid.of(b"no"), put_recipe(store, one), "is not in the store")
        refused(store, two, one, "names raw bytes, not a recipe")
        refused(store, two, store.put(encode([1]), Codec.NODE), "no recipe of version 1")
        recipe = put_recipe(store, one, times=2)
        with pytest.raises(UsageError, match="promote it instead"):
            store.demote(two, recipe, Tier.ILLUMINATED)
        with store.batch(), pytest.raises(UsageError, match="not demoted inside a batch"):
            store.demote(two, recipe, Tier.UMBRA)
        assert store.tier(two) is Tier.ILLUMINATED
        assert not store.promote(two)
    with LocalStore(tmp_path / "store") as store, pytest.raises(UnavailableError):
        store.demote(two, recipe, Tier.UMBRA)
    with opened(tmp_path / "store", read_only=True) as store, pytest.raises(UsageError):
        store.demote(two, recipe, Tier.UMBRA)


def test_a_recipe_stays_whole(tmp_path: Path) -> None:
    with opened(tmp_path / "store") as store:
        recipe = put_recipe(store, store.put(b"one"))
        data = store.get(recipe)
        parts = store.put_many([data[:9], data[9:]])
        refused(store, recipe, put_recipe(store, *parts), "it is a recipe")


def test_a_rebuild_reads_what_its_recipe_lists_and_nothing_else(tmp_path: Path) -> None:
    with opened(tmp_path / "store") as store:
        one, other, both = store.put_many([b"one", b"other", b"oneone"])
        recipe = put_recipe(store, one, times=2)
        for secret in (other, both):
            for read in READS:

                def rebuild(
                    cid: Cid,
                    recipe: Cid,
                    out: Writable,
                    at: Cid = secret,
                    read: Callable[[LocalStore, Cid], bytes] = read,
                ) -> None:
                    out.write(read(store, at))

                store._reader.rebuilder._rebuild = rebuild
                refused(store, both, recipe, "does not list it|to rebuild itself")


def test_objects_are_not_demoted_from_one_another(tmp_path: Path) -> None:
    with opened(tmp_path / "store") as store:
        one, two = store.put(b"abc"), store.put(b"cba")
        back, forth = (put_recipe(store, cid, how="backwards") for cid in (two, one))
        store.demote(one, back, Tier.UMBRA)
        refused(store, two, forth, "would be needed to rebuild itself")
        store.set_root("one", one)
        store.gc(grace_s=0)
    with opened(tmp_path / "store") as store:
        assert store.get(one) == b"abc"


def test_an_old_pack_gets_no_such_record(tmp_path: Path) -> None:
    with opened(tmp_path / "store") as store:
        one, two = store.put(b"one"), store.put(b"oneone")
        recipe = put_recipe(store, one, times=2)
    header = bytearray(pack_of(tmp_path / "store").read_bytes()[:64])
    header[7] = 2
    header[60:] = struct.pack("<I", zlib.crc32(header[:60]))
    with pack_of(tmp_path / "store").open("r+b") as file:
        file.write(header)
    with opened(tmp_path / "store") as store:
        store.demote(two, recipe, Tier.UMBRA)
        assert store.stat().packs == 2
        assert store.get(two) == b"oneone"
    for number, count in ((1, 0), (2, 1)):
        data = pack_of(tmp_path / "store", number).read_bytes()
        assert data.count(RECORD_MAGIC + b"\5") == count
