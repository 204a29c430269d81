"""How far the index knows the packs, and whether these are whole."""

from pathlib import Path

from cid_store import folder, recovery
from cid_store.cid import Cid
from cid_store.index import Index, PackEnd
from cid_store.local import LocalStore


def known_end(path: Path) -> PackEnd | None:
    """How far the index's file knows the packs."""
    index = Index.open(path / "index.sqlite", read_only=True)
    try:
        return index.last_pack()
    finally:
        index.close()


def check_words(store: LocalStore, words: list[str]) -> None:
    cids = [Cid.of(word.encode()) for word in words]
    assert all(store.has(cid) for cid in cids)
    assert [store.get(cid).decode() for cid in cids] == words
    assert [data.decode() for data in store.get_many(cids)] == words
    assert [bytes(store.view(cid)).decode() for cid in cids] == words
    assert [store.size(cid) for cid in cids] == [len(word) for word in words]


def check_whole_packs(path: Path, objects: int) -> None:
    packs = folder.PackFolder(path / "packs")
    pack = packs.pack(1)
    assert pack is not None
    found = recovery.survey(pack, 1, 64)
    assert len([head for head in found.sound if head.kind.is_object]) == objects
