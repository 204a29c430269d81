"""One cycle of the loop: do the planned action, and record what was predicted and what came."""

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, cast

from cid_store.errors import RedoxaError
from ring2_orchestrator.ce1.outcome import Outcome

if TYPE_CHECKING:
    from cid_store.encoding import NodeLike
    from ring2_orchestrator.ce1.outlook import Outlook
    from ring2_orchestrator.ce1.reseeding import Reseeding
    from ring2_orchestrator.home import Home
    from ring2_orchestrator.runs.execute import RunResult

LEDGER_KIND = "jit"


class Cycle(NamedTuple):
    """What came of a plan. `runs` and `seq` are ledger entries: of the runs, and of the cycle.

    `reseeds` are the steps that the runs moved the command's prior by, oldest first.
    """

    outcome: Outcome
    exit_code: int
    attempts: int
    spent_s: float
    saved_s: float
    messages: tuple[str, ...]
    runs: tuple[int, ...]
    seq: int
    reseeds: "tuple[Reseeding, ...]" = ()


def run_cycle(
    before: "Outlook",
    home: "Home",
    *,
    sleep: Callable[[float], None],
    fetch: Callable[[], None] = lambda: None,
) -> Cycle:
    """Act as planned; when this returns, prediction, action and outcome are in the ledger.

    Where the plan says so, `fetch` is called before the first attempt and must not wait.
    """
    begun_ns = home.clock.monotonic_ns()
    if before.plan.action.parameters.get("prefetch") is True:
        fetch()
    results = _act(before, home, sleep)
    spent_s = (home.clock.monotonic_ns() - begun_ns) / 1e9
    last = results[-1]
    runs = tuple(result.seq for result in results if result.seq is not None)
    saved_s = sum(result.saved_s for result in results)
    reseeds = reseeds_of(home, runs)
    entry: dict[str, NodeLike] = {
        "action": before.plan.action.as_node(),
        "predicted": _prediction(before),
        "outcome": {
            "attempts": len(results),
            "exit_code": last.exit_code,
            "saved_s": saved_s,
            "spent_s": spent_s,
            "verdict": last.verdict,
        },
        "policy": before.plan.decision.as_node(),
        "reseeds": [each.as_node() for each in reseeds],
        "runs": list(runs),
    }
    receipt = home.ledger.append([entry], kind=LEDGER_KIND, subject=before.subject)
    return Cycle(
        outcome=Outcome(last.verdict),
        exit_code=last.exit_code,
        attempts=len(results),
        spent_s=spent_s,
        saved_s=saved_s,
        messages=tuple(result.message for result in results),
        runs=runs,
        seq=receipt.seq,
        reseeds=reseeds,
    )


def reseeds_of(home: "Home", runs: Collection[int]) -> "tuple[Reseeding, ...]":
    """Learn what is new in the ledger; the steps of the priors that these runs caused.

    Nothing of a run that somebody else learned meanwhile.
    """
    from ring2_orchestrator.ce1.kept import caught_up  # noqa: PLC0415 - most verbs run nothing

    # What was run is to be told whatever learning from it meets.
    with suppress(RedoxaError):
        learned = caught_up(home.path, home.ledger)
        return tuple(each for each in learned.reseeds if each.run in runs)
    return ()


def _act(before: "Outlook", home: "Home", sleep: Callable[[float], None]) -> "list[RunResult]":
    from ring2_orchestrator.runs.execute import execute  # noqa: PLC0415 - most verbs run nothing

    action = before.plan.action
    reuse = action.parameters.get("reuse") is True
    pauses = cast("list[float]", action.parameters.get("backoff_s", []))
    results = [execute(before.command, home=home, reuse=reuse)]
    for pause in pauses:
        if results[-1].exit_code == 0:
            break
        sleep(pause)
        results.append(execute(before.command, home=home, reuse=reuse))
    return results


def _prediction(before: "Outlook") -> "dict[str, NodeLike]":
    wall = before.reuse_s if before.forecast is Outcome.REUSED else before.run_s
    return {
        "confidence": before.confidence,
        "failure": before.failure,
        "outcome": before.forecast.value,
        "posterior": {outcome.value: before.belief.at(outcome) for outcome in Outcome},
        "reuse": before.decided.reuse,
        "wall_s": {
            "high": wall.high,
            "level": wall.level,
            "low": wall.low,
            "observations": wall.observations,
            "value": wall.value,
        },
    }
