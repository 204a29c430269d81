"""I4 and I2 of re-seeding: the norm is kept, and every step is undone bit for bit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ring2_orchestrator.ce1.laws import sphere
from ring2_orchestrator.ce1.laws.reseed import Step, belief_of, point_of, reseed, undo

SEEDS = st.integers(0, 2**32 - 1)
SHARES = st.floats(0, 1)
STATES = 100
EXACT = 1e-12


def beliefs(seed: int, count: int = STATES) -> list[list[float]]:
    """Random beliefs, the corners of the simplex among them."""
    lot = np.random.default_rng(seed)
    found = lot.dirichlet([0.5] * 4, size=count)
    found[0] = np.eye(4)[seed % 4]
    return found.tolist()


def norm(point: sphere.Grid) -> float:
    return math.sqrt(math.fsum(value**2 for value in sphere.off_grid(point)))


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, share=SHARES)
def test_i4_the_prior_stays_on_the_sphere_and_goes_its_share_of_the_way(
    seed: int, share: float
) -> None:
    prior = point_of(beliefs(seed + 1, 1)[0])
    for belief in beliefs(seed):
        goal = point_of(belief)
        before = sphere.angle(prior, goal)
        moved, step = reseed(prior, belief, share)
        assert abs(norm(moved) - 1) <= EXACT
        assert all(abs(norm(q) - 1) <= EXACT for q in step.turn)
        assert abs(sphere.angle(prior, moved) - share * before) <= EXACT
        assert abs(sphere.angle(moved, goal) - (1 - share) * before) <= EXACT
        assert abs(math.fsum(belief_of(moved)) - 1) <= EXACT
        assert undo(moved, step) == prior
        prior = moved


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_i2_ten_thousand_steps_are_undone_exactly_from_the_trail(seed: int) -> None:
    lot = np.random.default_rng(seed)
    first = prior = point_of([0.25] * 4)
    trail: list[Step] = []
    passed: list[sphere.Grid] = []
    for belief, share in zip(beliefs(seed, 10_000), lot.random(10_000).tolist(), strict=True):
        passed.append(prior)
        prior, step = reseed(prior, belief, share)
        trail.append(step)
    assert abs(norm(prior) - 1) <= EXACT
    for step, before in zip(reversed(trail), reversed(passed), strict=True):
        prior = undo(prior, step)
        assert prior == before
    assert prior == first
    assert max(abs(value) for step in trail for value in step.missed) <= 8


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, share=SHARES)
def test_a_geodesic_leaves_what_is_at_right_angles_to_it(seed: int, share: float) -> None:
    lot = np.random.default_rng(seed)
    for _ in range(STATES):
        q, _ = np.linalg.qr(lot.normal(size=(4, 4)))
        a, b, c, _ = (sphere.on_grid(row) for row in q.T.tolist())
        turned = sphere.geodesic(a, b, share).apply(c)
        assert max(abs(x - y) for x, y in zip(turned, c, strict=True)) <= EXACT * sphere.ONE


def test_a_step_goes_nowhere_between_opposite_points_and_to_where_it_is() -> None:
    a = sphere.on_grid([0.5, 0.5, 0.5, 0.5])
    b = sphere.on_grid([-0.5, -0.5, -0.5, -0.5])
    assert sphere.geodesic(a, b, 0.5).apply(a) == a
    assert sphere.geodesic(a, a, 0.5).apply(a) == a


def test_a_turn_gives_the_same_bits_on_every_machine() -> None:
    start = sphere.unit((3, 5, 7, 11))
    turn = sphere.Turn(sphere.unit((1, 2, 3, 4)), sphere.unit((9, -2, 6, 1)))
    assert start == STARTED
    assert turn.apply(start) == TURNED


STARTED = (988218432520154551, 1647030720866924251, 2305843009213693952, 3623467585907233353)
TURNED = (-3063486685567672019, 629776008531333272, 3298318417562406458, 779214383437073371)
