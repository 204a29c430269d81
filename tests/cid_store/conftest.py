"""A small store on disk, and what the tests ask of it."""

import contextlib
from pathlib import Path

import pytest

from cid_store.cid import Cid
from cid_store.errors import DamageError
from cid_store.folder import Place
from cid_store.local import LocalStore

BLOBS = [b"%d " % at * (at * 7 + 1) for at in range(40)]
CIDS = [Cid.of(blob) for blob in BLOBS]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of forty objects, three roots and one pack, closed."""
    path = tmp_path / "store"
    fill(path)
    return path


def fill(path: Path) -> None:
    with LocalStore(path) as store:
        store.put_many(BLOBS)
        with store.batch():
            for at in (0, 1, 2):
                store.set_root(f"root/{at}", CIDS[at])


def pack_of(path: Path, number: int = 1) -> Path:
    return path / "packs" / f"{number:08d}.pack"


def begin_pack(store: LocalStore) -> None:
    """What is put from here on lies in a new pack."""
    with store._keeper.exclusive():
        store._keeper.begin_pack()


def place_of(store: LocalStore, cid: Cid) -> Place:
    """Where the store reads it."""
    place = store._keeper.find(cid)
    assert place is not None
    return place


def check_whole(store: LocalStore) -> None:
    assert [store.get(cid) for cid in CIDS] == BLOBS
    assert [bytes(store.view(cid)) for cid in CIDS] == BLOBS
    assert dict(store.roots()) == {f"root/{at}": CIDS[at] for at in (0, 1, 2)}
    report = store.verify()
    assert report.damage == ()
    assert (report.objects, report.roots) == (len(BLOBS), 3)


def read_what_is_there(store: LocalStore) -> int:
    """Read everything: the right bytes or a sentence about damage. How many were right."""
    right = 0
    for cid, blob in zip(CIDS, BLOBS, strict=True):
        with contextlib.suppress(DamageError):
            assert store.get(cid) == blob
            right += 1
    return right


def remove_index(path: Path) -> None:
    for file in path.glob("index*"):
        file.unlink()


def check_whole_with(store: LocalStore, more: int) -> None:
    assert [store.get(cid) for cid in CIDS] == BLOBS
    report = store.verify()
    assert (report.damage, report.objects) == ((), len(BLOBS) + more)
