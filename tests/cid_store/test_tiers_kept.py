"""What a demoted object needs stays for as long as the object does; what is lost is named."""

import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from cid_store.cid import Cid, Codec
from cid_store.demotion import Demotion, encode_demotion
from cid_store.errors import CorruptObjectError, InputError, RedoxaError
from cid_store.local import LocalStore
from cid_store.nodes import get_node, put_node
from cid_store.pack import Kind, Record
from cid_store.tiers import Tier, Writable
from tests.cid_store.conftest import begin_pack, pack_of, remove_index
from tests.cid_store.rebuilder import opened, put_recipe, toy_of
from tests.cid_store.test_crash import CutDisk, PowerCut, lose_index_log
from tests.cid_store.test_processes import finish, start
from tests.cid_store.test_repair import spoil

ONE, MANY = b"the one that is needed", b"the one that is needed" * 50
ONE_CID, MANY_CID = Cid.of(ONE), Cid.of(MANY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with one demoted object, which alone is bound; its whole copy is still there."""
    path = tmp_path / "store"
    with opened(path) as store:
        recipe = put_recipe(store, store.put(ONE), times=50)
        store.set_root("many", store.put(MANY))
        store.demote(MANY_CID, recipe, Tier.PENUMBRA)
    return path


# Collecting


def test_what_a_demoted_object_needs_stays(path: Path) -> None:
    with opened(path) as store:
        store.put(b"not needed")
        report = store.gc(grace_s=0)
        assert report.dropped == 1
        assert store.books().total.objects == 3
        assert store.get(MANY_CID) == MANY
        store.set_root("many", None)
        store.gc(grace_s=0)
        assert store.books().total.objects == 0


def test_what_a_demoted_node_links_to_stays_and_nothing_is_rebuilt(tmp_path: Path) -> None:
    with opened(tmp_path / "store") as store:
        leaves = store.put_many([b"leaf", b"other leaf"])
        node = put_node(store, {"leaves": [leaves[0], [leaves[1]], leaves[0]]})
        data = store.get(node)
        odd = store.put(b"\xcc\x01", Codec.NODE)  # bytes that are no node link to nothing
        for cid in (node, odd):
            half = len(store.get(cid)) // 2
            parts = store.put_many([store.get(cid)[:half], store.get(cid)[half:]])
            store.demote(cid, put_recipe(store, *parts), Tier.UMBRA)
        store.set_root("top", put_node(store, [node, odd]))
        toy_of(store).rebuilt.clear()
        store.gc(grace_s=0)
        assert store.repair().lost == ()
        assert toy_of(store).rebuilt == []
        assert [store.get(leaf) for leaf in leaves] == [b"leaf", b"other leaf"]
        assert get_node(store, node) == {"leaves": [leaves[0], [leaves[1]], leaves[0]]}
        assert store.get(odd) == b"\xcc\x01"
        assert Cid.of(data, Codec.NODE) == node


def test_chains_of_demotions_stand_as_long_as_their_end_is_needed(tmp_path: Path) -> None:
    length = 30
    with opened(tmp_path / "store") as store:
        cids = store.put_many([b"x" * (at + 1) for at in range(length)])
        for at in range(1, length):
            recipe = put_recipe(store, cids[at - 1], cids[0]) if at > 1 else None
            recipe = recipe or put_recipe(store, cids[0], times=2)
            store.demote(cids[at], recipe, Tier.UMBRA)
        store.set_root("end", cids[-1])
        store.gc(grace_s=0)
        assert store.get(cids[-1]) == b"x" * length
        assert set(toy_of(store).rebuilt[-length + 1 :]) == set(cids[1:])
        with pytest.raises(InputError, match="would be needed to rebuild itself"):
            store.demote(cids[0], put_recipe(store, cids[5], how="backwards"), Tier.UMBRA)
        assert store.verify(rebuild=True).ok
        store.gc(grace_s=0)
        assert store.books().total.objects == 2 * length - 1


def ladder(store: LocalStore, steps: int) -> list[Cid]:
    """Objects each of which is rebuilt from the one before it, as if demoted from the top down."""
    texts = [b"x" * (at + 2) for at in range(steps + 1)]
    with store.batch():
        cids = store.put_many(texts)
        one = store.put(b"x")
        recipes = [put_recipe(store, below, one) for below in cids[:-1]]
        store.set_root("top", cids[-1])
    records = [
        Record(Kind.UMBRA, cid, encode_demotion(cid, Demotion(len(text), 1, recipe, ())))
        for cid, text, recipe in zip(cids[1:], texts[1:], recipes, strict=True)
    ]
    with store._keeper.exclusive():
        store._keeper.append(store._keeper.followed(), records, {})
    store.gc(grace_s=0)
    return cids


def test_an_object_is_read_however_many_rebuilds_that_takes(path: Path) -> None:
    steps = 500
    with opened(path) as store:
        cids = ladder(store, steps)
        toy_of(store).rebuilt.clear()
        assert store.get(cids[-1]) == b"x" * (steps + 2)
        assert sorted(toy_of(store).rebuilt) == sorted(cids[1:])
        assert b"".join(store.get_stream(cids[-1])) == store.read(cids[-1], 0, steps + 2)
        assert store.promote(cids[-1])


def test_where_the_ground_of_many_rebuilds_is_lost_the_last_of_them_says_so(path: Path) -> None:
    with opened(path) as store:
        cids = ladder(store, 20)
        pack = pack_of(path, 2)
        pack.write_bytes(pack.read_bytes().replace(b"xx" + bytes(62), b"xy" + bytes(62)))
        with pytest.raises(CorruptObjectError, match=f"object {cids[-1]} cannot be rebuilt"):
            store.get(cids[-1])
        store.put(b"xx")
        assert store.get(cids[-1]) == b"x" * 22


def test_what_several_rebuilds_need_is_rebuilt_once(path: Path) -> None:
    """Each object is made of the two before it: one by one that would take 6,764 rebuilds."""
    with opened(path) as store:
        texts = [b"y", b"z"]
        while len(texts) < 21:
            texts.append(texts[-2] + texts[-1])
        cids = store.put_many(texts)
        for at in range(20, 1, -1):
            store.demote(cids[at], put_recipe(store, cids[at - 2], cids[at - 1]), Tier.UMBRA)
        store.set_root("top", cids[-1])
        store.gc(grace_s=0)
        toy_of(store).rebuilt.clear()
        assert store.get(cids[-1]) == texts[-1]
        assert len(toy_of(store).rebuilt) <= 20


@pytest.mark.parametrize("lose", ["need", "recipe"])
@pytest.mark.parametrize("spoiled", [True, False])
def test_the_last_whole_copy_is_not_dropped(path: Path, lose: str, spoiled: bool) -> None:
    """While the recipe cannot rebuild the object, the bytes that were dropped are all there is."""
    with opened(path) as store:
        recipe = put_recipe(store, ONE_CID, times=50)
        lost = store.get(recipe) if lose == "recipe" else ONE
        if not spoiled:  # missing altogether: its header is damaged
            store.put(b"a later append")
    if lose == "need":
        at = pack_of(path).read_bytes().index(ONE) - (0 if spoiled else 64)
        damage(path, at)
    else:
        spoil(path, lost, header=not spoiled)
    remove_index(path)
    with opened(path) as store:
        assert store.tier(MANY_CID) is Tier.PENUMBRA
        for _ in range(2):
            assert "nothing is dropped" in store.gc(grace_s=0).notes[0]
            assert store.get(MANY_CID) == MANY  # from the copy that is left
        assert not store.verify().ok
        assert MANY_CID in store.verify().lost
        assert store.promote(MANY_CID)
        assert store.tier(MANY_CID) is Tier.ILLUMINATED
        store.gc(grace_s=0)
    with LocalStore(path) as store:
        assert store.get(MANY_CID) == MANY


def damage(path: Path, at: int) -> None:
    with pack_of(path).open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def test_what_is_demoted_while_garbage_is_collected_keeps_its_needs(tmp_path: Path) -> None:
    """The collector knew the object as whole, and what it is demoted to as garbage."""
    with opened(tmp_path / "store") as store, opened(tmp_path / "store") as other:
        recipe = put_recipe(store, store.put(ONE), times=50)
        begin_pack(store)
        store.set_root("many", store.put(MANY))
        looked_at: list[float] = []

        def progress(packs: float) -> None:
            if not looked_at:
                other.demote(MANY_CID, recipe, Tier.UMBRA)
            looked_at.append(packs)

        store.gc(grace_s=0, progress=progress)
        assert store.tier(MANY_CID) is Tier.UMBRA
        assert store.get(MANY_CID) == MANY
        store.gc(grace_s=0)
        assert store.get(MANY_CID) == MANY


# Others at work


def test_of_two_who_demote_objects_from_one_another_one_must_not(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with opened(path) as one, opened(path) as two:
        pair = one.put_many([b"abc", b"cba"])
        recipes = [put_recipe(one, cid, how="backwards") for cid in reversed(pair)]
        both_rebuilt = Barrier(2, timeout=30)
        sentences: list[str] = []

        def demote(store: LocalStore, at: int) -> bool:
            real = toy_of(store)

            def rebuild(cid: Cid, recipe: Cid, out: Writable) -> None:
                real(cid, recipe, out)
                both_rebuilt.wait()

            store._reader.rebuilder._rebuild = rebuild
            try:
                store.demote(pair[at], recipes[at], Tier.UMBRA)
            except InputError as error:
                sentences.append(str(error))
                return False
            finally:
                store._reader.rebuilder._rebuild = real
            return True

        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(demote, (one, two), (0, 1)))
        assert sorted(done) == [False, True]
        assert "is rebuilt from the object itself" in sentences[0]
        one.set_root("pair", put_node(one, pair))
        one.gc(grace_s=0)
        assert one.get_many(pair) == two.get_many(pair) == [b"abc", b"cba"]


DEMOTE = """
import sys
from cid_store.cid import Cid
from cid_store.errors import InputError
from cid_store.tiers import Tier
from tests.cid_store.rebuilder import opened, put_recipe
path, way = sys.argv[1], int(sys.argv[2])
with opened(path) as store:
    for at in range(25):
        pair = [b"%d and so on" % at, (b"%d and so on" % at)[::-1]][::way]
        cid, need = store.put_many(pair)
        try:
            store.demote(cid, put_recipe(store, need, how="backwards"), Tier.UMBRA)
        except InputError:
            pass
        assert [store.get(cid), store.get(need)] == pair
"""


@pytest.mark.slow
def test_processes_demote_one_anothers_needs(tmp_path: Path) -> None:
    path = tmp_path / "store"
    workers: list[subprocess.Popen[str]] = [start(DEMOTE, path, way) for way in (1, -1)]
    for worker in workers:
        finish(worker)
    data = [b"%d and so on" % at for at in range(25)]
    cids = [Cid.of(blob) for blob in data]
    others = [Cid.of(blob[::-1]) for blob in data]
    with opened(path) as store:
        for cid, other in zip(cids, others, strict=True):
            tiers = {store.tier(cid), store.tier(other)}
            assert Tier.ILLUMINATED in tiers
        for cid in cids + others:
            store.set_root(str(cid), cid)
        store.gc(grace_s=0)
        assert store.get_many(cids) == data
        assert store.get_many(others) == [blob[::-1] for blob in data]
        assert store.verify(rebuild=True).ok


# Crashes


STEPS: dict[str, Callable[[LocalStore, Cid], object]] = {
    "demote": lambda store, recipe: store.demote(MANY_CID, recipe, Tier.UMBRA),
    "promote": lambda store, _recipe: store.promote(MANY_CID),
    "collect": lambda store, _recipe: store.gc(grace_s=0),
}


@pytest.mark.slow
@pytest.mark.parametrize("index_is", ["kept", "older", "gone"])
@pytest.mark.parametrize("step", STEPS)
def test_a_power_cut_at_any_sync_leaves_one_tier_or_the_other(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str, index_is: str
) -> None:
    for cut_at in range(1, 20):
        now, after = path.parent / f"{cut_at}", path.parent / f"{cut_at} after"
        shutil.copytree(path, now)
        with opened(now) as store:
            recipe = put_recipe(store, ONE_CID, times=50)
            CutDisk(monkeypatch, cut_at, seed=cut_at)
            try:
                STEPS[step](store, recipe)
                ended = True
            except PowerCut:
                ended = False
                shutil.copytree(now, after)
            monkeypatch.undo()
        if ended:
            return
        if index_is != "kept":
            lose_index_log(after)
        if index_is == "gone":
            remove_index(after)
        with opened(after) as store:
            assert store.root("many") == MANY_CID
            assert store.get(MANY_CID) == MANY
            store.gc(grace_s=0)
            assert store.verify(rebuild=True).ok
            assert store.get(MANY_CID) == MANY
    pytest.fail("there is no end of syncs")


def test_an_unfinished_append_demotes_nothing(path: Path) -> None:
    """A record in the newest append counts only if the append is whole."""
    with opened(path) as store:
        store.promote(MANY_CID)
        recipe = put_recipe(store, ONE_CID, times=50)
        demotion = Demotion(len(MANY), 1, recipe, ())
        payload = encode_demotion(MANY_CID, demotion)
        keeper = store._keeper
        with keeper.exclusive():
            torn = b"torn" * 30
            records = [
                Record(Kind.OBJECT, Cid.of(torn), torn),
                Record(Kind.UMBRA, MANY_CID, payload),
            ]
            keeper.append(keeper.followed(), records, {})
    data = pack_of(path).read_bytes()
    damage(path, data.index(torn))
    remove_index(path)
    for read_only in (True, False):
        with LocalStore(path, read_only=read_only) as store:
            assert store.tier(MANY_CID) is Tier.ILLUMINATED
            assert store.get(MANY_CID) == MANY


def test_other_errors_of_a_rebuild_are_named_with_the_object(path: Path) -> None:
    def refuse(cid: Cid, recipe: Cid, out: Writable) -> None:
        raise RedoxaError("the kernel refused")

    with opened(path) as store:
        store.gc(grace_s=0)
        store._reader.rebuilder._rebuild = refuse
        with pytest.raises(CorruptObjectError, match=f"object {MANY_CID} cannot be rebuilt: the k"):
            store.view(MANY_CID)
