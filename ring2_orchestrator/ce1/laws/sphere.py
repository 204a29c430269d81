"""Rotations of the sphere S3 as pairs of unit quaternions, in whole numbers: exact to undo.

A number is kept as a whole multiple of 2^-62. Products are rounded in one stated way, so a turn
gives the same bits on every machine, whatever its sines are like.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

BITS = 62
ONE = 1 << BITS

Grid = tuple[int, int, int, int]


class Turn(NamedTuple):
    """x becomes left * x * conjugate(right); both are unit quaternions on the grid."""

    left: Grid
    right: Grid

    @property
    def back(self) -> "Turn":
        """The turn that undoes this one, up to rounding."""
        return Turn(conjugate(self.left), conjugate(self.right))

    def apply(self, point: Grid) -> Grid:
        """The turned point, of length one again."""
        return unit(multiply(multiply(self.left, point), conjugate(self.right)))


STAY = Turn((ONE, 0, 0, 0), (ONE, 0, 0, 0))


def on_grid(values: Sequence[float]) -> Grid:
    """The nearest point of the grid and the sphere to a vector that is not zero."""
    a, b, c, d = (round(math.ldexp(value, BITS)) for value in values)
    return unit((a, b, c, d))


def off_grid(point: Grid) -> tuple[float, float, float, float]:
    """The point as floats."""
    a, b, c, d = (math.ldexp(value, -BITS) for value in point)
    return a, b, c, d


def conjugate(q: Grid) -> Grid:
    """The quaternion with its vector part turned; of a unit quaternion, the inverse."""
    return q[0], -q[1], -q[2], -q[3]


def multiply(p: Grid, q: Grid) -> Grid:
    """Hamilton's product, each coordinate rounded once."""
    a, b, c, d = p
    e, f, g, h = q
    return (
        _scaled(a * e - b * f - c * g - d * h),
        _scaled(a * f + b * e + c * h - d * g),
        _scaled(a * g - b * h + c * e + d * f),
        _scaled(a * h + b * g - c * f + d * e),
    )


def unit(q: Grid) -> Grid:
    """The vector drawn to length one."""
    # The root is taken of a number twice as long, so that it has as many digits as the grid.
    length = math.isqrt(sum(value * value for value in q))
    assert length > 0, "nothing has no direction"
    if length == ONE:
        return q
    a, b, c, d = (_rounded(value << BITS, length) for value in q)
    return a, b, c, d


def geodesic(start: Grid, end: Grid, share: float) -> Turn:
    """The turn in the plane of two points that takes `start` that share of the way to `end`.

    What is at right angles to both stays where it is. Opposite points have no one way between
    them, and stay.
    """
    left = _power(multiply(end, conjugate(start)), share / 2)
    right = _power(multiply(conjugate(end), start), share / 2)
    return STAY if left is None or right is None else Turn(left, right)


def angle(p: Grid, q: Grid) -> float:
    """The distance of two points along the sphere, in radians."""
    a, b = off_grid(p), off_grid(q)
    # Half-angle form: an arc cosine would lose half of the digits of a small angle.
    apart = math.hypot(*(x - y for x, y in zip(a, b, strict=True)))
    together = math.hypot(*(x + y for x, y in zip(a, b, strict=True)))
    return 2 * math.atan2(apart, together)


def _power(q: Grid, exponent: float) -> Grid | None:
    w, x, y, z = off_grid(q)
    side = math.hypot(x, y, z)
    if side == 0:
        return (ONE, 0, 0, 0) if w > 0 else None
    turned = exponent * math.atan2(side, w)
    along = math.sin(turned) / side
    return on_grid((math.cos(turned), along * x, along * y, along * z))


def _scaled(value: int) -> int:
    """Divided by 2^BITS and rounded, halves up."""
    return (value + (ONE >> 1)) >> BITS


def _rounded(value: int, by: int) -> int:
    return (2 * value + by) // (2 * by)
