"""What a demoted object rests on is damaged or cannot be made: it is named; nothing reads wrong."""

from pathlib import Path

import pytest

from cid_store.cid import Cid
from cid_store.demotion import Demotion, encode_demotion
from cid_store.errors import CorruptObjectError, RedoxaError, UnavailableError
from cid_store.nodes import put_node
from cid_store.pack import Kind, Record
from cid_store.tiers import Tier, Writable
from tests.cid_store.conftest import pack_of, place_of, remove_index
from tests.cid_store.rebuilder import opened, put_recipe, toy_of
from tests.cid_store.test_tiers_kept import MANY, MANY_CID, ONE, ONE_CID, damage, ladder, path

__all__ = ["path"]  # the fixture


def test_a_damaged_record_gives_way_to_a_whole_copy(path: Path) -> None:
    with opened(path) as store:
        store.put(b"a later append")
        place = place_of(store, MANY_CID)
    for at in range(place.payload, place.payload + place.length, 7):
        damage(path, at)
        with opened(path) as store:
            assert store.get(MANY_CID) == MANY
            assert not store.verify().ok or store.tier(MANY_CID) is Tier.ILLUMINATED
        damage(path, at)  # and back
        remove_index(path)


def test_a_damaged_record_alone_is_said_and_put_again(path: Path) -> None:
    with opened(path) as store:
        store.gc(grace_s=0)
        store.put(b"a later append")
        place = place_of(store, MANY_CID)
    with pack_of(path, place.pack).open("r+b") as file:
        file.seek(place.payload + 40)
        file.write(b"\xff")
    for index in (True, False):
        if not index:
            remove_index(path)
        with opened(path) as store:
            with pytest.raises(CorruptObjectError, match=r"what rebuilds it is named at offset"):
                store.get(MANY_CID)
            if not index:
                with pytest.raises(CorruptObjectError):
                    store.size(MANY_CID)
            assert MANY_CID in store.repair().lost
            report = store.gc(grace_s=0)
            assert "nothing is dropped" in report.notes[0]
    with opened(path) as store:
        store.put(MANY)
        assert store.get(MANY_CID) == MANY


def test_a_record_holds_for_its_own_object_alone(path: Path) -> None:
    """What a liar writes: a record of another object, a recipe that is none, a circle."""
    with opened(path) as store:
        demotion = store._reader.demotion(MANY_CID)
        assert demotion is not None
        other = store.put(b"another")
        keeper = store._keeper
        for payload in (
            encode_demotion(MANY_CID, demotion),
            encode_demotion(other, demotion._replace(recipe=MANY_CID)),
            encode_demotion(other, demotion)[:-1],
        ):
            with keeper.exclusive():
                keeper.append(keeper.followed(), [Record(Kind.UMBRA, other, payload)], {})
            assert store.get(other) == b"another"  # the copy that still stands
        forged = Demotion(7, 0, put_recipe(store, other), ())
        with keeper.exclusive():
            record = Record(Kind.UMBRA, other, encode_demotion(other, forged))
            keeper.append(keeper.followed(), [record], {})
        assert store.get(other) == b"another"
        assert any("leads back to it" in sentence for sentence in store.verify().damage)
        store.set_root("other", other)
        assert "nothing is dropped" in store.gc(grace_s=0).notes[0]


def test_a_rebuild_that_fails_is_no_damage_where_the_machine_is_at_fault(path: Path) -> None:
    def unavailable(cid: Cid, recipe: Cid, out: Writable) -> None:
        raise UnavailableError("this machine has no engine")

    def wrong(cid: Cid, recipe: Cid, out: Writable) -> None:
        out.write(b"wrong")

    def short(cid: Cid, recipe: Cid, out: Writable) -> None:
        pass

    with opened(path) as store:
        store.gc(grace_s=0)
        rebuilder = store._reader.rebuilder
        rebuilder._rebuild = unavailable
        with pytest.raises(UnavailableError, match="cannot be rebuilt now: this machine has no"):
            store.get(MANY_CID)
        report = store.verify(rebuild=True)
        assert report.ok
        assert report.untried == (MANY_CID,)
        assert "this machine has no engine" in report.notes[0]
        for failing in (wrong, short):
            rebuilder._rebuild = failing
            with pytest.raises(CorruptObjectError, match=r"cannot be rebuilt: the \d bytes that"):
                b"".join(store.get_stream(MANY_CID))
            assert store.verify().ok
            report = store.verify(rebuild=True)
            assert not report.ok
            assert report.lost == (MANY_CID,)


@pytest.mark.parametrize("kind", [CorruptObjectError, UnavailableError])
def test_of_a_row_of_rebuilds_the_first_that_fails_is_named(
    tmp_path: Path, kind: type[RedoxaError]
) -> None:
    with opened(tmp_path / "store") as store:
        cids = ladder(store, 12)
        toy = toy_of(store)

        def failing(cid: Cid, recipe: Cid, out: Writable) -> None:
            if cid == cids[4]:
                raise kind("the kernel is gone")
            toy(cid, recipe, out)

        store._reader.rebuilder._rebuild = failing
        now = " now" if kind is UnavailableError else ""
        fact = f"object {cids[4]} cannot be rebuilt{now}: the kernel is gone"
        for at, said in ((4, fact), (5, fact), (12, fact)):
            prefix = f"object {cids[at]} cannot be rebuilt{now}: " if at > 4 else ""
            with pytest.raises(kind) as raised:
                store.get(cids[at])
            assert str(raised.value) == prefix + said


def test_what_rests_on_something_lost_is_lost_with_it(path: Path) -> None:
    with opened(path) as store:
        store.gc(grace_s=0)
        top = put_node(store, [MANY_CID])
        store.set_root("top", top)
        at = pack_of(path, place_of(store, ONE_CID).pack)
    data = bytearray(at.read_bytes())
    data[data.index(ONE)] ^= 1
    at.write_bytes(data)
    with opened(path) as store:
        done = store.repair(derives=lambda name, _cid: f"make {name} again")
        assert set(done.lost) == {ONE_CID, MANY_CID}
        assert {(root.name, root.lost) for root in done.roots} == {
            ("many", MANY_CID),
            ("top", MANY_CID),
        }
        fact = f"object {MANY_CID} cannot be rebuilt: {ONE_CID} is damaged or missing;"
        assert [fact in sentence for sentence in done.found.damage].count(True) == 1
        store.put(ONE)
        assert store.get(MANY_CID) == MANY
        assert store.repair().lost == ()
