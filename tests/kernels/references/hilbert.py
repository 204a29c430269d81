"""hilbert_lift in numpy: three lifting steps between the even and the odd lanes."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
EDGES = ("zero", "periodic", "reflect", "causal")
SHIFT = 14
TAPS: tuple[tuple[int, ...], ...] = (
    (9291, 1103),
    (10022, 2405, 704, 135),
    (10324, 3169, 1606, 883, 475, 235, 101, 34),
    (10404, 3398, 1957, 1314, 940, 692, 514, 381, 280, 203, 143, 98, 65, 40, 23, 15),
)


def extended(stream: Array, margin: int, edge: str) -> Array:
    """The stream with as many lanes as the margin has before and after it."""
    count = len(stream)
    places = np.arange(-margin, count + margin)
    if count == 0:
        return np.zeros(2 * margin, stream.dtype)
    if edge == "periodic":
        return stream[places % count]
    if edge == "reflect":
        places %= 2 * count
        return stream[np.where(places < count, places, 2 * count - 1 - places)]
    lanes = stream[np.clip(places, 0, count - 1)]
    lanes[places < 0] = 0
    if edge == "zero":
        lanes[places >= count] = 0
    return lanes


def around(stream: Array, count: int, taps: tuple[int, ...], edge: str, nearest: int) -> Array:
    """What the taps make, for each of `count` lanes, of the lanes before and after it in `stream`.

    The nearest before lane i is stream[i + nearest], the nearest after it the next one.
    """
    margin = len(taps)
    lanes = extended(stream, margin + 1, edge)
    at = np.arange(count) + margin + 1 + nearest
    total = np.full(count, 1 << (SHIFT - 1), np.int64)
    for k, tap in enumerate(taps):
        apart = (lanes[at - k] - lanes[at + 1 + k]).view(f"<i{stream.itemsize}")
        total += tap * apart.astype(np.int64)
    return (total >> SHIFT).astype(stream.dtype)


def turn(x: Array, order: int, edge: str, *, back: bool = False) -> Array:
    """The lanes turned by 90 degrees, or turned back."""
    even, odd, taps = x[0::2].copy(), x[1::2].copy(), TAPS[order - 1]
    sign = np.array(-1 if back else 1).astype(x.dtype)
    even += sign * around(odd, len(even), taps, edge, -1)
    odd += sign * around(even, len(odd), taps, edge, 0)
    even += sign * around(odd, len(even), taps, edge, -1)
    y = np.empty_like(x)
    y[0::2], y[1::2] = even, odd
    return y
