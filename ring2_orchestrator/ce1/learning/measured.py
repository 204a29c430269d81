"""The last events of a command as coordinates: Kravchuk's, and Mellin's on the critical line."""

import math
from collections.abc import Sequence
from functools import cache
from operator import mul

from ring2_orchestrator.ce1.laws import kravchuk, mellin
from ring2_orchestrator.ce1.learning.subject import MEMORY

_NEAR = 8  # events whose Kravchuk coordinates are read
COORDINATES = _NEAR + 4


def coordinates(latest: Sequence[float]) -> list[float]:
    """Twelve real numbers for up to fifteen events, newest first, each 1 or 0.

    Events are amplitudes of plus or minus one by the square root of how many are looked at; what
    did not happen yet is 0.
    """
    signs = [2 * event - 1 for event in latest]
    return [sum(map(mul, row, signs)) for row in _read_out()]


@cache
def _read_out() -> list[tuple[float, ...]]:
    """Both transforms as one matrix: they are linear, so they are that of the unit series."""
    unit = [[float(i == lag) for i in range(MEMORY)] for lag in range(MEMORY)]
    return list(zip(*(_transformed(series) for series in unit), strict=True))


def _transformed(series: Sequence[float]) -> list[float]:
    near = kravchuk.transform([value / math.sqrt(_NEAR) for value in series[:_NEAR]])
    far = mellin.transform(mellin.regroup([value / math.sqrt(MEMORY) for value in series]))
    # A real series of four has four real numbers: the others are their conjugates.
    two = math.sqrt(2)
    return [*near, far[0].real, far[1].real * two, far[1].imag * two, far[2].real]
