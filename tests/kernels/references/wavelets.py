"""haar and cdf53 in numpy: lanes of an unsigned type in, its arithmetic modulo a power of two."""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
EDGES = ("zero", "periodic", "reflect", "causal")


def signed(lanes: Array) -> Array:
    """The same bits, read with a sign."""
    return lanes.view(f"<i{lanes.itemsize}")


def unsigned(lanes: Array) -> Array:
    """The same bits, read without a sign."""
    return lanes.view(f"<u{lanes.itemsize}")


def mean(a: Array, b: Array) -> Array:
    """(a + b) / 2, rounded down, for lanes whose difference fits their type with a sign."""
    return a + unsigned(signed(b - a) >> 1)


def quarter(a: Array, b: Array) -> Array:
    """(a + b + 2) / 4, rounded down, of lanes with a sign."""
    whole = signed(a).astype(object) + signed(b).astype(object)
    return ((whole + 2) // 4).astype(f"<i{a.itemsize}").view(a.dtype)


def around(stream: Array, edge: str) -> Array:
    """The stream between the lane that stands before it and the one that stands after it."""
    first, last = {
        "zero": (0, 0),
        "periodic": (stream[-1], stream[0]),
        "reflect": (stream[0], stream[-1]),
        "causal": (0, stream[-1]),
    }[edge]
    ends = np.array([first, last], stream.dtype)
    return np.concatenate([ends[:1], stream, ends[1:]])


def haar_part(x: Array, edge: str) -> tuple[Array, Array]:
    """One level: means and differences of pairs; a lane without partner stays."""
    pairs = len(x) // 2
    even, odd = x[: 2 * pairs : 2], x[1::2]
    return np.concatenate([mean(even, odd), x[2 * pairs :]]), odd - even


def haar_join(low: Array, high: Array, edge: str) -> Array:
    """The way back."""
    pairs = len(high)
    even = low[:pairs] - unsigned(signed(high) >> 1)
    return np.concatenate([np.stack([even, even + high], axis=1).ravel(), low[pairs:]])


def cdf53_part(x: Array, edge: str) -> tuple[Array, Array]:
    """One level: odd lanes less their neighbours' mean, even lanes smoothed with what is left."""
    even, odd = x[0::2], x[1::2]
    follower = around(even, edge)[2 : len(odd) + 2]
    high = odd - mean(even[: len(odd)], follower)
    return even + _smoothing(high, len(even), edge), high


def cdf53_join(low: Array, high: Array, edge: str) -> Array:
    """The way back."""
    even = low - _smoothing(high, len(low), edge)
    follower = around(even, edge)[2 : len(high) + 2]
    x = np.empty(len(low) + len(high), low.dtype)
    x[0::2] = even
    x[1::2] = high + mean(even[: len(high)], follower)
    return x


def _smoothing(high: Array, count: int, edge: str) -> Array:
    lanes = around(high, edge)
    return quarter(lanes[:count], lanes[1 : count + 1])


Part = Callable[[Array, str], tuple[Array, Array]]
Join = Callable[[Array, Array, str], Array]
PART: dict[str, Part] = {"haar": haar_part, "cdf53": cdf53_part}
JOIN: dict[str, Join] = {"haar": haar_join, "cdf53": cdf53_join}


def forward(name: str, x: Array, levels: int, edge: str = "zero") -> tuple[Array, Array]:
    """The low lanes of the last level, and the high lanes of all, the last level's first."""
    highs: list[Array] = [x[:0]]
    for _ in range(levels):
        if len(x) < 2:
            break
        x, high = PART[name](x, edge)
        highs.insert(0, high)
    return x, np.concatenate(highs)


def inverse(name: str, low: Array, high: Array, levels: int, edge: str = "zero") -> Array:
    """The lanes that `forward` was given."""
    lengths = [len(low) + len(high)]
    while len(lengths) <= levels and lengths[-1] > 1:
        lengths.append((lengths[-1] + 1) // 2)
    for whole in reversed(lengths[:-1]):
        low, high = JOIN[name](low, high[: whole // 2], edge), high[whole // 2 :]
    return low
