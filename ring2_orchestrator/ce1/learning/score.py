"""How good forecasts were, run by run: log loss beside every expert's, and how true they came."""

import math
from collections.abc import Sequence

TENTHS = 10


class Score:
    """Sums over all forecasts of one question; a few numbers, however many there were."""

    def __init__(self, experts: int) -> None:
        self.count = 0
        self.loss = 0.0  # of the mixture, in nats
        self.losses = [0.0] * experts
        # Of forecasts by tenths: how many, the sum of their probabilities, how many came true.
        self.forecasts = [0.0] * TENTHS
        self.expected = [0.0] * TENTHS
        self.happened = [0.0] * TENTHS

    def learn(self, said: float, losses: Sequence[float], *, happened: bool) -> None:
        """What the mixture said, what each expert lost, and what came."""
        self.count += 1
        self.loss -= math.log(said if happened else 1 - said)
        self.losses = [sum(pair) for pair in zip(self.losses, losses, strict=True)]
        tenth = min(int(said * TENTHS), TENTHS - 1)
        self.forecasts[tenth] += 1
        self.expected[tenth] += said
        self.happened[tenth] += happened
