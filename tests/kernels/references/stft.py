"""stft in numpy: frames, windows, overlap-add, and residuals."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.kernels.references import floats, fourier

Array = np.ndarray[Any, Any]
EDGES = ("zero", "periodic", "reflect", "causal")
WINDOWS = ("hann", "sine", "rectangle")

# log_size, overlap, window, edge
How = tuple[int, int, str, str]


@dataclass(frozen=True)
class Shape:
    """What the parameters and the length of the signal decide."""

    n: int
    log_size: int
    overlap: int
    window: str
    edge: str

    @property
    def size(self) -> int:
        """Lanes of a frame."""
        return 1 << self.log_size

    @property
    def hop(self) -> int:
        """Lanes from one frame to the next."""
        return max(1, self.size >> self.overlap)

    @property
    def starts(self) -> Array:
        """Where each frame begins."""
        hops = -(-self.n // self.hop)
        if self.edge == "causal":
            return np.arange(hops) * self.hop - (self.size - self.hop)
        return np.arange(hops + 1 if self.n else 0) * self.hop - self.size // 2

    @property
    def weights(self) -> Array:
        """The window."""
        i = np.arange(self.size)
        if self.window == "hann":
            return 0.5 - 0.5 * fourier.cos_sin(np.minimum(i, self.size - i) / self.size)[0]
        if self.window == "sine":
            return fourier.cos_sin((2 * i + 1) / (4 * self.size))[1]
        return np.ones(self.size)

    def extended(self, x: Array, places: Array) -> Array:
        """The values at those places, also past the ends."""
        if self.edge == "periodic":
            return x[places % self.n]
        if self.edge == "reflect":
            period = max(2 * self.n - 2, 1)
            places = places % period
            return x[np.where(places < self.n, places, period - places)]
        inside = x[np.clip(places, 0, self.n - 1)]
        silent = (places < 0) | ((places >= self.n) & (self.edge == "zero"))
        return np.where(silent, 0.0, inside)


def analyse(shape: Shape, x: Array) -> Array:
    """The spectra, a row a frame: real and imaginary parts in turn."""
    rows = np.zeros((len(shape.starts), shape.size + 2))
    values = floats.values(x)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for row, start in zip(rows, shape.starts, strict=True):
            frame = shape.extended(values, start + np.arange(shape.size))
            row[0::2], row[1::2] = fourier.forward(frame * shape.weights)
    return floats.lanes(rows.ravel(), x.dtype)


def synthesise(shape: Shape, spectra: Array) -> Array:
    """The signal that the spectra come from, as near as they say."""
    room = shape.n + 3 * shape.size
    sums, weights = np.zeros(room), np.zeros(room)
    rows = floats.values(spectra).reshape(-1, shape.size + 2)
    window = shape.weights
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for row, start in zip(rows, shape.starts, strict=True):
            frame = fourier.inverse(row[0::2], row[1::2]) * (2 / shape.size)
            at = slice(start + shape.size, start + 2 * shape.size)
            sums[at] += frame * window
            weights[at] += window * window
        near = np.where(weights > 0, sums / np.where(weights > 0, weights, 1), 0)
    return near[shape.size : shape.size + shape.n]


def forward(x: Array, how: How) -> tuple[Array, Array]:
    """Spectra and residual."""
    shape = Shape(len(x), *how)
    spectra = analyse(shape, x)
    return spectra, floats.residual(x, synthesise(shape, spectra))


def inverse(spectra: Array, residual: Array, how: How) -> Array:
    """The lanes that `forward` was given."""
    shape = Shape(len(residual), *how)
    return floats.restored(residual, synthesise(shape, spectra))
