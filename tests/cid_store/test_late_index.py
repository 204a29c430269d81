"""An index that is written late answers as one that is written at once."""

import inspect
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cid_store.folder import Place, Tail
from cid_store.index import Index, IndexDamagedError, PackEnd
from cid_store.late import LateIndex
from tests.cid_store.conftest import CIDS

QUESTIONS: list[Callable[[Index], object]] = [
    lambda index: index.places(CIDS),
    lambda index: index.root("late"),
    lambda index: index.roots(""),
    lambda index: index.last_pack(),
    lambda index: index.whole(0),
    lambda index: (index.books(), index.books([1]), index.books([2])),
]
ASKED = {"places", "root", "roots", "last_pack", "whole", "books"}  # above
NO_QUESTIONS = {
    "apply", "drop", "adopt", "repoint", "close", "copy",  # change it; below
    "check", "upgrade", "seal", "open", "create",  # before it is in force
}  # fmt: skip


def late_index(path: Path) -> LateIndex:
    """An index of which one object, two roots and an end wait to be written."""
    index = LateIndex.create(path)
    index.apply([(CIDS[0], Place.whole(1, 64, 1))], {"old": CIDS[0], "gone": CIDS[0]}, end(192))
    index.apply_late(
        [(CIDS[1], Place.whole(1, 192, 1))],
        {"late": CIDS[1], "gone": None},
        start=Tail(1, 192),
        end=Tail(1, 320),
    )
    return index


def end(at: int) -> PackEnd:
    return PackEnd(1, b"i" * 16, at)


def test_an_index_that_waits_answers_as_one_that_is_written(tmp_path: Path) -> None:
    """Every question there is, so that a new one is not forgotten."""
    names = {name for name, _ in inspect.getmembers(Index, inspect.isfunction) if name[0] != "_"}
    plain = [name for name in names - NO_QUESTIONS if not parameters(name)]
    assert names - NO_QUESTIONS <= ASKED | set(plain), "ask it above"
    asked: list[Callable[[Any], object]] = [
        *QUESTIONS,
        *(lambda index, name=name: ready(getattr(index, name)()) for name in plain),
    ]
    for at, question in enumerate(asked):
        index, written = late_index(tmp_path / f"{at}"), late_index(tmp_path / f"{at}w")
        written.write()
        assert question(index) == question(written)
        for each in (index, written):
            each.close()


def parameters(name: str) -> list[str]:
    return list(inspect.signature(getattr(Index, name)).parameters)[1:]


def ready(answer: object) -> object:
    return list(answer) if inspect.isgenerator(answer) else answer


CHANGES: list[Callable[[Index], None]] = [
    lambda index: index.apply([(CIDS[1], Place.whole(1, 320, 1))], {"late": None}, end(448)),
    lambda index: index.repoint(CIDS[1], Place.whole(1, 64, 9)),
    lambda index: index.drop([1]),
    lambda index: index.adopt([(CIDS[1], Place.whole(2, 64, 1))], PackEnd(2, b"j" * 16, 128)),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_waits_is_written_before_what_comes_later(
    tmp_path: Path, change: Callable[[Index], None]
) -> None:
    index, written = late_index(tmp_path / "index"), late_index(tmp_path / "written")
    written.write()
    change(index)
    change(written)
    for question in QUESTIONS:
        assert question(index) == question(written)
    index.close()
    written.close()


@pytest.mark.parametrize(
    ("known", "taken"),
    [
        (end(192), True),
        (end(320), True),  # another process learnt it from the packs
        (end(448), False),  # and wrote more
        (end(128), False),  # another index, of the past
        (PackEnd(2, b"j" * 16, 64), False),  # and began a pack
        (PackEnd(1, b"k" * 16, 192), False),
    ],
)
def test_what_others_learnt_meanwhile_stands(tmp_path: Path, known: PackEnd, taken: bool) -> None:
    path = tmp_path / "index"
    index = late_index(path)
    other = Index.open(path)
    other.drop([1])
    other.apply([], {}, known)
    assert index.last_pack() == (end(320) if taken else known)
    assert index.is_late is taken
    other.close()
    index.close()

    index = late_index(tmp_path / "again")
    other = Index.open(tmp_path / "again")
    other.drop([1])
    other.apply([], {}, known)
    index.write()
    assert (CIDS[1] in other.places([CIDS[1]])) is taken
    assert other.last_pack() == (end(320) if taken else known)
    other.close()
    index.close()


def test_a_snapshot_is_of_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though another thread appends between writing what waits and looking."""
    index = late_index(tmp_path / "index")
    real = LateIndex.write
    ends = {"start": Tail(1, 320), "end": Tail(1, 448)}
    other = threading.Thread(target=index.apply_late, args=([], {"new": CIDS[0]}), kwargs=ends)

    def write_and_append(self: LateIndex) -> None:
        real(self)
        monkeypatch.undo()
        other.start()
        other.join(0.05)  # it may have to wait for the snapshot

    monkeypatch.setattr(LateIndex, "write", write_and_append)
    packs, roots = index.snapshot()
    other.join()
    assert ("new" in roots) is (packs[-1].end == 448)
    assert index.root("new") == CIDS[0]
    index.close()


@pytest.mark.parametrize("start", [Tail(1, 128), Tail(1, 448), Tail(2, 320)])
def test_an_index_that_knows_another_end_learns_nothing_late(tmp_path: Path, start: Tail) -> None:
    index = late_index(tmp_path / "index")
    with pytest.raises(IndexDamagedError):
        index.apply_late([], {}, start=start, end=start._replace(end=start.end + 64))
    index.close()
