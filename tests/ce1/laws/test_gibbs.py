"""The policy is the one point of the simplex that minimises expected seconds less T x entropy."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ring2_orchestrator.ce1.laws import gibbs

ACTIONS: tuple[str, ...] = ("K1", "K2", "K3", "K4", "K5")
EXACT = 1e-12
COSTS = st.fixed_dictionaries({name: st.floats(0, 1e4) for name in ACTIONS})
TEMPERATURES = st.floats(1e-3, 1e3)


def free_energy(weights: gibbs.Weights, seconds: Mapping[str, float], temperature: float) -> float:
    """What the policy minimises: expected seconds less temperature times entropy."""
    taken = [(weight, seconds[action]) for action, weight in weights.items() if weight > 0]
    return math.fsum(w * (s + temperature * math.log(w)) for w, s in taken)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), temperature=TEMPERATURES)
def test_no_other_point_of_the_simplex_is_better(seed: int, temperature: float) -> None:
    lot = np.random.default_rng(seed)
    for others in lot.dirichlet([0.5] * 5, size=100).tolist():
        seconds = dict(zip(ACTIONS, (lot.random(5) * 10 * temperature).tolist(), strict=True))
        weights = gibbs.policy(seconds, temperature)
        assert abs(math.fsum(weights.values()) - 1) <= EXACT
        assert min(weights.values()) >= 0
        best = free_energy(weights, seconds, temperature)
        other = free_energy(dict(zip(ACTIONS, others, strict=True)), seconds, temperature)
        assert best <= other + EXACT * max(1, abs(other))


@given(COSTS)
def test_a_sure_answer_at_temperature_zero(seconds: dict[str, float]) -> None:
    weights = gibbs.policy(seconds, 0)
    sure = [name for name, weight in weights.items() if weight == 1]
    assert len(sure) == 1
    assert seconds[sure[0]] == min(seconds.values())
    assert gibbs.draw(seconds, 0, b"any").action == sure[0]


@given(COSTS, st.floats(0, 1e3), st.binary(max_size=40))
def test_a_draw_is_made_again_from_its_record(
    seconds: dict[str, float], temperature: float, seed: bytes
) -> None:
    once = gibbs.draw(seconds, temperature, seed)
    assert gibbs.replayed(once) == once
    turned = dict(reversed(seconds.items()))
    if temperature:
        assert gibbs.draw(turned, temperature, seed).action == once.action


def test_draws_come_as_often_as_their_weights_say() -> None:
    seconds = {"K1": 1.0, "K2": 2.0, "K3": math.inf}
    weights = gibbs.policy(seconds, 1.0)
    assert weights["K3"] == 0
    drawn = [gibbs.draw(seconds, 1.0, str(n).encode()).action for n in range(4000)]
    assert abs(drawn.count("K1") / 4000 - weights["K1"]) < 0.03
    assert "K3" not in drawn


def test_expected_seconds_weigh_outcomes_by_belief() -> None:
    found = gibbs.expected_seconds({"K1": (0.1, 2.0, 3.0, 3.0)}, (0.5, 0.5, 0.0, 0.0))
    assert found == {"K1": 1.05}
