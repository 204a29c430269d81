"""Regressions learned one by one come to what a whole batch would, and never break."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ring2_orchestrator.ce1.learning.logistic import Logistic, logit, sigmoid
from ring2_orchestrator.ce1.learning.ridge import Ridge

TRAITS = st.lists(st.floats(-20, 20), min_size=3, max_size=3)


def score(learned: Logistic, traits: list[float]) -> float:
    return math.fsum(m * t for m, t in zip(learned.mean, traits, strict=True))


@given(st.floats(-700, 700))
def test_odds_and_probabilities_are_the_same_thing(score: float) -> None:
    p = sigmoid(score)
    assert 0 <= p <= 1
    if abs(score) < 30:
        assert math.isclose(logit(p), score, rel_tol=1e-3, abs_tol=1e-9)


@given(st.lists(st.tuples(TRAITS, st.booleans()), max_size=20), TRAITS)
def test_any_observations_leave_a_probability_and_a_covariance(
    seen: list[tuple[list[float], bool]], asked: list[float]
) -> None:
    learned = Logistic([0.0] * 3, 1.0)
    for traits, happened in seen:
        before, held = learned.chance(traits), score(learned, traits)
        assert learned.learn(traits, happened) == before
        after = score(learned, traits)
        assert after >= held - 1e-9 if happened else after <= held + 1e-9
    assert 0 <= learned.chance(asked) <= 1
    assert np.linalg.eigvalsh(np.array(learned.covariance)).min() >= -1e-9


def test_it_finds_the_weights_that_made_the_data() -> None:
    lot = np.random.default_rng(1)
    true = np.array([-1.0, 2.0, 0.0])
    learned = Logistic([0.0] * 3, 4.0)
    for _ in range(3000):
        traits = [1.0, *lot.normal(size=2).tolist()]
        learned.learn(traits, bool(lot.random() < sigmoid(float(true @ traits))))
    assert np.abs(np.array(learned.mean) - true).max() < 0.3


def test_it_is_modest_where_it_saw_nothing() -> None:
    learned = Logistic([0.0, 0.0], 1.0)
    for _ in range(200):
        learned.learn([1.0, 0.0], happened=True)
    assert learned.chance([1.0, 0.0]) > 0.95
    assert 0.5 < learned.chance([0.0, 1.0]) + 0.001 < 0.55


@given(st.lists(st.tuples(TRAITS, st.floats(-5, 5)), max_size=60))
def test_the_linear_one_stays_finite(seen: list[tuple[list[float], float]]) -> None:
    learned = Ridge(3, 0.1)
    for traits, value in seen:
        learned.learn(traits, value)
    assert all(map(math.isfinite, learned.weights))


def test_the_linear_one_stays_finite_where_nothing_ever_happens() -> None:
    learned = Ridge(3, 0.1)
    for _ in range(5_000):
        learned.learn([1.0, 0.0, 0.0], 0.5)
    assert abs(learned.value([1.0, 0.0, 0.0]) - 0.5) < 0.01
    assert max(max(row) for row in learned.covariance) <= 101
