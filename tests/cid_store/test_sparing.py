"""Garbage that is not worth collecting stays readable: what it is read from stays with it."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from cid_store.chunks import CHUNK_BYTES
from cid_store.cid import Cid
from cid_store.errors import MissingObjectError
from cid_store.local import LocalStore
from cid_store.pack import Kind, Record
from cid_store.tiers import Tier
from tests.cid_store.collecting import age
from tests.cid_store.conftest import begin_pack, remove_index
from tests.cid_store.rebuilder import opened, put_recipe
from tests.cid_store.test_store import random_bytes

PART = random_bytes(5000)
LARGE = random_bytes(CHUNK_BYTES + 77)


def demoted(store: LocalStore) -> Cid:
    """An object that is rebuilt from what lies in an earlier pack."""
    recipe = put_recipe(store, store.put(PART), times=40)
    begin_pack(store)
    cid = store.put(PART * 40)
    store.demote(cid, recipe, Tier.UMBRA)
    return cid


def in_chunks(store: LocalStore) -> Cid:
    """An object whose chunks lie in an earlier pack."""
    for at in (0, CHUNK_BYTES):
        store.put(LARGE[at : at + CHUNK_BYTES])
    begin_pack(store)
    return store.put_stream(io.BytesIO(LARGE))


@pytest.mark.parametrize("put", [demoted, in_chunks])
def test_what_is_spared_can_be_read(path: Path, put: Callable[[LocalStore], Cid]) -> None:
    with opened(path) as store:
        begin_pack(store)
        cid = put(store)
        data = store.get(cid)
        store.set_root("needed", store.put(b"needed" * len(data)))
        begin_pack(store)
        age(path)
        planned = store.gc(grace_s=3600, dry_run=True)
        report = store.gc(grace_s=3600)
        assert report._replace(forgotten=planned.forgotten) == planned
        assert report.packs
        assert report.spared > 0
        assert store.get(cid) == data
        assert store.verify(rebuild=True).damage == ()
        store.set_root("needed", None)
        store.gc(grace_s=0)
        with pytest.raises(MissingObjectError):
            store.get(cid)
        assert store.verify().damage == ()


def needed_beside(store: LocalStore, cid: Cid) -> None:
    """Most of the last pack is needed, so it stays; then a later one begins."""
    store.set_root("needed", store.put(b"needed" * store.size(cid)))
    begin_pack(store)


def promoted(store: LocalStore) -> Cid:
    """An object that was demoted, and is whole again in a later pack."""
    recipe, cid = put_recipe(store, store.put(PART), times=40), store.put(PART * 40)
    begin_pack(store)
    store.demote(cid, recipe, Tier.PENUMBRA)
    needed_beside(store, cid)
    assert store.promote(cid)
    return cid


def whole_again(store: LocalStore) -> Cid:
    """An object that is kept in chunks, and whole in a later pack."""
    cid = in_chunks(store)
    needed_beside(store, cid)
    keeper = store._keeper
    with keeper.exclusive():
        keeper.append(keeper.followed(), [Record(Kind.OBJECT, cid, LARGE)], {})
    return cid


@pytest.mark.parametrize("put", [promoted, whole_again])
@pytest.mark.parametrize("index_lasts", [True, False])
def test_an_older_record_that_stays_keeps_what_it_rests_on(
    path: Path, put: Callable[[LocalStore], Cid], *, index_lasts: bool
) -> None:
    """Who reads the packs anew finds it there, when the newer one has gone with its pack."""
    with opened(path) as store:
        begin_pack(store)
        cid = put(store)
        data = store.get(cid)
        begin_pack(store)
        age(path)
        assert store.gc(grace_s=3600).packs
        age(path)
        store.gc(grace_s=3600)  # now the index knows nothing of the object
        if index_lasts:
            assert store.verify(rebuild=True).damage == ()
    if not index_lasts:
        remove_index(path)
    with opened(path) as store:
        assert store.verify(rebuild=True).damage == ()
        assert store.get(cid) == data
        store.set_root("needed", None)
        store.gc(grace_s=0)
        assert not store.has(cid)
        assert store.verify().damage == ()
