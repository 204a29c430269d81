"""The past runs of a command, read from ledger batches. Pure: batches in, values out."""

from collections.abc import Iterable
from typing import NamedTuple

from cid_store.encoding import Node
from ring2_orchestrator.ce1.belief import chance, forecast
from ring2_orchestrator.ce1.outcome import Counts, Outcome
from ring2_orchestrator.ledger import Batch

_MOST = 1e18  # seconds or bytes: whoever claims more was not measuring


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


class Totals(NamedTuple):
    """What any number of runs amount to."""

    counts: Counts = Counts()
    failures: int = 0  # executions that ended with another exit code than 0
    right: int = 0  # forecasts that came true, of one for each run
    spent_s: float = 0.0
    gained_s: float = 0.0  # by reuses that were quicker than running
    lost_s: float = 0.0  # by those that were slower

    def with_one_more(self, run: PastRun, *, right: bool) -> "Totals":
        """After one more run; `right` is whether its forecast came true."""
        return Totals(
            self.counts.with_one_more(run.outcome),
            self.failures + (run.executed and run.exit_code != 0),
            self.right + right,
            self.spent_s + run.wall_s,
            self.gained_s + max(run.saved_s, 0.0),
            self.lost_s + max(-run.saved_s, 0.0),
        )


class History(NamedTuple):
    """Runs, oldest first, and how many batches could not be read as runs.

    Where `known` is given, more runs than these happened, and it is what all of them amount to.
    """

    runs: tuple[PastRun, ...]
    passed_over: int = 0
    known: Totals | None = None

    @property
    def totals(self) -> Totals:
        """What all runs amount to.

        Each is forecast from the earlier runs of its command alone.
        """
        if self.known is not None:
            return self.known
        totals = Totals()
        seen: dict[str, Counts] = {}
        for run in self.runs:
            counts = seen.get(run.subject, Counts())
            right = forecast(counts, reuse=not run.executed) is run.outcome
            totals = totals.with_one_more(run, right=right)
            seen[run.subject] = counts.with_one_more(run.outcome)
        return totals

    @property
    def counts(self) -> Counts:
        """How many ended each way."""
        return Counts.of(self.outcomes) if self.known is None else self.known.counts

    @property
    def outcomes(self) -> list[Outcome]:
        """How each run that is at hand ended."""
        return [run.outcome for run in self.runs]

    @property
    def executed(self) -> list[PastRun]:
        """The runs at hand that were not served from the store."""
        return [run for run in self.runs if run.executed]

    @property
    def failures(self) -> int:
        """Executions that ended with another exit code than 0, whatever their verdict."""
        return self.totals.failures

    @property
    def failure_probability(self) -> float:
        """How likely the next execution fails: (failures + 1/2) / (executions + 1)."""
        return chance(self.failures, self.counts.executed)

    @property
    def confidence(self) -> float:
        """How often the forecast came true: (k + 1/2) / (n + 1), so 1/2 before any run."""
        totals = self.totals
        return chance(totals.right, totals.counts.total)

    @property
    def spent_s(self) -> float:
        """Seconds all of them took."""
        return self.totals.spent_s

    @property
    def saved_s(self) -> float:
        """Seconds that reuse saved; reuse slower than running counts as a loss."""
        totals = self.totals
        return totals.gained_s - totals.lost_s

    @property
    def energy(self) -> float:
        """Seconds that plain running would have cost, divided by the seconds spent.

        1.0 before any run. A run that was executed is taken to have cost what it would have cost
        plainly: its recording overhead is not measured, so it is neither added nor denied.
        """
        spent = self.spent_s
        return (spent + self.saved_s) / spent if spent > 0 else 1.0


def history_of(batches: Iterable[Batch], *, newest_first: bool = False) -> History:
    """The runs in batches of kind `run`; what is not one is counted and passed over."""
    found = [run_of(batch) for batch in batches]
    runs = [run for run in found if run is not None]
    return History(tuple(reversed(runs) if newest_first else runs), len(found) - len(runs))


def run_of(batch: Batch) -> PastRun | None:
    """A batch of kind `run`; None where it is not one."""
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
    return 0 <= value <= _MOST


def _finite(value: Node) -> float:
    if isinstance(value, int | float) and abs(value) <= _MOST:
        return float(value)
    return 0.0
