"""Steps of a prior, written into the ledger and taken back from there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cid_store.encoding import decode, encode
from ring2_orchestrator.ce1.laws.reseed import point_of, reseed
from ring2_orchestrator.ce1.reseeding import Reseeding

WEIGHTS = st.lists(st.floats(0.001, 1), min_size=4, max_size=4)


def belief(weights: list[float]) -> list[float]:
    return [weight / sum(weights) for weight in weights]


@given(WEIGHTS, WEIGHTS, st.floats(0, 1))
def test_a_step_comes_back_from_its_record_and_is_undone_exactly(
    before: list[float], after: list[float], share: float
) -> None:
    was = point_of(belief(before))
    now, step = reseed(was, belief(after), share)
    noted = Reseeding(7, was, now, step)
    read = Reseeding.of_node(decode(encode(noted.as_node())))
    assert read == noted
    assert read is not None
    assert read.undone == was


@pytest.mark.slow
def test_ten_thousand_steps_are_undone_exactly_from_what_the_ledger_holds() -> None:
    lot = np.random.default_rng(2)
    first = prior = point_of([0.25] * 4)
    trail: list[bytes] = []
    beliefs = lot.dirichlet([0.5] * 4, size=10_000).tolist()
    for number, (aim, share) in enumerate(zip(beliefs, lot.random(10_000).tolist(), strict=True)):
        now, step = reseed(prior, aim, share)
        trail.append(encode(Reseeding(number, prior, now, step).as_node()))
        prior = now
    for entry in reversed(trail):
        step_back = Reseeding.of_node(decode(entry))
        assert step_back is not None
        # From where we stand and the turn alone, without what the entry says it came from.
        assert step_back.now == prior
        prior = step_back.undone
        assert step_back.was == prior
    assert prior == first


def test_what_is_no_step_is_none() -> None:
    was = point_of([0.25] * 4)
    node = Reseeding(7, was, *reseed(was, [0.7, 0.1, 0.1, 0.1], 0.5)).as_node()
    for wrong in (None, {}, {**node, "to": [1, 2, 3]}, {**node, "left": ["a"] * 4}):
        assert Reseeding.of_node(wrong) is None  # pyright: ignore[reportArgumentType]
