"""What is learned of one command: its past, its prior, and how often its forecasts came true."""

from typing import NamedTuple

from ring2_orchestrator.ce1.belief import Belief
from ring2_orchestrator.ce1.laws import reseed
from ring2_orchestrator.ce1.laws.sphere import Grid
from ring2_orchestrator.ce1.learning.happening import After, Before
from ring2_orchestrator.ce1.learning.learner import Ends, Learner
from ring2_orchestrator.ce1.learning.subject import Subject
from ring2_orchestrator.ce1.outcome import Outcome

SHARE = 0.25  # of the way from the prior to the new belief
UNIFORM: Grid = reseed.point_of((0.25, 0.25, 0.25, 0.25))


class Told(NamedTuple):
    """How many forecasts of the outcome were made, and how many came true."""

    forecasts: int = 0
    right: int = 0

    @property
    def confidence(self) -> float:
        """(right + 1/2) / (forecasts + 1): 1/2 before any."""
        return (self.right + 0.5) / (self.forecasts + 1)

    def with_one_more(self, *, right: bool) -> "Told":
        """After one more."""
        return Told(self.forecasts + 1, self.right + right)


def posterior(ends: Ends, checked: float) -> Belief:
    """What the next run will be: reused, ran, failed or drifted. They sum to one.

    `checked` is how likely it is to be executed although nothing changed.
    """
    must, fails, drifts = (chance.probability for chance in ends)
    unchanged = (1 - must) * checked
    runs = must + unchanged * (1 - drifts)
    return Belief((1 - must) * (1 - checked), runs * (1 - fails), runs * fails, unchanged * drifts)


def expected(failure: float, *, reuse: bool) -> Outcome:
    """The outcome to expect: reuse is decided, not guessed; else the likelier end."""
    if reuse:
        return Outcome.REUSED
    return Outcome.FAILED if failure > 0.5 else Outcome.RAN


def outcome_of(after: After) -> Outcome:
    """What became of a run."""
    if not after.executed:
        return Outcome.REUSED
    if after.drifted:
        return Outcome.DRIFTED
    return Outcome.FAILED if after.failed else Outcome.RAN


class Mind:
    """All that is learned of one command."""

    def __init__(self) -> None:
        self.subject = Subject()
        self.prior = UNIFORM
        self.told = Told()
        self.belief: Belief | None = None  # of the next run, as the latest `tick` left it

    @property
    def checked(self) -> float:
        """How often it was executed although nothing changed: (executed + 1/2) / (of all + 1)."""
        reruns, executed = self.subject.rerun, self.subject.drift.count
        return (executed + 0.5) / (reruns.count - reruns.hits + 1)

    def tick(self, learner: Learner, before: Before, after: After) -> reseed.Step:
        """Learn one run and move the prior; the step that undoes the move.

        The forecast that `told` counts was made before the run was learned.
        """
        failure = learner.learn(before, after, self.subject)
        said = expected(failure or 0.0, reuse=failure is None)
        self.told = self.told.with_one_more(right=said is outcome_of(after))
        # Of the next run nothing is decided yet.
        following = Before(before.subject, name=before.name)
        self.belief = posterior(learner.ends(following, self.subject), self.checked)
        self.prior, step = reseed.reseed(self.prior, self.belief, SHARE)
        return step
