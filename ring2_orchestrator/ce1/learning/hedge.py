"""A mixture of experts whose loss stays close to that of the best of them, whatever happens.

Log loss is mixable: with weights in proportion to exp(-loss) the mixture's total loss is at most
the best expert's plus log(number of experts). A small share of all weight is dealt out evenly
after each round, so that an expert that was bad for long can come back (fixed share, Herbster and
Warmuth 1998). That share falls as 1/t to a floor, so it costs little where nobody need come back.
"""

import math
from collections.abc import Sequence
from operator import mul

FLOOR = 0.0005  # of the weight is dealt out at least: nine nats bring back the worst of ten
CLEAREST = 0.001  # no expert, and so no mixture, is ever surer than this
MOST_LOSS = -math.log(CLEAREST)


def clipped(p: float) -> float:
    """The probability, kept from certainty."""
    return min(max(p, CLEAREST), 1 - CLEAREST)


def loss(p: float, happened: bool) -> float:  # noqa: FBT001 - an outcome, not an option
    """The log loss of a probability: small where what was likely happened."""
    return -math.log(p if happened else 1 - p)


class Hedge:
    """Weights over a fixed number of experts."""

    def __init__(self, count: int, favourite: int | None = None, floor: float = FLOOR) -> None:
        """All begin equal; or one has half of the weight, and the others share the rest."""
        assert count > 0, "a mixture of nobody says nothing"
        self.rounds = 0
        self._floor = floor
        self.weights = [1 / count] * count
        if favourite is not None and count > 1:
            self.weights = [0.5 / (count - 1)] * count
            self.weights[favourite] = 0.5
        # Nats by which the best expert can be ahead of the mixture, at most.
        self.regret_bound = -math.log(min(self.weights))

    def mixed(self, forecasts: Sequence[float]) -> float:
        """The weighted mean of what the experts say."""
        return math.fsum(map(mul, self.weights, forecasts))

    def learn(self, losses: Sequence[float]) -> None:
        """Move weight to those with the smaller loss."""
        least = min(losses)
        raw = [
            weight * math.exp(least - lost)
            for weight, lost in zip(self.weights, losses, strict=True)
        ]
        self.rounds += 1
        share = max(1 / (self.rounds + 1) ** 2, self._floor)
        kept = (1 - share) / math.fsum(raw)
        self.weights = [weight * kept + share / len(raw) for weight in raw]
        self.regret_bound -= math.log1p(-share)
