"""Belief over the four outcomes: a Dirichlet posterior, and the same belief as a point of S³.

The sphere with its round metric is the probability simplex with the Fisher-Rao metric: the point
psi has psi_i² = p_i. Its angles are the ordinary hyperspherical ones.
"""

import math
from typing import NamedTuple, Self

from ring2_orchestrator.ce1.outcome import Counts, Outcome

# Jeffreys' prior: the one that does not depend on how the probabilities are parametrised.
JEFFREYS = 0.5


class Belief(NamedTuple):
    """Four probabilities that sum to one, in the order of `Outcome`."""

    reused: float
    ran: float
    failed: float
    drifted: float

    @classmethod
    def after(cls, counts: Counts) -> Self:
        """The mean of the Dirichlet posterior: (n_i + 1/2) / (n + 2)."""
        total = counts.total + JEFFREYS * len(Outcome)
        return cls(*((counts.at(outcome) + JEFFREYS) / total for outcome in Outcome))

    def at(self, outcome: Outcome) -> float:
        """How likely that outcome is."""
        return self[tuple(Outcome).index(outcome)]

    @property
    def point(self) -> tuple[float, float, float, float]:
        """The unit vector psi with psi_i² = p_i and no negative coordinate."""
        return (
            math.sqrt(self.reused),
            math.sqrt(self.ran),
            math.sqrt(self.failed),
            math.sqrt(self.drifted),
        )


class Angles(NamedTuple):
    """A point of S³: psi = (cos t, sin t cos f, sin t sin f cos s, sin t sin f sin s)."""

    theta: float
    phi: float
    psi: float

    @classmethod
    def of(cls, point: tuple[float, float, float, float]) -> Self:
        """The angles of a unit vector: theta and phi in [0, pi], psi in (-pi, pi]."""
        a, b, c, d = point
        # hypot and atan2 keep full precision where an arc cosine would lose half of it.
        return cls(
            math.atan2(math.hypot(b, c, d), a),
            math.atan2(math.hypot(c, d), b),
            math.atan2(d, c),
        )

    @property
    def point(self) -> tuple[float, float, float, float]:
        """The unit vector with these angles."""
        side = math.sin(self.theta)
        rest = side * math.sin(self.phi)
        return (
            math.cos(self.theta),
            side * math.cos(self.phi),
            rest * math.cos(self.psi),
            rest * math.sin(self.psi),
        )


def chance(hits: int, trials: int) -> float:
    """Jeffreys' estimate of a probability, (hits + 1/2) / (trials + 1): 1/2 before any trial."""
    return (hits + JEFFREYS) / (trials + 2 * JEFFREYS)


def forecast(counts: Counts, *, reuse: bool) -> Outcome:
    """The outcome to expect: reuse is decided, not guessed; else the most frequent execution.

    Of equally frequent ones the first in the order ran, failed, drifted.
    """
    if reuse:
        return Outcome.REUSED
    return max((Outcome.RAN, Outcome.FAILED, Outcome.DRIFTED), key=counts.at)
