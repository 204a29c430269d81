"""adaptive_lpc in Python: predictions, products and weights as spec.md says them."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def dot(a: Array, b: Array) -> float:
    """A sum of products in four parts."""
    products = np.append(a * b, np.zeros(-len(a) % 4)).reshape(-1, 4)
    s = np.zeros(4)
    for four in products:
        s += four
    return (s[0] + s[2]) + (s[1] + s[3])


class Predictor:
    """One channel's products and weights."""

    def __init__(self, order: int, channels: int, window: int) -> None:
        self._order, self._channels = order, channels
        self._kept = 1.0 - 2.0**-window
        self._products = np.zeros((order + 1, order + 1))
        self._met = 0
        self._weights = np.zeros(order)

    def expect(self, before: Array) -> float:
        """The value after these."""
        return dot(self._weights, before)

    def follow(self, window: Array) -> None:
        """The last of these values, latest first, is known."""
        old, self._products = self._products, np.zeros_like(self._products)
        new, shift = self._products, self._channels
        new[shift:, shift:] = old[:-shift, :-shift]
        for i in range(min(shift, self._order + 1)):
            new[i] = self._kept * old[i] + window[i] * window
        self._met += 1
        if self._met % 64 == 0:
            self._solve()

    def _solve(self) -> None:
        r, n = self._products, self._order
        more = r[0, 0] * 2.0**-30 + 2.0**-40
        factor, inverse, x = np.zeros((n, n)), np.zeros(n), np.zeros(n)
        for i in range(n):
            for j in range(i):
                rest = r[j + 1, i + 1] - dot(factor[i, :j], factor[j, :j])
                factor[i, j] = rest * inverse[j]
            square = (r[i + 1, i + 1] + more) - dot(factor[i, :i], factor[i, :i])
            if not square > 2.0**-60:
                return
            inverse[i] = 1.0 / np.sqrt(square)
        for i in range(n):
            x[i] = (r[0, i + 1] - dot(factor[i, :i], x[:i])) * inverse[i]
        for i in reversed(range(n)):
            x[i] *= inverse[i]
            x[:i] -= factor[i, :i] * x[i]
        self._weights = x[::-1].copy()


def residual(samples: Array, order: int, channels: int, window: int) -> Array:
    """What the prediction leaves of unsigned lanes that stand for signed numbers."""
    bits = 8 * samples.itemsize
    half = float(1 << (bits - 1))
    predictors = [Predictor(order, channels, window) for _ in range(channels)]
    values = np.zeros(order + len(samples))
    signed = samples.view(f"<i{samples.itemsize}").astype(np.float64)
    out: list[int] = []
    for t in range(len(samples)):
        predictor, now = predictors[t % channels], order + t
        expected = np.floor(predictor.expect(values[t:now]) * half + 0.5)
        expected = max(expected, -half)
        out.append((int(samples[t]) - int(min(expected, half - 1))) % (1 << bits))
        values[now] = signed[t] / half
        predictor.follow(values[t : now + 1][::-1])
    return np.array(out, samples.dtype)
