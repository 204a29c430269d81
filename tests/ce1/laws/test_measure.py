"""I1 to I3, I5: measuring keeps energy, undoes itself, and reversing time turns signs.

Each property is tried on 100 examples of 100 random states.
"""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ring2_orchestrator.ce1.laws import kravchuk, mellin

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(1, 16)
STATES = 100
EXACT = 1e-12


def states(seed: int, size: int) -> list[list[float]]:
    """Random points of the sphere, a few of them on an axis."""
    lot = np.random.default_rng(seed)
    found = lot.normal(size=(STATES, size))
    found[0] = np.eye(size)[seed % size]
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).tolist()


def energy(values: Sequence[complex]) -> float:
    return math.fsum(abs(value) ** 2 for value in values)


def off(a: Sequence[complex], b: Sequence[complex]) -> float:
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("size", [1, 2, 3, 8, 16, 33, 64])
def test_the_kravchuk_matrix_is_symmetric_and_its_own_inverse(size: int) -> None:
    k = np.array(kravchuk.matrix(size))
    assert np.abs(k - k.T).max() <= EXACT
    assert np.abs(k @ k - np.eye(size)).max() <= EXACT


def test_the_smallest_matrices_are_those_of_the_books() -> None:
    root = math.sqrt(0.5)
    assert kravchuk.matrix(1) == ((1.0,),)
    assert off([*kravchuk.matrix(2)[0]], [root, root]) <= EXACT
    assert off([*kravchuk.matrix(3)[1]], [root, 0.0, -root]) <= EXACT


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, size=SIZES)
def test_i1_i2_measuring_keeps_energy_and_undoes_itself(seed: int, size: int) -> None:
    for psi in states(seed, size):
        measured = kravchuk.transform(psi)
        assert abs(energy(measured) - 1) <= EXACT
        assert off(kravchuk.transform(measured), psi) <= EXACT


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, size=SIZES)
def test_i3_reversing_time_turns_every_other_sign(seed: int, size: int) -> None:
    for psi in states(seed, size):
        coordinates = kravchuk.transform(psi)
        turned = [-value if k % 2 else value for k, value in enumerate(coordinates)]
        assert off(kravchuk.transform(kravchuk.mirror(psi)), turned) <= EXACT


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, size=SIZES)
def test_i5_the_symmetry_of_a_state_is_real_and_read_off_its_coordinates(
    seed: int, size: int
) -> None:
    for psi in states(seed, size):
        found = kravchuk.symmetry(psi)
        assert isinstance(found, float)
        assert abs(found) <= 1 + EXACT
        even_less_odd = math.fsum(
            (-1) ** k * value**2 for k, value in enumerate(kravchuk.transform(psi))
        )
        assert abs(found - even_less_odd) <= EXACT


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, size=st.integers(1, 8), steps=st.integers(-30, 30))
def test_the_mellin_transform_is_unitary_and_stretching_time_only_turns_phases(
    seed: int, size: int, steps: int
) -> None:
    turns = mellin.phases(size, steps)
    assert all(abs(abs(turn) - 1) <= EXACT for turn in turns)
    for psi in states(seed, size):
        measured = mellin.transform(psi)
        assert abs(energy(measured) - 1) <= EXACT
        assert off(mellin.inverse(measured), psi) <= EXACT
        turned = [value * turn for value, turn in zip(measured, turns, strict=True)]
        assert off(mellin.transform(mellin.stretched(psi, steps)), turned) <= EXACT


@given(st.integers(1, 300))
def test_every_lag_lies_in_one_span(lags: int) -> None:
    assert [lag for span in mellin.spans(lags) for lag in span] == list(range(lags))


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6))
def test_regrouping_keeps_the_energy_of_what_is_constant_within_spans(values: list[float]) -> None:
    lags = 2 ** len(values) - 1
    series = [value for value, span in zip(values, mellin.spans(lags), strict=True) for _ in span]
    assert math.isclose(energy(mellin.regroup(series)), energy(series), abs_tol=EXACT)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40))
def test_regrouping_never_adds_energy(values: list[float]) -> None:
    assert energy(mellin.regroup(values)) <= energy(values) * (1 + EXACT) + EXACT
