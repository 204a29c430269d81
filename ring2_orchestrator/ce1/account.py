"""What the runs of the ledger amount to, kept up run by run, so that asking need not read them."""

from collections.abc import Sequence

from ring2_orchestrator.ce1.history import History, PastRun, Totals
from ring2_orchestrator.ce1.laws import reseed
from ring2_orchestrator.ce1.laws.sphere import Grid
from ring2_orchestrator.ce1.learning.coding import (
    NotLearnedError,
    Reader,
    Writer,
    put_point,
    read_point,
)
from ring2_orchestrator.ce1.learning.mind import SHARE, UNIFORM
from ring2_orchestrator.ce1.outcome import Counts, Outcome

LATEST = 20  # executions, and reuses, that estimates and rules look at
_OUTCOMES = tuple(Outcome)


class Own:
    """The runs of one command."""

    def __init__(self) -> None:
        self.totals = Totals()
        self._executed: list[PastRun] = []
        self._reused: list[PastRun] = []

    @property
    def history(self) -> History:
        """The latest runs, and what all of them amount to."""
        runs = sorted([*self._executed, *self._reused], key=lambda run: run.seq)
        return History(tuple(runs), known=self.totals)

    def learn(self, run: PastRun, *, right: bool) -> None:
        """One more run; `right` is whether its forecast came true."""
        self.totals = self.totals.with_one_more(run, right=right)
        latest = self._executed if run.executed else self._reused
        latest.append(run)
        del latest[:-LATEST]

    def put(self, out: Writer) -> None:
        """All of it, as numbers."""
        _put_totals(out, self.totals)
        for latest in (self._executed, self._reused):
            out.put(len(latest))
            for run in latest:
                _put_run(out, run)

    @classmethod
    def read(cls, source: Reader, subject: str) -> "Own":
        """The same. Raises NotLearnedError."""
        own = cls()
        own.totals = _read_totals(source)
        for latest in (own._executed, own._reused):
            latest += [_read_run(source, subject) for _ in range(source.whole())]
        return own


class Whole:
    """The runs of all commands together."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.passed_over = 0  # batches that could not be read as runs
        self.subjects = 0  # different commands
        self.prior: Grid = UNIFORM  # moved towards what is believed of each command as it ran
        self.acted: int | None = None  # the ledger entry of the newest cycle of a loop

    @property
    def history(self) -> History:
        """What all runs amount to; none of them is at hand."""
        return History((), self.passed_over, self.totals)

    def learn(self, run: PastRun, belief: Sequence[float], *, right: bool) -> None:
        """One more run, and what is believed of the next run of its command."""
        self.totals = self.totals.with_one_more(run, right=right)
        self.prior, _ = reseed.reseed(self.prior, belief, SHARE)

    def put(self, out: Writer) -> None:
        """All of it, as numbers and texts."""
        _put_totals(out, self.totals)
        out.put(self.passed_over, self.subjects, 0 if self.acted is None else self.acted + 1)
        put_point(out, self.prior)

    @classmethod
    def read(cls, source: Reader) -> "Whole":
        """The same. Raises NotLearnedError."""
        whole = cls()
        whole.totals = _read_totals(source)
        whole.passed_over, whole.subjects, acted = (source.whole() for _ in range(3))
        whole.acted = acted - 1 if acted else None
        whole.prior = read_point(source)
        return whole


def _put_totals(out: Writer, totals: Totals) -> None:
    out.put(*totals.counts, *totals[1:])


def _read_totals(source: Reader) -> Totals:
    counts = Counts(*(source.whole() for _ in Outcome))
    failures, right = source.whole(), source.whole()
    return Totals(counts, failures, right, *source.numbers(3))


def _put_run(out: Writer, run: PastRun) -> None:
    out.put(run.seq, _OUTCOMES.index(run.outcome), run.exit_code, run.wall_s, run.saved_s)
    for value in (run.cpu_s, run.max_rss_bytes, run.inputs_changed):
        out.put(-1 if value is None else value)


def _read_run(source: Reader, subject: str) -> PastRun:
    seq, ended = source.whole(), source.whole()
    if ended >= len(_OUTCOMES):
        raise NotLearnedError(f"{ended} is no outcome")
    code, wall_s, saved_s, *rest = source.numbers(6)
    cpu_s, size, changed = (None if value < 0 else value for value in rest)
    return PastRun(
        seq, subject, _OUTCOMES[ended], int(code), wall_s, cpu_s, size, saved_s,
        None if changed is None else int(changed),
    )  # fmt: skip
