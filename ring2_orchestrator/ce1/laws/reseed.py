"""Move the prior towards a new belief along a geodesic of S3, and undo it from what was noted.

A step notes its turn, and by how much turning back misses where it came from: a few units of the
grid, because products are rounded. Both are whole numbers, so undoing gives the very same bits.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from ring2_orchestrator.ce1.laws.sphere import Grid, Turn, geodesic, off_grid, on_grid


class Step(NamedTuple):
    """One entry of the audit trail: all that it takes to undo one re-seeding."""

    turn: Turn
    missed: Grid


def point_of(belief: Sequence[float]) -> Grid:
    """The point psi of a belief: psi_i squared is p_i, no coordinate negative."""
    return on_grid([math.sqrt(p) for p in belief])


def belief_of(point: Grid) -> tuple[float, float, float, float]:
    """The four probabilities of a point; they sum to one."""
    a, b, c, d = (value * value for value in off_grid(point))
    total = math.fsum((a, b, c, d))
    return a / total, b / total, c / total, d / total


def reseed(prior: Grid, belief: Sequence[float], share: float) -> tuple[Grid, Step]:
    """The prior moved that share of the way to the belief, and the step that undoes it."""
    turn = geodesic(prior, point_of(belief), share)
    moved = turn.apply(prior)
    found = turn.back.apply(moved)
    a, b, c, d = (was - now for was, now in zip(prior, found, strict=True))
    return moved, Step(turn, (a, b, c, d))


def undo(moved: Grid, step: Step) -> Grid:
    """The prior as it was before the step, bit for bit."""
    found = step.turn.back.apply(moved)
    a, b, c, d = (now + missed for now, missed in zip(found, step.missed, strict=True))
    return a, b, c, d
