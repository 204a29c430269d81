"""Everything that can be said of one command before it runs: decided facts, then estimates."""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from ring2_orchestrator.ce1.action import Facts, Plan, choose
from ring2_orchestrator.ce1.belief import Angles, Belief
from ring2_orchestrator.ce1.estimate import Estimate, estimate, learned_or
from ring2_orchestrator.ce1.history import History
from ring2_orchestrator.ce1.laws.reseed import belief_of, point_of
from ring2_orchestrator.ce1.laws.sphere import Grid, off_grid
from ring2_orchestrator.ce1.learning.learner import Forecast
from ring2_orchestrator.ce1.learning.mind import expected
from ring2_orchestrator.ce1.outcome import Outcome
from ring2_orchestrator.ce1.policy import Question


class Difference(NamedTuple):
    """One thing that is not as it was when the command last ran."""

    path: str
    kind: str
    was: str
    now: str


class Decided(NamedTuple):
    """What hashes decide: whether the command would be reused, exactly."""

    reuse: bool
    reason: str
    changed: tuple[Difference, ...] = ()
    trace: str | None = None


class Mood:
    """What the past runs say as a whole: of one command, or of all.

    `point` is where they left the prior on S³; without one, it is that of the outcomes' shares.
    `doubts` are sentences that say why figures may be incomplete.
    """

    def __init__(
        self, history: History, *, point: Grid | None = None, doubts: Sequence[str] = ()
    ) -> None:
        self.history = history
        self.point = point_of(Belief.after(history.counts)) if point is None else point
        passed = history.passed_over
        batches = "batch" if passed == 1 else "batches"
        unread = f"{passed} run {batches} could not be read as runs"
        self.doubts = (*doubts, unread) if passed else tuple(doubts)

    @cached_property
    def belief(self) -> Belief:
        """The four probabilities of the point."""
        return Belief(*belief_of(self.point))

    @cached_property
    def angles(self) -> Angles:
        """The point's angles."""
        return Angles.of(off_grid(self.point))

    @cached_property
    def confidence(self) -> float:
        """How often the forecast came true."""
        return self.history.confidence

    @property
    def energy(self) -> float:
        """Seconds of plain running by seconds spent."""
        return self.history.energy


class Outlook(Mood):
    """One command: decided, estimated, planned."""

    def __init__(
        self,
        history: History,
        command: Sequence[str],
        subject: str,
        decided: Decided,
        foreseen: Forecast,
        *,
        state: tuple[int, str] = (0, ""),
        point: Grid | None = None,
        doubts: Sequence[str] = (),
    ) -> None:
        """`foreseen` is what was learned of all runs says of the next one.

        `state` is how far the ledger was: its entries, and the name of its newest batch.
        """
        super().__init__(history, point=point, doubts=doubts)
        self.state = state
        self.foreseen = foreseen
        self.command = tuple(command)
        self.subject = subject
        self.decided = decided

    @cached_property
    def run_s(self) -> Estimate:
        """Seconds the program takes when it is executed."""
        seen = estimate([run.wall_s for run in self.history.executed])
        return learned_or(self.foreseen.wall_s, seen)

    @cached_property
    def reuse_s(self) -> Estimate:
        """Seconds a reuse takes."""
        return estimate([run.wall_s for run in self.history.runs if not run.executed])

    @cached_property
    def cpu_s(self) -> Estimate:
        """Processor seconds of an execution."""
        seen = estimate([run.cpu_s for run in self.history.executed if run.cpu_s is not None])
        return learned_or(self.foreseen.cpu_s, seen)

    @cached_property
    def max_rss_bytes(self) -> Estimate:
        """The largest resident size of an execution."""
        sizes = [run.max_rss_bytes for run in self.history.executed]
        seen = estimate([size for size in sizes if size is not None])
        return learned_or(self.foreseen.max_rss_bytes, seen)

    @property
    def failure(self) -> float:
        """How likely it fails if it is executed."""
        return self.foreseen.ends.failure.probability

    @property
    def failure_evidence(self) -> dict[str, tuple[float, float]]:
        """What each expert says of that, and its weight; the weightiest first."""
        experts = self.foreseen.ends.failure.experts
        return dict(sorted(experts.items(), key=lambda each: -each[1][1]))

    @property
    def forecast(self) -> Outcome:
        """The outcome to expect of the planned action."""
        reuse = self.decided.reuse and self.plan.action.name == "K1"
        return expected(self.failure, reuse=reuse)

    @cached_property
    def plan(self) -> Plan:
        """The next best action."""
        decided = self.decided
        return choose(
            Facts(
                decided.reuse,
                decided.reason,
                self.history,
                self.run_s,
                self.reuse_s,
                failure=self.failure,
                drift=self.foreseen.ends.drift.probability,
                question=Question(self.subject, decided.reuse, decided.trace, *self.state),
            )
        )
