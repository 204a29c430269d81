"""How good the forecasts of a home were so far: log loss, calibration, coverage. Pure."""

from collections.abc import Mapping, Sequence
from operator import add
from typing import NamedTuple

from ring2_orchestrator.ce1.learning.chances import Chances, Staged
from ring2_orchestrator.ce1.learning.conformal import OUTSIDE
from ring2_orchestrator.ce1.learning.learner import Learner
from ring2_orchestrator.ce1.learning.score import TENTHS

LEVEL = 1 - 2 * OUTSIDE  # what share of costs the intervals are meant to hold


class Tenth(NamedTuple):
    """Forecasts of one tenth of the probabilities: what they said, and what came."""

    begin: float
    end: float
    forecasts: int
    expected: float  # their mean
    happened: float  # the share that came true


class Question(NamedTuple):
    """All forecasts of one yes or no. Losses are means in nats; None before the first."""

    forecasts: int
    ce1: float | None
    baselines: Mapping[str, float | None]
    reliability: tuple[Tenth, ...]  # the tenths that were ever said

    @property
    def best(self) -> str | None:
        """The baseline that lost least; None before the first forecast."""
        known = {name: lost for name, lost in self.baselines.items() if lost is not None}
        return min(known, key=known.__getitem__) if known else None


class Coverage(NamedTuple):
    """Intervals that were given of one cost, and how many held it."""

    intervals: int
    held: int

    @property
    def share(self) -> float | None:
        """The share that held; None before the first."""
        return self.held / self.intervals if self.intervals else None


class Standing(NamedTuple):
    """How good everything was that could be compared with what came."""

    questions: Mapping[str, Question]
    coverage: Mapping[str, Coverage]


def standing_of(learner: Learner) -> Standing:
    """The sums that learning kept up, as means and shares."""
    return Standing(
        {
            "must_rerun": _staged(learner.rerun),
            "failure": _staged(learner.failure),
            "drift": _question([learner.drift]),
        },
        {
            name: Coverage(costs.intervals, costs.held)
            for name, costs in (
                ("cpu_s", learner.cpu),
                ("wall_s", learner.wall),
                ("max_rss_bytes", learner.memory),
            )
        },
    )


def _staged(question: Staged) -> Question:
    # Each run is scored in the stage in which it was forecast, and in no other.
    return _question([question.ahead, question.among])


def _question(parts: Sequence[Chances]) -> Question:
    count = sum(part.score.count for part in parts)
    losses = dict.fromkeys(parts[0].baselines, 0.0)
    sums = [[0.0] * TENTHS for _ in range(3)]
    for part in parts:
        by_name = dict(zip(part.names, part.score.losses, strict=True))
        losses = {name: lost + by_name[name] for name, lost in losses.items()}
        rows = (part.score.forecasts, part.score.expected, part.score.happened)
        sums = [list(map(add, total, row)) for total, row in zip(sums, rows, strict=True)]
    lost = sum(part.score.loss for part in parts)
    return Question(
        count,
        lost / count if count else None,
        {name: value / count if count else None for name, value in losses.items()},
        tuple(
            Tenth(at / TENTHS, (at + 1) / TENTHS, int(many), said / many, came / many)
            for at, (many, said, came) in enumerate(zip(*sums, strict=True))
            if many
        ),
    )
