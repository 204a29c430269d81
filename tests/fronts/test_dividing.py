"""Parts put together: runs are all of the file, groups are all runs, and both are few."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring0.plan import Dtype
from ring2_orchestrator.container import BytesSource
from ring2_orchestrator.fronts import Gathered, Kind, Layout, Part, groups_of, recognise, runs_of
from tests.fronts.files import numbers, tar, tensors

FLOATS, WORDS = Kind(Dtype.F32), Kind(Dtype.U16, (8,))
KINDS = [None, FLOATS, Kind(Dtype.F32, (16,)), WORDS, Kind(Dtype.U16, (8,), big_endian=True)]


def layout(*parts: tuple[int, Kind | None]) -> Layout:
    made: list[Part] = []
    at = 0
    for size, kind in parts:
        made.append(Part(f"part {at}", at, size, kind))
        at += size
    return Layout("made up", tuple(made))


SIZES = st.sampled_from([1, 7, 40, 5_000, 70_000, 3_000_000])


@given(st.lists(st.tuples(SIZES, st.sampled_from(KINDS)), min_size=1, max_size=60))
def test_runs_are_all_of_the_file_and_groups_all_of_the_runs(
    parts: list[tuple[int, Kind | None]],
) -> None:
    whole = layout(*parts)
    runs = runs_of(whole)
    assert [run.begin for run in runs] == [0, *(run.end for run in runs[:-1])]
    assert runs[-1].end == whole.parts[-1].end
    groups = groups_of(runs)
    assert sorted(run.begin for group in groups for run in group.runs) == [r.begin for r in runs]
    assert len(groups) <= 16


def test_hundreds_of_small_tensors_are_one_run() -> None:
    given = {f"layer {at}": numbers(50 + at % 3, "<f4") for at in range(300)}
    found = recognise(BytesSource(tensors(given)))
    assert found is not None
    assert len(found.parts) == 301
    assert len(runs_of(found)) <= 2


def test_a_small_tensor_goes_with_its_large_neighbour() -> None:
    runs = runs_of(layout((900, None), (70_000, Kind(Dtype.F32, (16,))), (600, FLOATS)))
    assert [(run.size, run.kind) for run in runs] == [(900, None), (70_600, Kind(Dtype.F32, (16,)))]


def test_padding_makes_no_run() -> None:
    runs = runs_of(layout((70_000, WORDS), (2, None), (80_000, FLOATS), (1, None)))
    assert [run.size for run in runs] == [70_002, 80_001]


def test_runs_of_one_kind_are_one_group_wherever_they_are() -> None:
    runs = runs_of(layout((70_000, WORDS), (80_000, FLOATS), (90_000, WORDS)))
    groups = groups_of(runs)
    assert [(group.kind, group.size) for group in groups] == [(WORDS, 160_000), (FLOATS, 80_000)]


def test_of_very_many_kinds_few_are_told_apart() -> None:
    parts = [(70_000, Kind(Dtype.F32, (at + 2,))) for at in range(40)]
    groups = groups_of(runs_of(layout(*parts)))
    assert len(groups) == 8
    assert groups[0].kind == FLOATS, "what lies at no distance that all of them have"


def test_more_runs_than_a_container_has_room_for_are_no_groups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = runs_of(layout(*[(70_000, WORDS), (70_000, FLOATS)] * 4))
    monkeypatch.setattr("ring2_orchestrator.fronts.dividing.MAX_SEGMENTS", 8)
    assert len(groups_of(runs)) == 2
    monkeypatch.setattr("ring2_orchestrator.fronts.dividing.MAX_SEGMENTS", 7)
    assert groups_of(runs) == []


@given(st.integers(0, 40_000), st.integers(0, 40_000))
def test_a_group_is_read_as_if_its_runs_were_one(offset: int, size: int) -> None:
    data = bytes(at * 7 % 251 for at in range(30_000))
    runs = runs_of(layout((9_000, WORDS), (10_000, FLOATS), (11_000, WORDS)))
    (words,) = (group for group in groups_of(runs) if group.kind == WORDS)
    gathered = Gathered(BytesSource(data), words)
    both = data[:9_000] + data[19_000:]
    assert gathered.size == len(both)
    assert gathered.read(offset, size) == both[offset : offset + size]


def test_small_members_of_an_archive_are_one_run() -> None:
    found = recognise(BytesSource(tar(**{f"m{at}__txt": b"text" * 90 for at in range(99)})))
    assert found is not None
    assert len(runs_of(found)) == 1
