"""Several commands as one target of the loop: what each way of doing all of them should take. Pure.

Whoever is to be reused is decided by hashes, before this; how long the others take is estimated.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ring2_orchestrator.ce1.action import Action, Alternative, Plan
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
        if seconds is None:
            return []
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
        everything = self.reused == len(self.tasks)
        options = {
            "K1": Action("K1", self._reason_to_reuse(), {"jobs": 1, "reuse": True}, one),
            "K2": Action("K2", "one after the other", {"jobs": 1, "reuse": True}, one),
            "K4": Action("K4", self._reason(), {"jobs": self.width, "reuse": True}, many),
        }
        beside = self.width > 1 and len(self.tasks) > 1 and (many is None or many < (one or 0.0))
        chosen = "K1" if everything else "K4" if beside else "K2"
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
        return Plan(options[chosen], plain, tuple(others))

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


def campaign_of(tasks: Sequence[Task], order: Order, width: int) -> Campaign:
    """The campaign of these commands on so many cores."""
    assert len(tasks) == len(order.before), "each has its place in the order"
    return Campaign(tuple(tasks), order, max(width, 1))
