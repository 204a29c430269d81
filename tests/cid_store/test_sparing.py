"""Garbage that is not worth collecting stays readable: what it is read from stays with it."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from cid_store.chunks import CHUNK_BYTES
from cid_store.cid import Cid
from cid_store.errors import MissingObjectError
from cid_store.local import LocalStore
from cid_store.tiers import Tier
from tests.cid_store.collecting import age
from tests.cid_store.conftest import begin_pack
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
