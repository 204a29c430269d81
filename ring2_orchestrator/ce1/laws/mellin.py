"""The Mellin transform on the line Re s = 1/2, on a geometric grid, where it is unitary.

With t = ratio^j the integral of f(t) t^(s - 1) dt on that line is the Fourier transform of
f(t) sqrt(t): recency at every scale of time becomes a coordinate. A series that is stretched by a
power of the ratio is moved along the grid, so its coordinates only turn their phases.
Edge rule: periodic.
"""

import cmath
import math
from collections.abc import Sequence
from functools import cache

_TURN = 2j * math.pi


def transform(amplitudes: Sequence[complex]) -> list[complex]:
    """The coordinates of amplitudes on the grid; the sum of squares is kept."""
    size = len(amplitudes)
    return [_sum(amplitudes, k, -1) / math.sqrt(size) for k in range(size)]


def inverse(coordinates: Sequence[complex]) -> list[complex]:
    """The amplitudes that have these coordinates."""
    size = len(coordinates)
    return [_sum(coordinates, j, 1) / math.sqrt(size) for j in range(size)]


def stretched(amplitudes: Sequence[complex], steps: int) -> list[complex]:
    """The amplitudes of a series whose times are multiplied by ratio^steps."""
    size = len(amplitudes)
    return [amplitudes[(j - steps) % size] for j in range(size)]


def phases(size: int, steps: int) -> list[complex]:
    """By what stretching multiplies each coordinate: numbers of size one."""
    return [_root(size, -k * steps) for k in range(size)]


def spans(lags: int) -> tuple[range, ...]:
    """Lags 0 to `lags` - 1 in spans that double: 0, 1-2, 3-6, ...; the last may be shorter."""
    return tuple(
        range(2**at - 1, min(2 ** (at + 1) - 1, lags))
        for at in range(lags.bit_length())
        if 2**at - 1 < lags
    )


def regroup(values: Sequence[float]) -> list[float]:
    """A series by lag, newest first, as amplitudes on the grid of `spans`.

    Each is the sum over its span by the square root of its width, which keeps the energy of what
    is constant within spans, and never adds any.
    """
    return [
        math.fsum(values[lag] for lag in span) / math.sqrt(len(span)) for span in spans(len(values))
    ]


def _sum(values: Sequence[complex], at: int, sign: int) -> complex:
    terms = [value * _root(len(values), sign * at * j) for j, value in enumerate(values)]
    return complex(math.fsum(t.real for t in terms), math.fsum(t.imag for t in terms))


def _root(size: int, power: int) -> complex:
    return _roots(size)[power % size]


@cache
def _roots(size: int) -> tuple[complex, ...]:
    return tuple(cmath.exp(_TURN * k / size) for k in range(size))
