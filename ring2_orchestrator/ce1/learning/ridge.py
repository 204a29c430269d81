"""Linear regression learned one observation at a time, drawn to zero, forgetting slowly."""

from collections.abc import Sequence
from operator import mul

FORGETTING = 0.995  # of the weight of the past is left after each observation
_MOST = 100.0  # variance of a weight, lest what is never observed grow without end


class Ridge:
    """Recursive least squares over a fixed number of traits."""

    def __init__(self, size: int, variance: float) -> None:
        self.weights = [0.0] * size
        self.covariance = [[variance if i == j else 0.0 for j in range(size)] for i in range(size)]

    def value(self, traits: Sequence[float]) -> float:
        """What is to be expected."""
        return sum(map(mul, self.weights, traits))

    def learn(self, traits: Sequence[float], value: float) -> None:
        """One more observation."""
        along = [sum(map(mul, row, traits)) for row in self.covariance]
        spread = FORGETTING + sum(map(mul, traits, along))
        off = (value - self.value(traits)) / spread
        self.weights = [
            weight + off * step for weight, step in zip(self.weights, along, strict=True)
        ]
        # Without an end, forgetting would blow up the directions in which nothing happens.
        room = max(self.covariance[at][at] for at in range(len(along)))
        forgetting = FORGETTING if room < _MOST else 1.0
        for at, step in enumerate(along):
            by = step / spread
            row = self.covariance[at]
            self.covariance[at] = [
                (old - by * other) / forgetting for old, other in zip(row, along, strict=True)
            ]
