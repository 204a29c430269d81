"""The mixture's promise, whatever the experts say and whatever happens."""

import math

from hypothesis import given
from hypothesis import strategies as st

from ring2_orchestrator.ce1.learning.hedge import Hedge, clipped, loss

ROUNDS = st.integers(1, 5).flatmap(
    lambda experts: st.lists(
        st.tuples(st.lists(st.floats(0, 1), min_size=experts, max_size=experts), st.booleans()),
        min_size=1,
        max_size=60,
    )
)


@given(ROUNDS, st.booleans())
def test_it_never_loses_more_to_the_best_expert_than_it_says(
    rounds: list[tuple[list[float], bool]], favoured: bool
) -> None:
    count = len(rounds[0][0])
    hedge = Hedge(count, 0 if favoured else None)
    ours, theirs = 0.0, [0.0] * count
    for forecasts, happened in rounds:
        said = [clipped(p) for p in forecasts]
        ours += loss(hedge.mixed(said), happened)
        theirs = [lost + loss(p, happened) for lost, p in zip(theirs, said, strict=True)]
        hedge.learn([loss(p, happened) for p in said])
        assert ours <= min(theirs) + hedge.regret_bound + 1e-9
        assert math.isclose(math.fsum(hedge.weights), 1)


@given(ROUNDS)
def test_what_it_says_lies_among_what_they_say(rounds: list[tuple[list[float], bool]]) -> None:
    hedge = Hedge(len(rounds[0][0]))
    for forecasts, happened in rounds:
        said = [clipped(p) for p in forecasts]
        assert min(said) - 1e-12 <= hedge.mixed(said) <= max(said) + 1e-12
        hedge.learn([loss(p, happened) for p in said])


def test_the_bound_stays_small() -> None:
    hedge = Hedge(10)
    for _ in range(1000):
        hedge.learn([0.1] * 10)
    assert hedge.regret_bound < math.log(10) + 2


def test_an_expert_that_was_wrong_for_long_comes_back() -> None:
    hedge = Hedge(2)
    for _ in range(1000):
        hedge.learn([loss(0.05, happened=True), loss(0.95, happened=True)])
    assert hedge.weights[0] < 0.01
    for _ in range(5):
        hedge.learn([loss(0.05, happened=False), loss(0.95, happened=False)])
    assert hedge.weights[0] > 0.9
