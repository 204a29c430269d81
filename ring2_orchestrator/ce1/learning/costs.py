"""What the next execution costs: a value by a mixture of means, and an interval that adapts.

All is done in logarithms, since a slow machine slows everything by a share. To each mean is added
what a regression expects of this run: from the load, from how far the latest runs of any command
fell from their means (how the machine is just now), and from how the command's own last run did.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from ring2_orchestrator.ce1.estimate import SMALLEST, Estimate
from ring2_orchestrator.ce1.learning.conformal import OUTSIDE, Conformal
from ring2_orchestrator.ce1.learning.hedge import Hedge
from ring2_orchestrator.ce1.learning.ridge import Ridge
from ring2_orchestrator.ce1.learning.subject import Cost

PLAIN = ("last", "mean", "running_10", "running_30")
NAMES: tuple[str, ...] = (*PLAIN, "running_10_adjusted", "running_30_adjusted", "mean_adjusted")
TRAITS = 7
_RECENT = 4
_FARTHEST = 1.0  # a logarithm off by more counts as this much, in traits and losses
_USUAL_SHARE = 0.02  # of the newest miss in what is usual
_LEAST = 1e-4
_FLOOR = 0.01  # of the weight is dealt out: how a machine is changes often
# No end of an interval lies farther from the value than this factor: after one cost that was a
# hundred times the usual, the misses alone would allow for anything, which helps nobody.
_WIDEST = math.log(10)
_EAGERNESS = 1.0  # of the mixture's weights, in typical misses


class Circumstances(NamedTuple):
    """What costs may depend on besides the command."""

    load: float  # log(1 + load) less what it was at this command's runs; 0 where not known
    changed: float
    failing: float


class Costs:
    """One kind of cost, over all commands."""

    def __init__(self) -> None:
        self.ridge = Ridge(TRAITS, 0.1)
        self.hedge = Hedge(len(NAMES), floor=_FLOOR)
        self.recent: list[float] = []  # how far the latest fell from their means, newest first
        self.seen = 0
        self.usual = 0.1  # how far off a mean is, over all commands
        self.conformal = Conformal()
        self.intervals = self.held = 0  # intervals that were given, and costs that fell inside

    def interval(self, cost: Cost, now: Circumstances) -> Estimate:
        """What is to be expected; nothing is learned."""
        if cost.count == 0:
            return Estimate(None, None, None, None, 0, "none")
        mixed = self.hedge.mixed(self._means(cost, self._traits(cost, now)))
        value, ends = math.exp(mixed), self._ends(cost)
        if ends is None:
            return Estimate(value, None, None, None, cost.count, "single")
        low, high = (math.exp(mixed + end) for end in ends)
        return Estimate(value, low, high, 1 - 2 * OUTSIDE, cost.count, "adaptive")

    def learn(self, cost: Cost, now: Circumstances, measured: float) -> None:
        """What it came to."""
        value = math.log(max(measured, SMALLEST))
        off = None
        if cost.count:
            traits = self._traits(cost, now)
            said = self._means(cost, traits)
            off = value - self.hedge.mixed(said)
            self._score(cost, off)
            self.conformal.learn(off / (cost.scale or self.usual))
            self._weigh([value - mean for mean in said])
            fallen = value - cost.running[0]
            self.ridge.learn(traits, _bounded(fallen))
            self.recent = [_bounded(fallen), *self.recent[: _RECENT - 1]]
        cost.learn(value, off, self.usual)

    def _ends(self, cost: Cost) -> tuple[float, float] | None:
        """How far off a logarithm is to be expected, below and above."""
        ends = self.conformal.ends()
        if ends is None:
            return None
        scale = cost.scale or self.usual
        low, high = (min(max(end * scale, -_WIDEST), _WIDEST) for end in ends)
        return low, high

    def _score(self, cost: Cost, off: float) -> None:
        ends = self._ends(cost)
        if ends is not None:
            self.intervals += 1
            self.held += ends[0] <= off <= ends[1]

    def _weigh(self, misses: Sequence[float]) -> None:
        by = _EAGERNESS / self.usual
        self.hedge.learn([by * abs(_bounded(miss)) for miss in misses])
        typical = sorted(abs(miss) for miss in misses)[len(misses) // 2]
        self.seen += 1
        share = max(1 / self.seen, _USUAL_SHARE)
        self.usual = max(self.usual + share * (min(typical, _FARTHEST) - self.usual), _LEAST)

    def _means(self, cost: Cost, traits: Sequence[float]) -> list[float]:
        adjusted = _bounded(self.ridge.value(traits))
        slow, quick = cost.running
        return [
            cost.last,
            cost.mean,
            slow,
            quick,
            slow + adjusted,
            quick + adjusted,
            cost.mean + adjusted,
        ]

    def _traits(self, cost: Cost, now: Circumstances) -> list[float]:
        recent = self.recent or [0.0]
        return [
            1.0,
            now.load,
            recent[0],
            sum(recent) / len(recent),
            _bounded(cost.off),
            now.changed,
            now.failing,
        ]


def _bounded(off: float) -> float:
    return min(max(off, -_FARTHEST), _FARTHEST)
