"""What each action costs under each outcome, and the lot that decides between them.

Seconds are those of whoever waits: a failure that nobody tries again has to be seen and started
again, and a result that is served where running would give another has to be found out. An action
that is not possible has no row. The lot comes from the name of the ledger's state and of the
question, so the same question in the same state is decided the same, and a record decides again.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple, Self

from cid_store.cid import Cid, Codec
from cid_store.encoding import Node, NodeLike, encode
from ring2_orchestrator.ce1.belief import Belief
from ring2_orchestrator.ce1.laws import gibbs
from ring2_orchestrator.ce1.outcome import Outcome

# An action that is better by 40 times as much, 4 ms, is always taken: the lot has 53 bits, and
# exp(-40) is less than one of them. What is closer may go either way, and costs next to nothing.
TEMPERATURE_S = 1e-4
ATTENTION_S = 30.0  # until somebody has seen a failure and starts again
WRONG_RUNS = 10.0  # executions that it costs to have believed a wrong result
UNKNOWN_RUN_S, UNKNOWN_REUSE_S = 1.0, 0.05  # what counts where nothing was ever observed
SUREST = 0.95  # probability of failure that is counted with at most: beyond it nothing helps
KINDS = ("K1", "K2", "K3", "K4", "K5")

Row = tuple[float, float, float, float]  # seconds where it is reused, runs, fails, drifts
Rows = Mapping[str, Row]


class Question(NamedTuple):
    """What is to be decided, and how far the ledger was then; `newest` names its last batch."""

    subject: str = ""
    reuse: bool = False
    trace: str | None = None
    entries: int = 0
    newest: str = ""

    @property
    def cid(self) -> Cid:
        """The name of all that; the seed of the lot."""
        return Cid.of(encode(self.as_node()), Codec.NODE)

    def as_node(self) -> dict[str, NodeLike]:
        """As the ledger keeps it."""
        return dict(self._asdict())


class Decision(NamedTuple):
    """A decision with all that it was made from."""

    question: Question
    belief: Belief
    rows: Rows
    drawn: gibbs.Draw
    assumed: bool  # some seconds were never observed, and stand for themselves

    @classmethod
    def of(cls, question: Question, belief: Belief, rows: Rows, *, assumed: bool) -> Self:
        """Decide. The same arguments always decide the same."""
        seconds = dict.fromkeys(KINDS, math.inf) | gibbs.expected_seconds(rows, belief)
        drawn = gibbs.draw(seconds, TEMPERATURE_S, question.cid.to_bytes())
        return cls(question, belief, dict(rows), drawn, assumed)

    def beats_by(self, name: str) -> float | None:
        """Seconds by which the action taken beats another; None where that was not possible."""
        other = self.drawn.seconds[name]
        return other - self.drawn.seconds[self.drawn.action] if math.isfinite(other) else None

    def as_node(self) -> dict[str, NodeLike]:
        """As the ledger keeps it and as JSON says it; null where an action was not possible."""
        drawn = self.drawn
        outcomes = [outcome.value for outcome in Outcome]
        table: dict[str, NodeLike] = {
            name: dict(zip(outcomes, self.rows[name], strict=True)) if name in self.rows else None
            for name in KINDS
        }
        seconds: dict[str, NodeLike] = {
            name: value if math.isfinite(value) else None for name, value in drawn.seconds.items()
        }
        return {
            "action": drawn.action,
            "assumed": self.assumed,
            "beats_by_s": {name: self.beats_by(name) for name in KINDS if name != drawn.action},
            "belief": dict(zip(outcomes, self.belief, strict=True)),
            "question": self.question.as_node(),
            "seconds": seconds,
            "seconds_by_outcome": table,
            "seed": str(self.question.cid),
            "temperature_s": drawn.temperature_s,
            "weights": dict(drawn.weights),
        }


def replays(recorded: Node) -> bool:
    """Whether a recorded decision is made again, number by number, from what it was made from."""
    match recorded:
        case {
            "action": str(action),
            "belief": dict(belief),
            "question": {"subject": str(), "entries": int(), "newest": str()} as question,
            "seconds": dict(seconds),
            "seconds_by_outcome": dict(table),
            "seed": str(seed),
            "temperature_s": float(temperature_s),
            "weights": dict(weights),
        }:
            name = Cid.of(encode(question), Codec.NODE)
            believed = [_number(belief.get(each.value)) for each in Outcome]
            rows = {
                kind: [_number(row.get(each.value)) for each in Outcome]
                for kind, row in table.items()
                if isinstance(row, dict)
            }
            again = dict.fromkeys(KINDS, math.inf) | gibbs.expected_seconds(rows, believed)
            said = {kind: math.inf if value is None else value for kind, value in seconds.items()}
            if again != said or str(name) != seed or min(again.values()) == math.inf:
                return False
            drawn = gibbs.draw(again, temperature_s, name.to_bytes())
            return (drawn.action, drawn.weights) == (action, weights)
        case _:
            return False


def _number(value: Node) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def to_reuse(run_s: float, reuse_s: float) -> Row:
    """Serve the recorded result; where it drifts, a wrong one was believed."""
    return (reuse_s, reuse_s, reuse_s, reuse_s + WRONG_RUNS * run_s)


def to_run(run_s: float, failure: float) -> Row:
    """Run once; a failure is seen and started again until it passes."""
    return (run_s, run_s, run_s + _by_hand(run_s, failure), run_s)


def to_retry(run_s: float, failure: float, pauses: list[float]) -> Row:
    """Run, and after a failure again, with pauses; what still fails then is as with `to_run`."""
    fails = min(failure, SUREST)
    again = math.fsum(fails**at * (pause + run_s) for at, pause in enumerate(pauses))
    left = fails ** len(pauses) * _by_hand(run_s, failure)
    return (run_s, run_s, run_s + again + left, run_s)


def to_check(run_s: float) -> Row:
    """Run although a result is recorded, and compare."""
    return (run_s, run_s, run_s, run_s)


def _by_hand(run_s: float, failure: float) -> float:
    return (ATTENTION_S + run_s) / (1 - min(failure, SUREST))
