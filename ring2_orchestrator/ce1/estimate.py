"""What the next run will cost: a value, an interval, and how many observations stand behind both.

Costs of one command are followed by a running mean of their logarithms. With ten or more of them
the interval is conformal: the running mean, shifted by the ranks of how far the latest costs fell
from the running mean before them. If those distances come in no particular order, the next one
lies between the ranks with the stated level. With two to nine, the interval is the range seen: a
new cost falls inside the range of n others with probability (n - 1) / (n + 1).
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

Method = Literal["none", "single", "range", "conformal", "adaptive"]

OUTSIDE = 0.1  # of the distances on each side, so the interval is meant to hold 80 %
WEIGHT = 0.3  # of the newest cost in the running mean; 12.8 % error on the recorded histories
WINDOW = 19  # distances looked at; 19 give the ranks 2 and 18, and let old habits fade
SMALLEST = 1e-6  # a cost of zero has no logarithm


class Estimate(NamedTuple):
    """A cost to expect; `value` is None when nothing was observed, `low` when too little was."""

    value: float | None
    low: float | None
    high: float | None
    level: float | None
    observations: int
    method: Method


def learned_or(learned: Estimate, seen: Estimate) -> Estimate:
    """What was learned of a cost; until it has an interval, what was seen of this command alone."""
    return seen if learned.low is None else learned


def estimate(costs: Sequence[float]) -> Estimate:
    """The next cost after these, oldest first."""
    count = len(costs)
    if count == 0:
        return Estimate(None, None, None, None, 0, "none")
    mean, distances = _follow(costs)
    value = math.exp(mean)
    if count == 1:
        return Estimate(value, None, None, None, 1, "single")
    ranked = sorted(distances[-WINDOW:])
    outside = math.floor(OUTSIDE * (len(ranked) + 1) + 1e-9)
    if outside == 0:
        level = (count - 1) / (count + 1)
        return Estimate(value, min(costs), max(costs), level, count, "range")
    low, high = ranked[outside - 1], ranked[len(ranked) - outside]
    level = 1 - 2 * outside / (len(ranked) + 1)
    return Estimate(value, math.exp(mean + low), math.exp(mean + high), level, count, "conformal")


def _follow(costs: Sequence[float]) -> tuple[float, list[float]]:
    """The running mean of the logarithms, and how far each cost fell from the mean before it."""
    logs = [math.log(max(cost, SMALLEST)) for cost in costs]
    mean = logs[0]
    distances: list[float] = []
    for value in logs[1:]:
        distances.append(value - mean)
        mean += WEIGHT * (value - mean)
    return mean, distances
