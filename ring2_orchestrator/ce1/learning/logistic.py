"""Bayesian logistic regression, learned one observation at a time.

The belief about the weights is a normal distribution: its mean and covariance. An observation
moves the mean to the exact mode of belief times likelihood, which lies along one direction only,
and narrows the covariance there (a Laplace step). A forecast averages over what is not known of
the weights, so it is modest where little was seen (MacKay 1992).
"""

import math
from collections.abc import Sequence
from operator import mul

_ROUNDS = 25


def sigmoid(score: float) -> float:
    """The probability with these log odds."""
    if score >= 0:
        return 1 / (1 + math.exp(-score))
    odds = math.exp(score)
    return odds / (1 + odds)


def logit(p: float) -> float:
    """The log odds of a probability strictly between 0 and 1."""
    return math.log(p / (1 - p))


class Logistic:
    """A regression over a fixed number of traits."""

    def __init__(self, mean: Sequence[float], variance: float) -> None:
        size = len(mean)
        self.mean = list(mean)
        self.covariance = [[variance if i == j else 0.0 for j in range(size)] for i in range(size)]

    def chance(self, traits: Sequence[float]) -> float:
        """The probability of the event."""
        score, _, spread = self._look(traits)
        return sigmoid(score / math.sqrt(1 + math.pi / 8 * spread))

    def learn(self, traits: Sequence[float], happened: bool) -> float:  # noqa: FBT001 - an outcome
        """One more observation; what `chance` said of it just before."""
        score, along, spread = self._look(traits)
        said = sigmoid(score / math.sqrt(1 + math.pi / 8 * spread))
        moved = _mode(score, spread, happened)
        q = sigmoid(score + moved)
        gain = happened - q
        self.mean = [mean + gain * step for mean, step in zip(self.mean, along, strict=True)]
        narrowed = q * (1 - q) / (1 + q * (1 - q) * spread)
        for at, step in enumerate(along):
            if step:
                by = step * narrowed
                row = self.covariance[at]
                self.covariance[at] = [
                    value - by * other for value, other in zip(row, along, strict=True)
                ]
        return said

    def _look(self, traits: Sequence[float]) -> tuple[float, list[float], float]:
        """The score, the direction in which an observation moves the mean, and its spread."""
        along = [sum(map(mul, row, traits)) for row in self.covariance]
        spread = max(sum(map(mul, traits, along)), 0.0)
        return sum(map(mul, self.mean, traits)), along, spread


def _mode(score: float, spread: float, happened: bool) -> float:  # noqa: FBT001 - an outcome
    """The root of m = spread * (happened - sigmoid(score + m)), by safeguarded Newton steps."""
    low, high = (0.0, spread) if happened else (-spread, 0.0)
    moved = 0.0
    for _ in range(_ROUNDS):
        q = sigmoid(score + moved)
        off = moved - spread * (happened - q)
        if off > 0:
            high = moved
        else:
            low = moved
        step = moved - off / (1 + spread * q * (1 - q))
        following = step if low <= step <= high else (low + high) / 2
        if abs(following - moved) <= 1e-12:
            return following
        moved = following
    return moved
