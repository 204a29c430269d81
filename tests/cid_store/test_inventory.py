"""What the store tells of each object: what it takes, and what else relies on it."""

import io
from pathlib import Path

import pytest

from cid_store.chunks import CHUNK_BYTES
from cid_store.cid import Cid, Codec
from cid_store.encoding import encode
from cid_store.errors import MissingObjectError
from cid_store.inventory import Entry, demotion_bytes, stream_bytes
from cid_store.local import LocalStore
from cid_store.tiers import Tier
from tests.cid_store.rebuilder import opened, put_recipe
from tests.cid_store.test_store import random_bytes

SEED = random_bytes(5000)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return opened(tmp_path / "store")


def told(store: LocalStore, least: int = 0, *live: Cid) -> dict[Cid, Entry]:
    return {entry.cid: entry for entry in store.inventory(least, live=live)}


@pytest.mark.parametrize("size", [0, 1, 64, 65, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_what_a_stream_takes_is_known_before_it_is_put(store: LocalStore, size: int) -> None:
    cid = store.put_stream(io.BytesIO(random_bytes(size)))
    books = store.books()
    assert store.entry(cid).stored_bytes == stream_bytes(size) == books.total.stored_bytes
    assert store.entry(cid).size_bytes == size


def test_what_a_demotion_takes_is_known_before_it_is_done(store: LocalStore) -> None:
    seed, cid = store.put(SEED), store.put(SEED * 2)
    before = store.books()
    recipe = put_recipe(store, seed, times=2)
    done = store.demote(cid, recipe, Tier.UMBRA)
    taken = demotion_bytes(cid, done.size, done.cost_s, store.get(recipe))
    after = store.books()
    whole = stream_bytes(len(SEED * 2))
    assert after.total.stored_bytes - before.total.stored_bytes == taken - whole
    entry = store.entry(cid)
    assert (entry.tier, entry.size_bytes) == (Tier.UMBRA, len(SEED * 2))
    assert entry.stored_bytes == after.umbra.stored_bytes
    assert entry.cost_s == pytest.approx(done.cost_s, abs=1e-6)


def test_what_relies_on_an_object_is_said(store: LocalStore) -> None:
    large = store.put_stream(io.BytesIO(SEED * 700))
    seed, twice, loose = store.put(SEED), store.put(SEED * 2), store.put(SEED * 3)
    store.demote(twice, put_recipe(store, seed, times=2), Tier.PENUMBRA)
    store.set_root("large", large)
    store.set_root("twice", twice)
    node = store.put(encode([loose]), Codec.NODE)
    entries = told(store)
    assert twice not in entries
    assert node not in entries
    chunks = {cid for cid, entry in entries.items() if entry.is_chunk}
    assert len(chunks) == 4
    assert sum(entries[cid].size_bytes for cid in chunks) == entries[large].size_bytes
    assert {cid for cid, entry in entries.items() if entry.is_ingredient} == {seed}
    assert {cid for cid, entry in entries.items() if not entry.is_needed} == {loose}
    assert told(store, 0, node)[loose].is_needed
    assert set(told(store, len(SEED) + 1)) == {large, loose, *chunks}


def test_what_is_not_there_has_no_entry(store: LocalStore) -> None:
    with pytest.raises(MissingObjectError):
        store.entry(Cid.of(b"never put"))
