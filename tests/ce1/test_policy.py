"""What is decided by lot is decided again from its record; what is clearly better is taken."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cid_store.encoding import decode, encode
from ring2_orchestrator.ce1 import policy
from ring2_orchestrator.ce1.action import Facts, choose
from ring2_orchestrator.ce1.belief import Belief
from ring2_orchestrator.ce1.estimate import estimate
from ring2_orchestrator.ce1.history import History
from ring2_orchestrator.ce1.policy import Decision, Question, replays

MakeHistory = Callable[..., History]
SECONDS = st.floats(1e-4, 1e4)
ROWS = st.dictionaries(st.sampled_from(policy.KINDS), st.tuples(*[SECONDS] * 4), min_size=1)
BELIEFS = st.lists(st.floats(0.01, 1), min_size=4, max_size=4).map(
    lambda weights: Belief(*(weight / math.fsum(weights) for weight in weights))
)
QUESTIONS = st.builds(Question, st.text(max_size=5), st.booleans(), st.none(), st.integers(0, 9))


@given(QUESTIONS, BELIEFS, ROWS)
def test_a_decision_is_made_again_from_its_record(
    question: Question, belief: Belief, rows: policy.Rows
) -> None:
    decision = Decision.of(question, belief, rows, assumed=False)
    recorded = decode(encode(decision.as_node()))
    assert replays(recorded)
    assert decision.drawn.action in rows
    assert abs(math.fsum(decision.drawn.weights.values()) - 1) < 1e-12


@given(QUESTIONS, BELIEFS, ROWS)
def test_what_is_better_by_four_milliseconds_is_always_taken(
    question: Question, belief: Belief, rows: policy.Rows
) -> None:
    decision = Decision.of(question, belief, rows, assumed=False)
    for name in rows:
        by = decision.beats_by(name)
        assert by is not None
        assert by > -40 * policy.TEMPERATURE_S


def test_what_costs_the_same_goes_either_way() -> None:
    rows = {"K2": policy.to_check(1.0), "K4": policy.to_check(1.0)}
    belief = Belief(0.0, 1.0, 0.0, 0.0)
    drawn = [
        Decision.of(Question("s", entries=at), belief, rows, assumed=False).drawn.action
        for at in range(400)
    ]
    assert 150 < drawn.count("K2") < 250


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("action", "K5"),
        ("seed", "b"),
        ("belief", {"reused": 1.0, "ran": 0.0, "failed": 0.0, "drifted": 0.0}),
        ("seconds_by_outcome", {"K2": "nothing"}),
        ("question", {"subject": "other", "entries": 0, "newest": ""}),
        ("weights", None),
    ],
)
def test_a_record_that_was_changed_does_not_replay(
    history: MakeHistory, key: str, value: object
) -> None:
    recorded = decide(history("ran failed"), reuse=False).as_node()
    assert replays(decode(encode(recorded)))
    assert not replays({**decode(encode(recorded)), key: value})  # pyright: ignore[reportGeneralTypeIssues, reportArgumentType]
    assert not replays(None)


def decide(past: History, *, reuse: bool, failure: float | None = None) -> Decision:
    executed = [run.wall_s for run in past.executed]
    return choose(Facts(reuse, "", past, estimate(executed), estimate([0.1]), failure)).decision


def test_seconds_follow_the_learned_probability_of_failure(history: MakeHistory) -> None:
    past = history("ran failed drifted")
    [rarely, often] = [decide(past, reuse=False, failure=each) for each in (0.05, 0.6)]
    for decision in (rarely, often):
        assert decision.drawn.action == "K3"
        assert decision.belief.failed in (0.05, 0.6)
        assert decision.drawn.seconds["K1"] == decision.drawn.seconds["K5"] == math.inf
    assert 0 < (rarely.beats_by("K2") or 0) < (often.beats_by("K2") or 0)
    # 5 % of failures, each 30 s until seen and a second run of 2 s, which may fail again.
    assert rarely.drawn.seconds["K2"] == pytest.approx(2 + 0.05 * 32 / 0.95)


def test_a_drift_weighs_more_than_the_seconds_that_reuse_saves(history: MakeHistory) -> None:
    decision = decide(history("ran drifted ran reused"), reuse=True)
    assert decision.drawn.action == "K5"
    assert (decision.beats_by("K1") or 0) > 2
    assert decide(history("ran ran reused"), reuse=True).drawn.action == "K1"


def test_before_any_run_a_second_stands_for_what_is_not_known() -> None:
    decision = decide(History(()), reuse=False)
    assert (decision.drawn.action, decision.assumed) == ("K2", True)
    assert decision.drawn.weights == {"K1": 0, "K2": 1, "K3": 0, "K4": 0, "K5": 0}
