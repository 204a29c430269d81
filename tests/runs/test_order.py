"""The order of scripts, told from what they read and write."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ring2_orchestrator.runs.marks import Marks
from ring2_orchestrator.runs.order import Order, order_of

NAMES = [b"/p/a", b"/p/b", b"/q/c", b"/q/d", b"/q/e"]


def marks(reads: str = "", writes: str = "", lists: str = "") -> Marks:
    """Paths by their letters; `lists` names folders."""
    paths = {name[-1:].decode(): name for name in NAMES} | {"p": b"/p", "q": b"/q"}
    return Marks(*(frozenset(paths[at] for at in each) for each in (reads, lists, writes)))


def runs_in_order(order: Order) -> list[int]:
    """Who runs when, one at a time, the first that may."""
    done: list[int] = []
    while len(done) < len(order.before):
        done.append(
            next(
                at for at in range(len(order.before))
                if at not in done and order.before[at] <= set(done)
            )
        )  # fmt: skip
    return done


def test_who_reads_waits_for_who_writes() -> None:
    order = order_of([marks(reads="b", writes="c"), marks(reads="a", writes="b"), marks("c")])
    assert runs_in_order(order) == [1, 0, 2]
    assert order.needs[0] == {1: b"/p/b"}
    assert order.cycles == ()


def test_who_lists_a_folder_waits_for_who_writes_there_but_no_cycle_is_made_of_it() -> None:
    assert runs_in_order(order_of([marks(lists="q"), marks(writes="c")])) == [1, 0]
    each_other = [marks(lists="q", writes="c"), marks(lists="q", writes="d")]
    order = order_of(each_other)
    assert order.cycles == ()
    assert len(runs_in_order(order)) == 2
    needing = order_of([marks(lists="q", writes="a"), marks(reads="a", writes="c")])
    assert runs_in_order(needing) == [0, 1], "what is read says more than what is listed"
    assert needing.needs[0] == {}, "a listing is no need"


def test_of_two_who_write_the_same_the_later_has_the_last_word() -> None:
    order = order_of([marks(writes="ac"), marks(writes="a"), marks(writes="c")])
    assert order.shared == ((0, 1, b"/p/a"), (0, 2, b"/q/c"))
    assert order.before == (frozenset(), frozenset({0}), frozenset({0}))
    assert order.needs == ({}, {}, {})


def test_a_cycle_is_told_and_broken_in_the_given_order() -> None:
    order = order_of([
        marks(reads="b", writes="a"), marks(reads="a", writes="b"), marks(reads="a", writes="c"),
    ])  # fmt: skip
    assert order.cycles == ((0, 1),)
    assert runs_in_order(order) == [0, 1, 2]


def test_of_whom_nothing_is_known_nobody_waits() -> None:
    assert order_of([None, marks(reads="a"), None]).before == (frozenset(),) * 3


some = st.builds(
    Marks,
    st.frozensets(st.sampled_from(NAMES)),
    st.frozensets(st.sampled_from([b"/p", b"/q"])),
    st.frozensets(st.sampled_from(NAMES), max_size=2),
)


@settings(deadline=None)
@given(st.lists(st.none() | some, max_size=6))
def test_the_order_can_always_be_followed_and_follows_what_is_read(
    known: list[Marks | None],
) -> None:
    order = order_of(known)
    assert sorted(runs_in_order(order)) == list(range(len(known)))
    together = {at: cycle for cycle in order.cycles for at in cycle}
    for later, one in enumerate(known):
        for earlier, other in enumerate(known):
            if one is None or other is None or later == earlier or not one.reads & other.writes:
                continue
            if earlier in together.get(later, ()):
                assert (earlier in order.before[later]) == (earlier < later)
            else:
                assert earlier in order.needs[later]
                assert earlier in order.before[later]
