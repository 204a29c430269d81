"""mellin in numpy: lanes regrouped on a geometric grid, the cells transformed, and residuals."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np

from tests.kernels.references import floats, fourier

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Grid:
    """Where the cells of a signal of n lanes lie."""

    n: int
    octave: int

    @property
    def octaves(self) -> int:
        """Octaves from 1 to n + 1."""
        return self.n.bit_length() if self.n else 0

    @property
    def size(self) -> int:
        """Numbers in the Fourier transform."""
        size = 2
        while size < self.octave * self.octaves:
            size *= 2
        return size

    @property
    def points(self) -> Array:
        """The ends of the cells."""
        x = np.arange(self.octave) / self.octave * 0.6931471805599453
        first = np.zeros(self.octave)
        for degree in range(18, -1, -1):
            first = first * x + 1 / factorial(degree)
        scales = 2.0 ** np.arange(self.octaves)
        return np.append((scales[:, None] * first).ravel(), 2.0**self.octaves)

    @property
    def roots(self) -> Array:
        """The square roots of the cells' widths."""
        return np.sqrt(np.diff(self.points))

    def pieces(self) -> Iterator[tuple[int, int, float]]:
        """Lane, cell and length of each piece of time that lies in one lane and one cell."""
        points, cell, at = np.append(self.points, np.inf), 0, 1.0
        for lane in range(self.n):
            while points[cell + 1] <= lane + 2:
                yield lane, cell, points[cell + 1] - at
                cell, at = cell + 1, points[cell + 1]
            if at < lane + 2:
                yield lane, cell, lane + 2 - at
            at = lane + 2.0


def cells(grid: Grid, x: Array) -> Array:
    """What of the signal lies in each cell, as numbers of the same energy."""
    sums = np.zeros(len(grid.points) - 1)
    for lane, cell, length in grid.pieces():
        sums[cell] += x[lane] * length
    return sums / grid.roots


def analyse(grid: Grid, x: Array) -> Array:
    """The spectrum: real and imaginary parts in turn."""
    if grid.n == 0:
        return x[:0]
    padded = np.zeros(grid.size)
    out = np.zeros(grid.size + 2)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        held = cells(grid, floats.values(x))
        padded[: len(held)] = held
        out[0::2], out[1::2] = fourier.forward(padded)
        return floats.lanes(out * np.sqrt(1 / grid.size), x.dtype)


def synthesise(grid: Grid, spectrum: Array) -> Array:
    """The lanes as near as the cells give them."""
    near = np.zeros(grid.n)
    if grid.n == 0:
        return near
    values = floats.values(spectrum)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        held = fourier.inverse(values[0::2], values[1::2]) * (2 * np.sqrt(1 / grid.size))
        heights = held[: len(grid.roots)] / grid.roots
        for lane, cell, length in grid.pieces():
            near[lane] += heights[cell] * length
    return near


def forward(x: Array, octave: int) -> tuple[Array, Array]:
    """Spectrum and residual."""
    grid = Grid(len(x), octave)
    spectrum = analyse(grid, x)
    return spectrum, floats.residual(x, synthesise(grid, spectrum))


def inverse(spectrum: Array, residual: Array, octave: int) -> Array:
    """The lanes that `forward` was given."""
    return floats.restored(residual, synthesise(Grid(len(residual), octave), spectrum))
