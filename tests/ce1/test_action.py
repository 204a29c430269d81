"""Which action is chosen, what it costs, and what is said of the others."""

from collections.abc import Callable

import pytest

from ring2_orchestrator.ce1.action import Facts, Plan, choose
from ring2_orchestrator.ce1.estimate import estimate
from ring2_orchestrator.ce1.history import History

MakeHistory = Callable[..., History]


def plan_for(history: History, *, reuse: bool) -> Plan:
    executed = [run.wall_s for run in history.executed]
    reused = [run.wall_s for run in history.runs if not run.executed]
    reason = "nothing changed" if reuse else "data.csv changed"
    return choose(Facts(reuse, reason, history, estimate(executed), estimate(reused)))


def test_what_is_unchanged_is_reused(history: MakeHistory) -> None:
    plan = plan_for(history("ran reused"), reuse=True)
    assert (plan.action.name, plan.action.title) == ("K1", "reuse")
    assert plan.saving_s == pytest.approx(1.9)
    assert plan.action.parameters == {"reuse": True}


def test_what_changed_is_run(history: MakeHistory) -> None:
    plan = plan_for(history("ran reused"), reuse=False)
    assert plan.action.name == "K2"
    assert "data.csv changed" in plan.action.rationale
    assert plan.saving_s == pytest.approx(0.0)
    reuse = next(other for other in plan.alternatives if other.name == "K1")
    assert reuse.why_not == "not possible: data.csv changed"


def test_the_first_run_knows_no_seconds() -> None:
    plan = plan_for(History(()), reuse=False)
    assert (plan.action.name, plan.action.expected_s, plan.saving_s) == ("K2", None, None)


def test_a_failure_that_went_away_by_itself_calls_for_retries(history: MakeHistory) -> None:
    # Success after failure on the same inputs is recorded as a drift with exit code 0.
    plan = plan_for(history("ran failed drifted"), reuse=False)
    assert plan.action.name == "K3"
    assert plan.action.parameters == {
        "attempts": 3,
        "backoff_s": [0.5, 1.0],
        "prefetch": True,
        "reuse": True,
    }
    assert plan.action.expected_s is not None
    assert plan.action.expected_s > 2.0


def test_a_failure_mended_by_a_change_does_not(history: MakeHistory) -> None:
    assert plan_for(history("ran failed ran"), reuse=False).action.name == "K2"


def test_a_failure_that_went_away_is_no_doubt_about_outputs(history: MakeHistory) -> None:
    assert plan_for(history("ran failed drifted"), reuse=True).action.name == "K1"


def test_a_drift_calls_for_a_check_of_what_could_be_reused(history: MakeHistory) -> None:
    plan = plan_for(history("ran drifted reused"), reuse=True)
    assert plan.action.name == "K5"
    assert plan.action.parameters == {"reuse": False}
    assert plan.saving_s == pytest.approx(0.0)
    old = plan_for(history("ran drifted ran ran ran ran ran reused"), reuse=True)
    assert old.action.name == "K1"


@pytest.mark.parametrize("reuse", [True, False])
@pytest.mark.parametrize("words", ["", "ran", "ran failed drifted", "drifted", "failed", "reused"])
def test_every_other_action_is_answered(history: MakeHistory, words: str, reuse: bool) -> None:
    plan = plan_for(history(words), reuse=reuse)
    names = [plan.action.name, *(other.name for other in plan.alternatives)]
    assert sorted(names) == ["K1", "K2", "K3", "K4", "K5"]
    assert all(other.why_not for other in plan.alternatives)
    assert plan.action.rationale
