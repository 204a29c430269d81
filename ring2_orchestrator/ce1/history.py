"""The past runs of a command, read from ledger batches. Pure: batches in, values out."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from cid_store.encoding import Node
from ring2_orchestrator.ce1.belief import chance, forecast
from ring2_orchestrator.ce1.outcome import Counts, Outcome
from ring2_orchestrator.ledger import Batch


class PastRun(NamedTuple):
    """One run as the ledger remembers it. Costs that were not measured are None."""

    seq: int
    subject: str
    outcome: Outcome
    exit_code: int
    wall_s: float
    cpu_s: float | None = None
    max_rss_bytes: float | None = None
    saved_s: float = 0.0
    inputs_changed: int | None = None

    @property
    def executed(self) -> bool:
        """Whether the program itself ran."""
        return self.outcome is not Outcome.REUSED


class History(NamedTuple):
    """Runs, oldest first, and how many batches could not be read as runs."""

    runs: tuple[PastRun, ...]
    passed_over: int = 0

    @property
    def outcomes(self) -> list[Outcome]:
        """How each run ended."""
        return [run.outcome for run in self.runs]

    @property
    def counts(self) -> Counts:
        """How many ended each way."""
        return Counts.of(self.outcomes)

    @property
    def executed(self) -> list[PastRun]:
        """The runs that were not served from the store."""
        return [run for run in self.runs if run.executed]

    @property
    def failures(self) -> int:
        """Executions that ended with another exit code than 0, whatever their verdict."""
        return sum(run.exit_code != 0 for run in self.executed)

    @property
    def failure_probability(self) -> float:
        """How likely the next execution fails: (failures + 1/2) / (executions + 1)."""
        return chance(self.failures, self.counts.executed)

    @property
    def confidence(self) -> float:
        """How often the forecast came true: (k + 1/2) / (n + 1), so 1/2 before any run.

        Each of the n runs is forecast from the earlier runs of its command alone; k came true.
        """
        true = 0
        seen: dict[str, Counts] = {}
        for run in self.runs:
            counts = seen.get(run.subject, Counts())
            true += forecast(counts, reuse=not run.executed) is run.outcome
            seen[run.subject] = counts.with_one_more(run.outcome)
        return chance(true, len(self.runs))

    @property
    def spent_s(self) -> float:
        """Seconds all of them took."""
        return math.fsum(run.wall_s for run in self.runs)

    @property
    def saved_s(self) -> float:
        """Seconds that reuse saved; reuse slower than running counts as a loss."""
        return math.fsum(run.saved_s for run in self.runs)

    @property
    def energy(self) -> float:
        """Seconds that plain running would have cost, divided by the seconds spent.

        1.0 before any run. A run that was executed is taken to have cost what it would have cost
        plainly: its recording overhead is not measured, so it is neither added nor denied.
        """
        return (self.spent_s + self.saved_s) / self.spent_s if self.spent_s > 0 else 1.0


def history_of(batches: Iterable[Batch], *, newest_first: bool = False) -> History:
    """The runs in batches of kind `run`; what is not one is counted and passed over."""
    found = [_run_of(batch) for batch in batches]
    runs = [run for run in found if run is not None]
    return History(tuple(reversed(runs) if newest_first else runs), len(found) - len(runs))


def _run_of(batch: Batch) -> PastRun | None:
    match batch.entries:
        case (
            {
                "verdict": str(verdict),
                "exit_code": int(code),
                "wall_s": int() | float() as wall,
            } as entry,
            *_,
        ):
            if verdict not in set(Outcome) or not _is_cost(wall):
                return None
            changed = entry.get("inputs_changed")
            return PastRun(
                seq=batch.seq,
                subject=batch.subject,
                outcome=Outcome(verdict),
                exit_code=code,
                wall_s=wall,
                cpu_s=_cost(entry.get("cpu_s")),
                max_rss_bytes=_cost(entry.get("max_rss_bytes")),
                saved_s=_finite(entry.get("saved_s")),
                inputs_changed=changed if isinstance(changed, int) else None,
            )
        case _:
            return None


def _cost(value: Node) -> float | None:
    if isinstance(value, int | float) and _is_cost(float(value)):
        return float(value)
    return None


def _is_cost(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _finite(value: Node) -> float:
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return 0.0
