"""kravchuk in numpy: the matrix by its recurrence, blocks, and residuals."""

from functools import cache
from typing import Any

import numpy as np

from tests.kernels.references import floats

Array = np.ndarray[Any, Any]


@cache
def quarter(n: int) -> Array:
    """The upper left quarter of the matrix, its middle row and column included."""
    rows, last = (n + 1) // 2, n - 1
    column = np.arange(rows, dtype=np.float64)
    out = np.zeros((rows, rows))
    entry = 2.0 ** -(last // 2)
    if last % 2:
        entry *= np.sqrt(0.5)
    for j in range(rows):
        out[0, j] = entry
        entry *= np.sqrt((last - j) / (j + 1))
    before, above = 0.0, out[0]
    for i in range(rows - 1):
        after = np.sqrt((i + 1) * (last - i))
        out[i + 1] = ((last - 2 * column) * out[i] - before * above) / after
        before, above = after, out[i]
    return np.triu(out) + np.triu(out, 1).T


@cache
def matrix(n: int) -> Array:
    """The whole matrix, by its symmetries."""
    rows, part = (n + 1) // 2, quarter(n)
    sign = (-1.0) ** np.arange(n)
    out = np.zeros((n, n))
    out[:rows, :rows] = part
    out[:rows, rows:] = (sign[:rows, None] * part)[:, : n - rows][:, ::-1]
    out[rows:] = (out[: n - rows] * sign)[::-1]
    return out


def multiply(x: Array) -> Array:
    """The matrix times a block, in the order of operations that spec.md gives."""
    n = len(x)
    rows, last, entries = (n + 1) // 2, n - 1, quarter(n)
    y = np.zeros(n)
    upper, lower = np.zeros(rows), np.zeros(rows)
    even = np.arange(rows) % 2 == 0
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for j in range(rows):
            middle = j == last - j
            total = x[j] if middle else x[j] + x[last - j]
            difference = 0.0 if middle else x[j] - x[last - j]
            upper += entries[:, j] * np.where(even, total, difference)
            mirrored = np.where(even ^ (last % 2 == 1), total, difference)
            lower += entries[:, j] * (-mirrored if j % 2 else mirrored)
    y[last - np.arange(rows)] = lower
    y[:rows] = upper
    return y


def forward(x: Array, size: int) -> tuple[Array, Array]:
    """Coefficients and residual."""
    coefficients, residual = [x[:0]], [x[:0]]
    for at in range(0, len(x), size):
        block = x[at : at + size]
        coefficients.append(floats.lanes(multiply(floats.values(block)), x.dtype))
        residual.append(floats.residual(block, multiply(floats.values(coefficients[-1]))))
    return np.concatenate(coefficients), np.concatenate(residual)


def inverse(coefficients: Array, residual: Array, size: int) -> Array:
    """The lanes that `forward` was given."""
    blocks = [coefficients[:0]]
    for at in range(0, len(coefficients), size):
        near = multiply(floats.values(coefficients[at : at + size]))
        blocks.append(floats.restored(residual[at : at + size], near))
    return np.concatenate(blocks)
