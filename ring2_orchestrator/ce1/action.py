"""The next best action among K1 to K5: what it does, what it should cost, why it was chosen.

Recorded facts say which are possible, as stated in the rationale; of these, the lot of `policy`
takes the one that should cost least. Expected seconds are shown where the history gives them and
are None where it does not.
"""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

from cid_store.encoding import NodeLike
from ring2_orchestrator.ce1.belief import Belief
from ring2_orchestrator.ce1.estimate import Estimate
from ring2_orchestrator.ce1.history import History, PastRun
from ring2_orchestrator.ce1.outcome import Outcome
from ring2_orchestrator.ce1.policy import (
    UNKNOWN_REUSE_S,
    UNKNOWN_RUN_S,
    Decision,
    Question,
    Row,
    to_check,
    to_retry,
    to_reuse,
    to_run,
)

TITLES: Mapping[str, str] = {
    "K1": "reuse",
    "K2": "run",
    "K3": "retry with backoff",
    "K4": "run in parallel",
    "K5": "run again and compare",
}
LEFT = 0.1  # of flaky failures that may be left after all attempts
MOST_ATTEMPTS = 5
FIRST_PAUSE_S = 0.5  # before the second attempt; twice as long before each other
DRIFT_MEMORY = 5  # executions after which a drift no longer calls for a check
FLAKY_MEMORY = 20  # runs among which a failure that went away by itself counts


class Action(NamedTuple):
    """One thing to do, with everything needed to do it."""

    name: str
    rationale: str
    parameters: Mapping[str, NodeLike] = MappingProxyType({})
    expected_s: float | None = None

    @property
    def title(self) -> str:
        """The action in words."""
        return TITLES[self.name]

    def as_node(self) -> dict[str, NodeLike]:
        """The action as the ledger keeps it and as JSON says it."""
        return {
            "expected_s": self.expected_s,
            "name": self.name,
            "parameters": dict(self.parameters),
            "rationale": self.rationale,
            "title": self.title,
        }


class Alternative(NamedTuple):
    """An action that was not chosen, and why."""

    name: str
    expected_s: float | None
    why_not: str


class Plan(NamedTuple):
    """The chosen action, what plain running would cost, and what was turned down."""

    action: Action
    plain_s: float | None
    alternatives: tuple[Alternative, ...]
    decision: Decision

    @property
    def saving_s(self) -> float | None:
        """Seconds saved against plain running, where both are known; negative for a check."""
        if self.plain_s is None or self.action.expected_s is None:
            return None
        return self.plain_s - self.action.expected_s

    def worse_by_s(self, other: Alternative) -> float | None:
        """Seconds by which the chosen action beats another; None where one is not known."""
        if other.expected_s is None or self.action.expected_s is None:
            return None
        return other.expected_s - self.action.expected_s


class Facts(NamedTuple):
    """What the choice is made from: decided reuse, the history, and its estimates.

    `failure` and `drift` are probabilities that were learned; where nothing was, the history's.
    """

    reuse: bool
    reason: str
    history: History
    run_s: Estimate
    reuse_s: Estimate
    failure: float | None = None
    drift: float | None = None
    question: Question = Question()

    @property
    def belief(self) -> Belief:
        """How it will end, given what is decided. They sum to one."""
        if not self.reuse:
            return Belief(0.0, 1 - self.fails, self.fails, 0.0)
        # A drift that still counts says at least as much as its share of the executions does.
        drifts = recent_drifts(self.history)
        d = max(self.drift or 0.0, min(drifts / DRIFT_MEMORY, 1.0)) if drifts else 0.0
        return Belief(1 - d, 0.0, 0.0, d)

    @property
    def fails(self) -> float:
        """How likely an execution fails."""
        return self.history.failure_probability if self.failure is None else self.failure


def choose(facts: Facts) -> Plan:
    """The next best action for one command, and the ones it was preferred to."""
    options = {name: make(facts) for name, make in _OPTIONS.items()}
    decision = Decision.of(
        facts.question, facts.belief, _rows(facts), assumed=facts.run_s.value is None
    )
    chosen = decision.drawn.action
    action = options[chosen]
    others = tuple(
        Alternative(name, option.expected_s, _why_not(name, chosen, facts))
        for name, option in options.items()
        if name != chosen
    )
    return Plan(action, facts.run_s.value, others, decision)


