"""Intervals that hold what they promise: quantiles of past misses, with levels that adapt.

A miss is how far a logarithm fell from its estimate, divided by how far it usually does for that
command. The interval lies between two quantiles of the latest misses. After each run, either
level moves a little against what just happened (adaptive conformal inference, Gibbs and Candès
2021), so the share of runs inside tends to the stated one whatever the misses do.
"""

import bisect
from collections.abc import Sequence

OUTSIDE = 0.1  # of the runs on each side: 80 % inside
WINDOW = 200
STEP = 0.15  # by how much of a miss a level moves
ENOUGH = 9  # misses, before which there are no quantiles: the first and last of nine hold 80 %
_WIDEST, _NARROWEST = -0.05, 0.4


class Conformal:
    """The misses of one kind of cost, and the two levels."""

    def __init__(self) -> None:
        self.misses: list[float] = []  # oldest first
        self._ranked: list[float] = []  # the same in order, made when it is needed
        self.below = self.above = OUTSIDE

    def ends(self) -> tuple[float, float] | None:
        """The least and the largest miss to expect; None while too few were seen."""
        if len(self.misses) < ENOUGH:
            return None
        if len(self._ranked) != len(self.misses):
            self._ranked = sorted(self.misses)
        return _quantile(self._ranked, self.below), _quantile(self._ranked, 1 - self.above)

    def learn(self, miss: float) -> None:
        """One more miss."""
        ends = self.ends()
        if ends is not None:
            low, high = ends
            self.below = _moved(self.below, outside=miss < low)
            self.above = _moved(self.above, outside=miss > high)
            bisect.insort(self._ranked, miss)
            if len(self.misses) >= WINDOW:
                del self._ranked[bisect.bisect_left(self._ranked, self.misses[0])]
        self.misses = [*self.misses[1 - WINDOW :], miss]


def _moved(level: float, *, outside: bool) -> float:
    return min(max(level + STEP * (OUTSIDE - outside), _WIDEST), _NARROWEST)


def _quantile(ranked: Sequence[float], level: float) -> float:
    """The value below which a new one falls with that probability; a little past either end."""
    count = len(ranked)
    at = level * (count + 1) - 1
    if 0 <= at < count - 1:
        lower = int(at)
        return ranked[lower] + (at - lower) * (ranked[lower + 1] - ranked[lower])
    # Farther out by what the outermost tenth spans, for as much as the level asks beyond.
    tenth = max(count // 10, 1)
    if at < 0:
        return ranked[0] + at / count / OUTSIDE * (ranked[tenth] - ranked[0])
    beyond = (at - (count - 1)) / count / OUTSIDE
    return ranked[-1] + beyond * (ranked[-1] - ranked[-1 - tenth])
