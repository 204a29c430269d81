"""List scheduling: what may never happen, and what is near the best order there is."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from ring2_orchestrator.steering.schedule import (
    Slot,
    lower_bound,
    makespan,
    simulate,
    urgency,
)

Tasks = tuple[list[set[int]], list[float]]


@st.composite
def tasks(draw: st.DrawFn, most: int = 12) -> Tasks:
    """Lengths, and for each task some earlier ones that it waits for."""
    count = draw(st.integers(1, most))
    seconds = draw(st.lists(st.integers(0, 40).map(float), min_size=count, max_size=count))
    before = [
        draw(st.sets(st.integers(0, at - 1), max_size=3)) if at else set[int]()
        for at in range(count)
    ]
    return before, seconds


@given(tasks(), st.integers(1, 4))
def test_each_runs_once_after_those_it_waits_for_and_never_too_many_at_a_time(
    some: Tasks, width: int
) -> None:
    before, seconds = some
    slots = simulate(before, seconds, urgency(before, seconds), width=width)
    assert sorted(slot.task for slot in slots) == list(range(len(seconds)))
    ends = {slot.task: slot.end_s for slot in slots}
    for slot in slots:
        assert slot.end_s - slot.begin_s == seconds[slot.task]
        assert all(ends[at] <= slot.begin_s for at in before[slot.task])
        assert _beside(slots, slot.begin_s) <= width


def _beside(slots: list[Slot], now: float) -> int:
    return sum(slot.begin_s <= now < slot.end_s for slot in slots)


@given(tasks(), st.integers(1, 4))
def test_no_order_is_below_the_bound_and_this_one_below_twice_as_much(
    some: Tasks, width: int
) -> None:
    before, seconds = some
    lasts = makespan(simulate(before, seconds, urgency(before, seconds), width=width))
    bound = lower_bound(before, seconds, width=width)
    assert bound <= lasts + 1e-9
    assert lasts <= (2 - 1 / width) * bound + 1e-9  # Graham's bound holds for every list


@given(st.lists(st.integers(1, 40).map(float), min_size=1, max_size=6))
def test_without_dependencies_it_is_within_a_sixth_of_the_best_order(seconds: list[float]) -> None:
    free: list[set[int]] = [set() for _ in seconds]
    lasts = makespan(simulate(free, seconds, urgency(free, seconds), width=2))
    best = min(
        makespan(simulate(free, seconds, ranks, width=2))
        for ranks in permutations(range(len(seconds)))
    )
    assert lasts <= 7 / 6 * best + 1e-9


def test_what_a_long_chain_begins_with_comes_before_what_is_longer_by_itself() -> None:
    assert urgency([set(), set(), {0}], [1, 3, 9]) == [10, 3, 9]


def test_what_never_ran_counts_as_long_as_the_longest() -> None:
    assert urgency([set(), set(), set()], [2.0, None, 5.0]) == [2.0, 5.0, 5.0]
    assert urgency([set(), set()], [None, None]) == [1.0, 1.0]


def test_where_nothing_is_known_the_order_of_the_names_is_kept() -> None:
    free: list[set[int]] = [set() for _ in range(5)]
    ranks = urgency(free, [None] * 5)
    assert [slot.task for slot in simulate(free, [1.0] * 5, ranks, width=2)] == [0, 1, 2, 3, 4]