def recent_drifts(history: History) -> int:
    """Drifts among the last executions: the command may not be determined by its inputs."""
    latest = history.executed[-DRIFT_MEMORY - 1 :]
    drifts = [
        now.outcome is Outcome.DRIFTED and not _healed(before, now)
        for before, now in pairwise(latest)
    ]
    if len(latest) <= DRIFT_MEMORY and latest:
        drifts.append(latest[0].outcome is Outcome.DRIFTED)
    return sum(drifts)


def self_healed_failures(history: History) -> int:
    """Failures followed by success on the very same inputs: the command is flaky."""
    executed = [run for run in history.runs[-FLAKY_MEMORY:] if run.executed]
    return sum(_healed(before, after) for before, after in pairwise(executed))


def _healed(before: PastRun, after: PastRun) -> bool:
    # The same inputs with another exit code are recorded as a drift.
    drifted = after.outcome is Outcome.DRIFTED
    return before.exit_code != 0 and drifted and after.exit_code == 0


def _rows(facts: Facts) -> dict[str, Row]:
    """What is possible, and its seconds by outcome."""
    run_s = UNKNOWN_RUN_S if facts.run_s.value is None else facts.run_s.value
    reuse_s = UNKNOWN_REUSE_S if facts.reuse_s.value is None else facts.reuse_s.value
    if facts.reuse:
        rows = {"K1": to_reuse(run_s, reuse_s)}
        return {**rows, "K5": to_check(run_s)} if recent_drifts(facts.history) else rows
    rows = {"K2": to_run(run_s, facts.fails)}
    if self_healed_failures(facts.history):
        rows["K3"] = to_retry(run_s, facts.fails, _backoff(facts))
    return rows


def _reuse(facts: Facts) -> Action:
    return Action(
        "K1",
        f"every recorded input is unchanged, so the recorded result is served ({facts.reason})",
        {"reuse": True},
        facts.reuse_s.value,
    )


def _run(facts: Facts) -> Action:
    return Action(
        "K2",
        f"it must run: {facts.reason}",
        {"prefetch": bool(facts.history.runs), "reuse": True},
        facts.run_s.value,
    )


def attempts_for(failure: float) -> int:
    """How many attempts leave one failure in ten or less, if each fails with that probability."""
    needed = math.ceil(math.log(LEFT) / math.log(failure)) if 0 < failure < 1 else MOST_ATTEMPTS
    return min(max(needed, 2), MOST_ATTEMPTS)


def _backoff(facts: Facts) -> list[float]:
    attempts = attempts_for(facts.history.failure_probability)
    return [FIRST_PAUSE_S * 2**at for at in range(attempts - 1)]


def _retry(facts: Facts) -> Action:
    healed = self_healed_failures(facts.history)
    times = "failure" if healed == 1 else "failures"
    return Action(
        "K3",
        f"it must run ({facts.reason}), and {healed} {times} among its last {FLAKY_MEMORY} runs "
        "went away on the very same inputs",
        {
            "attempts": len(_backoff(facts)) + 1,
            "backoff_s": list[NodeLike](_backoff(facts)),
            "prefetch": True,
            "reuse": True,
        },
        _retry_seconds(facts),
    )


def _retry_seconds(facts: Facts) -> float | None:
    if facts.run_s.value is None:
        return None
    fails = facts.history.failure_probability
    waits = [0.0, *_backoff(facts)]
    return sum(fails**at * (wait + facts.run_s.value) for at, wait in enumerate(waits))


def _again(facts: Facts) -> Action:
    drifts = recent_drifts(facts.history)
    times = "execution" if drifts == 1 else "executions"
    return Action(
        "K5",
        f"{drifts} of its last {DRIFT_MEMORY} {times} gave other outputs for the same inputs, so "
        "the recorded result is checked by running once more",
        {"reuse": False},
        facts.run_s.value,
    )


def _beside(facts: Facts) -> Action:
    del facts
    return Action("K4", "several targets run at once, the longest first")


_OPTIONS: Mapping[str, Callable[[Facts], Action]] = {
    "K1": _reuse,
    "K2": _run,
    "K3": _retry,
    "K4": _beside,
    "K5": _again,
}


def _why_not(name: str, chosen: str, facts: Facts) -> str:
    if name == "K4":
        return "one target has nothing to run beside"
    if name == "K1":
        drifted = "outputs drifted lately, so a recorded result is checked first"
        return drifted if facts.reuse else f"not possible: {facts.reason}"
    if facts.reuse:
        return "not needed: nothing it depends on changed"
    if name == "K5":
        return "nothing to compare with: it must run anyway"
    if name == "K3":
        return "no failure of it ever went away by itself"
    assert (name, chosen) == ("K2", "K3"), "every other pair is answered above"
    return "a single attempt may meet the flaky failure seen before"
