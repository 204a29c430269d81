"""The Kravchuk transform (p = 1/2): its matrix K is symmetric, orthonormal and its own inverse.

So K keeps energy (I1) and undoes itself (I2), and reversing time turns into the sign (-1)^k of the
k-th coordinate (I3): even coordinates are what a series and its mirror share, odd ones the rest.
"""

import math
from collections.abc import Sequence
from functools import cache
from operator import mul

Matrix = tuple[tuple[float, ...], ...]


@cache
def matrix(size: int) -> Matrix:
    """K of `size` rows: K[k][x] = k_k(x) sqrt(C(n, x) / C(n, k) / 2^n), n = size - 1.

    k_k are the Kravchuk polynomials. They are whole numbers, reckoned exactly, so each element is
    right to the last digits of a float at any size.
    """
    assert size >= 1, "a transform of nothing has no matrix"
    n = size - 1
    rows = [_polynomial(n, x) for x in range(size)]
    # K is symmetric, so a row of values at one x is a row of K, too: C(n, x) k_k(x) is the same
    # with x and k exchanged.
    return tuple(
        tuple(_element(rows[x][k], math.comb(n, x), math.comb(n, k), n) for k in range(size))
        for x in range(size)
    )


def transform(values: Sequence[float]) -> list[float]:
    """The coordinates of a series; applied twice, the series again."""
    return [math.fsum(map(mul, row, values)) for row in matrix(len(values))]


def mirror(values: Sequence[float]) -> list[float]:
    """The series with its time reversed."""
    return list(reversed(values))


def symmetry(values: Sequence[float]) -> float:
    """<psi|mirror|psi>: real, 1 for a unit series that is its own mirror, -1 for its opposite."""
    return math.fsum(map(mul, values, reversed(values)))


def _polynomial(n: int, x: int) -> list[int]:
    """k_0(x) to k_n(x), the coefficients of (1 + t)^(n - x) (1 - t)^x."""
    row = [1]
    for factor in [1] * (n - x) + [-1] * x:
        row = [a + factor * b for a, b in zip([*row, 0], [0, *row], strict=True)]
    return row


def _element(value: int, ways_x: int, ways_k: int, n: int) -> float:
    # One root of an exact quotient: powers of two and binomials never leave a float's range.
    numerator, denominator = value * value * ways_x, ways_k << n
    return math.copysign(math.sqrt(numerator / denominator), value) if value else 0.0
