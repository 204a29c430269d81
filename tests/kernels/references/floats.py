"""Lanes of floats as transforms read and write them, and residuals, in numpy."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
CANONICAL = {4: 0x7FC00000, 8: 0x7FF8000000000000}


def bits(lanes: Array) -> Array:
    """The same bits as whole numbers."""
    return lanes.view(f"<u{lanes.itemsize}")


def values(lanes: Array) -> Array:
    """The lanes in doubles; what is not finite counts as 0."""
    finite = np.isfinite(lanes)
    out = np.zeros(len(lanes))
    out[finite] = lanes[finite]
    return out


def lanes(values: Array, dtype: "np.dtype[Any]") -> Array:
    """Doubles as lanes; a NaN has one bit pattern."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        out = values.astype(dtype)
    bits(out)[np.isnan(values)] = CANONICAL[dtype.itemsize]
    return out


def ordered(lanes: Array) -> Array:
    """Whole numbers that grow as the floats do, -0 just below 0."""
    sign = np.array(1 << (8 * lanes.itemsize - 1), f"<u{lanes.itemsize}")
    return np.where(bits(lanes) & sign, ~bits(lanes), bits(lanes) | sign)


def unordered(places: Array) -> Array:
    """The floats at those places."""
    sign = np.array(1 << (8 * places.itemsize - 1), places.dtype)
    return np.where(places & sign, places & ~sign, ~places).view(f"<f{places.itemsize}")


def residual(lanes_: Array, near: Array) -> Array:
    """How far the lanes lie from what is reconstructed for them, as the bits of lanes."""
    return (ordered(lanes_) - ordered(lanes(near, lanes_.dtype))).view(lanes_.dtype)


def restored(residual_: Array, near: Array) -> Array:
    """The lanes that lie so far from what is reconstructed for them."""
    return unordered(ordered(lanes(near, residual_.dtype)) + bits(residual_))


def noise(dtype: str, length: int) -> Array:
    """Bit patterns of every kind: ordinary numbers, tiny and huge ones, NaNs, infinities, zeros."""
    rng = np.random.default_rng(length)
    kind = np.dtype(f"<f{int(dtype[1:]) // 8}")
    any_bits = rng.integers(0, 256, length * kind.itemsize, dtype=np.uint8).view(kind)
    info = np.finfo(kind)
    special = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, info.max, -info.max, info.tiny / 3])
    out = rng.normal(0, 3, length).astype(kind)
    out = np.where(rng.random(length) < 0.1, any_bits, out)
    with np.errstate(over="ignore", under="ignore"):
        return np.where(rng.random(length) < 0.1, rng.choice(special, length).astype(kind), out)


def wave(dtype: str, length: int) -> Array:
    """Something smooth with a little noise, as sensors give it."""
    rng = np.random.default_rng(length)
    time = np.arange(length)
    smooth = 20 * np.sin(0.05 * time) + 3 * np.cos(0.71 * time) + rng.normal(0, 0.1, length)
    return smooth.astype(f"<f{int(dtype[1:]) // 8}")
