"""What is to be expected of commands: the one seam between whoever estimates and whoever acts.

What was learned of all runs comes first; where nothing was, the past of the command alone.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from cid_store.errors import RedoxaError
from ring2_orchestrator.ce1.entries import is_own, name_of
from ring2_orchestrator.ce1.estimate import Estimate, estimate, learned_or
from ring2_orchestrator.ce1.history import History, PastRun
from ring2_orchestrator.ce1.kept import Learned, caught_up, nothing_learned
from ring2_orchestrator.ce1.learning.happening import Before
from ring2_orchestrator.ce1.learning.learner import Forecast
from ring2_orchestrator.ce1.outcome import Outcome
from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger.leaf import Leaf
from ring2_orchestrator.runs.past import Run, runs

LATEST = 50  # runs of one command that are looked at: older ones have faded from every estimate
_MOST_LEAVES = 20_000  # newest of the ledger, so that a long one costs no more than a short one


class Expectation(NamedTuple):
    """What an execution of one command should cost; None where nothing was ever observed.

    `seconds` lies between `low_s` and `high_s` and memory below `memory_bytes` as often as the
    estimate says (80 % with enough runs). `failure` is a probability, 1/2 before any execution.
    """

    seconds: float | None = None
    low_s: float | None = None
    high_s: float | None = None
    failure: float = 0.5
    memory_bytes: float | None = None
    observations: int = 0


Expects = Callable[[str], Expectation]  # from a command's weak key

NOTHING = Expectation()


def expectation_of(history: History, foreseen: Forecast | None = None) -> Expectation:
    """The expectation from the past runs of one command, and from what all runs taught of it."""
    executed = history.executed
    takes = estimate(_seconds(history))
    sizes = [run.max_rss_bytes for run in executed if run.max_rss_bytes is not None]
    memory = _upper(estimate(sizes), sizes)
    failure = history.failure_probability
    if foreseen is not None and executed:
        failure = foreseen.ends.failure.probability
        memory = memory if foreseen.max_rss_bytes.high is None else foreseen.max_rss_bytes.high
        # Learned are all executions; what counts here are whole ones, which failures are not.
        if not any(run.exit_code for run in executed):
            takes = learned_or(foreseen.wall_s, takes)
    return Expectation(
        seconds=takes.value,
        low_s=takes.low,
        high_s=takes.high,
        failure=failure,
        memory_bytes=memory,
        observations=len(executed),
    )


def seconds_of(history: History, foreseen: Forecast) -> float | None:
    """What the next execution should take, however it ends; None where there never was one.

    Whoever waits for a failure waits no longer than until it is there.
    """
    seen = estimate([run.wall_s for run in history.executed])
    return learned_or(foreseen.wall_s, seen).value


def learned_in(home: Home) -> Learned:
    """What all runs of a home taught, up to the newest; nothing where its ledger cannot say."""
    with suppress(RedoxaError):
        return caught_up(home.path, home.ledger)
    return nothing_learned()


def foreseen_of(
    learned: Learned,
    subject: str,
    command: Sequence[str] = (),
    *,
    changed: bool | None = None,
    paths: Sequence[str] = (),
) -> Forecast:
    """What was learned says of a command's next run; `changed` is None where not decided."""
    name = name_of(command)
    before = Before(
        subject, name, changed=changed, paths=tuple(paths), own_changed=is_own(name, paths)
    )
    return learned.learner.forecast(before, learned.mind(subject).subject)


def expectations(home: Home, subjects: Collection[str]) -> Mapping[str, Expectation]:
    """What is to be expected of these commands, from one walk through the ledger's newest runs.

    Raises LedgerDamagedError.
    """
    found = runs_of(home, subjects)
    learned = learned_in(home)
    return {
        subject: expectation_of(history_from(found[subject]), foreseen_of(learned, subject))
        for subject in subjects
    }


def rounds_in(pasts: Mapping[str, Sequence[Run]]) -> Mapping[int, int]:
    """The round of each entry of the ledger: a stretch in which no command comes twice."""
    rounds: dict[int, int] = {}
    met: set[str] = set()
    number = 0
    for run in sorted((run for some in pasts.values() for run in some), key=lambda run: run.seq):
        if run.subject in met:
            met, number = set[str](), number + 1
        met.add(run.subject)
        rounds[run.seq] = number
    return rounds


def runs_of(home: Home, subjects: Collection[str]) -> Mapping[str, Sequence[Run]]:
    """The newest runs of each of these commands, oldest first. Raises LedgerDamagedError."""
    found: dict[str, list[Run]] = {subject: [] for subject in subjects}
    seen = dict.fromkeys(found, 0)
    walked = 0

    def wanted(leaf: Leaf) -> bool:
        nonlocal walked
        walked += 1
        if seen.get(leaf.subject, LATEST) >= LATEST or walked > _MOST_LEAVES:
            return False
        seen[leaf.subject] += 1
        return True

    for run in runs(home, wanted=wanted):
        if isinstance(run, Run):
            found[run.subject].append(run)
    return {subject: newest[::-1] for subject, newest in found.items()}


def history_from(past: Iterable[Run]) -> History:
    """The same as a history; what is none of the four outcomes is left out."""
    found = (_past(run) for run in past)
    return History(tuple(run for run in found if run is not None))


def _past(run: Run) -> PastRun | None:
    if run.verdict not in set(Outcome):
        return None
    executed = run.verdict != Outcome.REUSED
    return PastRun(
        seq=run.seq,
        subject=run.subject,
        outcome=Outcome(run.verdict),
        exit_code=run.exit_code,
        wall_s=max(run.wall_s, 0.0),
        cpu_s=max(run.cpu_s, 0.0) if executed else None,
        max_rss_bytes=float(max(run.max_rss_bytes, 0)) if executed else None,
        saved_s=run.saved_s,
    )


def _seconds(history: History) -> list[float]:
    """What executions took: whole ones, as a failure may come long before the end.

    Where there are none among these runs, what the newest reuse saved, as that was a run once.
    """
    executed = history.executed
    if not executed:
        return [run.wall_s + run.saved_s for run in history.runs[-1:]]
    return [run.wall_s for run in executed if not run.exit_code] or [run.wall_s for run in executed]


def _upper(found: Estimate, sizes: list[float]) -> float | None:
    """The upper end of the interval; of a single size, that size."""
    if found.high is not None:
        return max(found.high, sizes[-1])
    return found.value
