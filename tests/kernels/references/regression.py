"""regression in numpy: what weights predict, and residuals."""

from typing import Any

import numpy as np

from tests.kernels.references import floats

Array = np.ndarray[Any, Any]


def weights_of(weights: Array, record: int, history: int) -> list[Array]:
    """The weights of each place of a record; all of them 0 where there are none."""
    counts = [history * record + place for place in range(record)]
    if len(weights) == 0:
        return [np.zeros(count) for count in counts]
    assert len(weights) == sum(counts)
    return np.split(weights, np.cumsum(counts)[:-1])


def predicted(weights: Array, before: Array) -> float:
    """The sum of products, in the order that spec.md gives."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        products = np.append(weights * before, np.zeros(-len(before) % 8)).reshape(-1, 8)
        s = np.zeros(8)
        for eight in products:
            s += eight
        return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))


def forward(x: Array, weights: Array, record: int, history: int) -> Array:
    """The residual under these weights."""
    places, ahead = weights_of(weights, record, history), history * record
    known = np.concatenate([np.zeros(ahead), floats.values(x)])
    near = [
        predicted(w := places[i % record], known[ahead + i - len(w) : ahead + i])
        for i in range(len(x))
    ]
    return floats.residual(x, np.array(near))


def inverse(weights: Array, residual: Array, record: int, history: int) -> Array:
    """The lanes that have this residual under these weights."""
    places, ahead = weights_of(weights, record, history), history * record
    known = np.zeros(ahead + len(residual))
    x = np.zeros_like(residual)
    for i in range(len(x)):
        w = places[i % record]
        near = predicted(w, known[ahead + i - len(w) : ahead + i])
        x[i : i + 1] = floats.restored(residual[i : i + 1], np.array([near]))
        known[ahead + i] = floats.values(x[i : i + 1])[0]
    return x
