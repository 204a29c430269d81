"""The laws of belief: probabilities, the sphere, its angles, and what confidence means."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring2_orchestrator.ce1.belief import (
    Angles,
    Belief,
    chance,
    forecast,
)
from ring2_orchestrator.ce1.outcome import Counts, Outcome

numbers = st.integers(0, 10**5)
counts = st.builds(Counts, numbers, numbers, numbers, numbers)
outcomes = st.lists(st.sampled_from(Outcome), max_size=60)
EPS = 1e-12


@given(counts)
def test_the_posterior_is_a_probability(seen: Counts) -> None:
    belief = Belief.after(seen)
    shares = [belief.at(outcome) for outcome in Outcome]
    assert abs(math.fsum(shares) - 1) < EPS
    assert all(0 < share < 1 for share in shares)


@given(counts)
def test_the_posterior_is_the_mean_of_jeffreys_dirichlet(seen: Counts) -> None:
    belief = Belief.after(seen)
    for outcome in Outcome:
        assert belief.at(outcome) == (seen.at(outcome) + 0.5) / (seen.total + 2)


@given(counts, st.sampled_from(Outcome))
def test_seeing_an_outcome_makes_it_likelier(seen: Counts, outcome: Outcome) -> None:
    before, after = Belief.after(seen), Belief.after(seen.with_one_more(outcome))
    assert after.at(outcome) > before.at(outcome)
    assert all(after.at(each) <= before.at(each) for each in Outcome if each is not outcome)


@given(counts)
def test_the_point_lies_on_the_unit_sphere_and_squares_to_the_posterior(seen: Counts) -> None:
    belief = Belief.after(seen)
    assert abs(math.fsum(psi * psi for psi in belief.point) - 1) < EPS
    for psi, outcome in zip(belief.point, Outcome, strict=True):
        assert abs(psi * psi - belief.at(outcome)) < EPS


@given(counts)
def test_angles_and_point_say_the_same(seen: Counts) -> None:
    point = Belief.after(seen).point
    angles = Angles.of(point)
    assert all(0 <= angle <= math.pi / 2 for angle in (angles.theta, angles.phi, angles.psi))
    for there, back in zip(point, angles.point, strict=True):
        assert abs(there - back) < EPS


halves = st.floats(0.01, math.pi - 0.01)


@given(halves, halves, st.floats(-math.pi + 0.01, math.pi))
def test_any_angles_come_back_from_their_point(theta: float, phi: float, psi: float) -> None:
    angles = Angles(theta, phi, psi)
    back = Angles.of(angles.point)
    assert abs(math.fsum(each * each for each in angles.point) - 1) < EPS
    assert math.isclose(back.theta, theta, abs_tol=1e-9)
    assert math.isclose(back.phi, phi, abs_tol=1e-9)
    assert math.isclose(back.psi, psi, abs_tol=1e-9)


def test_before_any_run_every_outcome_is_as_likely() -> None:
    belief = Belief.after(Counts())
    assert belief.point == (0.5, 0.5, 0.5, 0.5)
    angles = Angles.of(belief.point)
    assert angles.theta == pytest.approx(math.pi / 3, abs=EPS)
    assert angles.phi == pytest.approx(math.acos(1 / math.sqrt(3)), abs=EPS)
    assert angles.psi == pytest.approx(math.pi / 4, abs=EPS)


@given(outcomes)
def test_counts_count(seen: list[Outcome]) -> None:
    counted = Counts.of(seen)
    assert counted.total == len(seen)
    assert [counted.at(outcome) for outcome in Outcome] == [seen.count(each) for each in Outcome]


def test_a_chance_before_any_trial_is_one_half() -> None:
    assert chance(0, 0) == 0.5
    assert chance(0, 9) == 0.05
    assert chance(9, 9) == 0.95


def test_reuse_is_never_guessed() -> None:
    assert forecast(Counts(ran=5), reuse=True) is Outcome.REUSED
    assert forecast(Counts(reused=50), reuse=False) is Outcome.RAN
    assert forecast(Counts(ran=2, failed=3), reuse=False) is Outcome.FAILED
    assert forecast(Counts(ran=3, failed=3), reuse=False) is Outcome.RAN
