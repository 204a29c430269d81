"""What millions of objects must not cost: nothing is held for all of them that need not be."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from cid_store.cid import Cid
from cid_store.folder import Place
from cid_store.index import Index
from cid_store.local import LocalStore


def test_what_a_collection_starts_from_is_looked_up_a_part_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = 0
    taken_at_look: list[int] = []
    look = Index.places

    def watched(index: Index, cids: Sequence[Cid]) -> dict[Cid, Place]:
        taken_at_look.append(taken)
        return look(index, cids)

    with LocalStore(tmp_path / "store") as store:
        cids = store.put_many(b"%d" % number for number in range(1000))

        def live() -> Iterator[Cid]:
            nonlocal taken
            for cid in cids:
                taken += 1
                yield cid

        monkeypatch.setattr(Index, "places", watched)
        assert store.gc(live=live, dry_run=True).kept == 1000
    assert taken_at_look[0] < 300


def test_an_examination_takes_what_the_index_says_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = 0
    taken_at_look: list[int] = []
    tell = Index.rows

    def watched(index: Index) -> Iterator[tuple[Cid, Place]]:
        nonlocal taken
        for row in tell(index):
            taken += 1
            yield row

    monkeypatch.setattr(Index, "rows", watched)
    with LocalStore(tmp_path / "store") as store:
        store.put_many(b"%d" % number for number in range(1000))
        assert store.verify(lambda _: taken_at_look.append(taken)).objects == 1000
    assert taken_at_look == [*range(2, 1001), 1000]
