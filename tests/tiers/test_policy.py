"""The policy's promises over all candidates: enough gain, best first, no more than is wanted."""

from random import Random  # noqa: TID251 - hypothesis hands it out

from hypothesis import given
from hypothesis import strategies as st

from cid_store.cid import Cid
from cid_store.tiers import Tier
from ring2_orchestrator.tiers.policy import Candidate, Option, Why, best, choose, ranked

OPTIONS = st.builds(
    Option,
    st.sampled_from([Tier.PENUMBRA, Tier.UMBRA]),
    st.integers(-10_000, 10_000_000),
    st.floats(0, 1000),
)
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        st.integers(0, 10_000).map(lambda number: Cid.of(str(number).encode())),
        st.integers(4096, 10_000_000),
        st.lists(OPTIONS, max_size=2).map(tuple),
    ),
    max_size=12,
    unique_by=lambda candidate: candidate.cid,
)
WANTED = st.none() | st.integers(0, 20_000_000)
GAIN = st.floats(0, 1e9)


@given(CANDIDATES, WANTED, GAIN)
def test_every_candidate_is_judged_once(
    candidates: list[Candidate], wanted: int | None, gain: float
) -> None:
    choices = list(choose(candidates, wanted_bytes=wanted, min_gain=gain))
    assert sorted(choice.candidate for choice in choices) == sorted(candidates)


@given(CANDIDATES, WANTED, GAIN)
def test_what_is_taken_gains_enough_and_saves_something(
    candidates: list[Candidate], wanted: int | None, gain: float
) -> None:
    for choice in choose(candidates, wanted_bytes=wanted, min_gain=gain):
        if choice.taken:
            assert choice.option is not None
            assert choice.option in choice.candidate.options
            assert choice.option.gain >= gain
            assert choice.option.saved_bytes > 0
        elif choice.why is Why.LOW_GAIN:
            assert all(option.gain < gain for option in choice.candidate.options)
        elif choice.why is Why.NO_WAY:
            assert all(option.saved_bytes <= 0 for option in choice.candidate.options)


@given(CANDIDATES, WANTED, GAIN)
def test_nothing_is_left_that_gains_more_than_what_is_taken(
    candidates: list[Candidate], wanted: int | None, gain: float
) -> None:
    choices = list(choose(candidates, wanted_bytes=wanted, min_gain=gain))
    taken = [choice.option.gain for choice in choices if choice.taken and choice.option]
    left = [choice.option.gain for choice in choices if choice.why is Why.ENOUGH and choice.option]
    assert not taken or not left or min(taken) >= max(left)
    assert taken == sorted(taken, reverse=True)


@given(CANDIDATES, WANTED, GAIN)
def test_it_stops_as_soon_as_enough_is_saved_and_not_before(
    candidates: list[Candidate], wanted: int | None, gain: float
) -> None:
    choices = list(choose(candidates, wanted_bytes=wanted, min_gain=gain))
    saved = [choice.option.saved_bytes for choice in choices if choice.taken and choice.option]
    if wanted is None or sum(saved) < wanted:
        assert not [choice for choice in choices if choice.why is Why.ENOUGH]
    else:
        assert sum(saved[:-1]) < wanted or not saved


@given(CANDIDATES, st.randoms(use_true_random=False))
def test_the_order_in_which_objects_are_found_does_not_count(
    candidates: list[Candidate], random: Random
) -> None:
    shuffled = [*candidates]
    random.shuffle(shuffled)
    assert ranked(shuffled) == ranked(candidates)


def test_of_two_ways_the_one_with_the_greater_gain_is_taken() -> None:
    slow = Option(Tier.UMBRA, 1_000_000, 2.0)
    quick = Option(Tier.PENUMBRA, 600_000, 0.01)
    assert best([slow, quick]) == quick
    assert best([slow, quick._replace(cost_s=2.0)]) == slow
    assert best([quick._replace(saved_bytes=-1)]) is None


def test_a_rebuild_that_took_no_time_is_no_division_by_zero() -> None:
    assert Option(Tier.UMBRA, 5000, 0.0).gain == 5e9
