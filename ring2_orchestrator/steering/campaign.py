"""Several commands as one target of the loop: what each way of doing all of them should take. Pure.

Whoever is to be reused is decided by hashes, before this; how long the others take is estimated.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from ring2_orchestrator.ce1.action import Action, Alternative, Plan
from ring2_orchestrator.ce1.belief import Belief
from ring2_orchestrator.ce1.policy import ATTENTION_S, UNKNOWN_RUN_S, Decision, Question, Row
from ring2_orchestrator.runs.order import Order
from ring2_orchestrator.steering.expectation import Expectation
from ring2_orchestrator.steering.schedule import Slot, makespan, simulate, urgency

REUSE_S = 0.05  # what serving one from the store takes, before that was ever seen


class Task(NamedTuple):
    """One command of several: its name, whether it is to be reused, what it should take."""

    name: str
    reuse: bool
    expected: Expectation
    reuse_s: float | None = None

    def seconds(self, usual: float) -> float:
        """What it should take; `usual` where it never ran."""
        if self.reuse:
            return REUSE_S if self.reuse_s is None else self.reuse_s
        return usual if self.expected.seconds is None else self.expected.seconds


class Campaign(NamedTuple):
    """All of them, whom each waits for, and how many may run at a time."""

    tasks: tuple[Task, ...]
    order: Order
    width: int
    question: Question = Question()

    @property
    def reused(self) -> int:
        """How many would be served from the store."""
        return sum(task.reuse for task in self.tasks)

    @property
    def unknown(self) -> int:
        """How many have to run and never did."""
        return sum(not task.reuse and task.expected.seconds is None for task in self.tasks)

    @property
    def usual_s(self) -> float | None:
        """What is taken for those of which nothing is known: the mean of the others."""
        known = [each.expected.seconds for each in self.tasks if each.expected.seconds is not None]
        return sum(known) / len(known) if known else None

    def seconds(self) -> list[float] | None:
        """What each should take; None where nothing is known of those that have to run."""
        if self.usual_s is None and self.unknown:
            return None
        return [task.seconds(self.usual_s or 0.0) for task in self.tasks]

    def slots(self, width: int) -> list[Slot]:
        """When each should begin and end, the most urgent first; empty where that is not known."""
        seconds = self.seconds()
        return [] if seconds is None else self._simulated(seconds, width)

    def _simulated(self, seconds: Sequence[float], width: int) -> list[Slot]:
        before = self.order.before
        return simulate(before, seconds, urgency(before, seconds), width=width)

    def plan(self) -> Plan:
        """The way that should be done soonest, and by how much it beats the others."""
        plain = None
        if self.usual_s is not None:
            plain = sum(task._replace(reuse=False).seconds(self.usual_s) for task in self.tasks)
        known = self.seconds() is not None
        one = makespan(self.slots(1)) if known else None
        many = makespan(self.slots(self.width)) if known else None
        options = {
            "K1": Action("K1", self._reason_to_reuse(), {"jobs": 1, "reuse": True}, one),
            "K2": Action("K2", "one after the other", {"jobs": 1, "reuse": True}, one),
            "K4": Action("K4", self._reason(), {"jobs": self.width, "reuse": True}, many),
        }
        decision = Decision.of(self.question, self.belief, self._rows(), assumed=not known)
        chosen = decision.drawn.action
        everything = self.reused == len(self.tasks)
        others = (
            Alternative(
                name,
                options[name].expected_s if name in options and possible else None,
                why,
            )
            for name, possible, why in (
                ("K1", everything, f"{len(self.tasks) - self.reused} of them have to run"),
                ("K2", True, self._why_not_in_turn(everything=everything)),
                ("K3", False, "several are tried once each; name one to have it tried again"),
                ("K4", True, self._why_not_beside(everything=everything)),
                ("K5", False, "several are not run twice; name one to have it compared"),
            )
            if name != chosen
        )
        return Plan(options[chosen], plain, tuple(others), decision)

    @property
    def belief(self) -> Belief:
        """How all of them will end: reused where all are; failed where any of those that run is."""
        if self.reused == len(self.tasks):
            return Belief(1.0, 0.0, 0.0, 0.0)
        passes = math.prod(1 - task.expected.failure for task in self.tasks if not task.reuse)
        return Belief(0.0, passes, 1 - passes, 0.0)

    def _rows(self) -> dict[str, Row]:
        """The ways there are, and their seconds by outcome."""
        usual = UNKNOWN_RUN_S if self.usual_s is None else self.usual_s
        seconds = [task.seconds(usual) for task in self.tasks]
        one, many = (makespan(self._simulated(seconds, width)) for width in (1, self.width))
        if self.reused == len(self.tasks):
            return {"K1": _row(one)}
        rows = {"K2": _row(one)}
        # Where nothing can run beside another there is nothing to decide.
        return {**rows, "K4": _row(many)} if many < one else rows

    def _reason_to_reuse(self) -> str:
        return f"nothing that any of these {len(self.tasks)} depends on has changed"

    def _reason(self) -> str:
        waits = sum(bool(before) for before in self.order.before)
        runs = f"{len(self.tasks) - self.reused} of {len(self.tasks)} have to run"
        parts = [f"{runs}, up to {self.width} at a time, first those on which most seconds hang"]
        if waits:
            parts.append(f"{waits} wait for what others write")
        if self.unknown:
            parts.append(f"{self.unknown} never ran, and count as usual ones")
        return "; ".join(parts)

    def _why_not_in_turn(self, *, everything: bool) -> str:
        return "nothing has to run" if everything else "cores would stand idle"

    def _why_not_beside(self, *, everything: bool) -> str:
        if everything:
            return "nothing has to run"
        if self.width == 1:
            return "there is one core"
        return "nothing could run beside another"


def _row(seconds: float) -> Row:
    # Whichever way it was done, a failure is seen and started again.
    return (seconds, seconds, seconds + ATTENTION_S, seconds)


def campaign_of(
    tasks: Sequence[Task], order: Order, width: int, question: Question | None = None
) -> Campaign:
    """The campaign of these commands on so many cores."""
    assert len(tasks) == len(order.before), "each has its place in the order"
    return Campaign(tuple(tasks), order, max(width, 1), question or Question())
