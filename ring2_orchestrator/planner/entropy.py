"""How many bytes a stream would take under a simple coder: an estimate in integers alone.

It prunes what is not worth coding in earnest, and must come out the same on every machine.
"""

import numpy as np
import numpy.typing as npt

from ring0.plan import Dtype

# Logarithms have 16 bits after the point.
_ONE = 1 << 16
_TABLE_SIZE = 1 << 12
# What a coder spends to say how frequent one more symbol is.
_SYMBOL_BITS = 5

# What a number of so many bits takes once that is known: the first of them is always set.
_BITS = np.maximum(np.arange(66) - 1, 0)

_UNSIGNED = {1: "<u1", 2: "<u2", 4: "<u4", 8: "<u8"}


def estimate(dtype: Dtype, data: bytes) -> int:
    """The smaller of two estimates: each byte of a lane on its own, or lanes as small numbers."""
    if not data:
        return 0
    planes = _planes_bits(np.frombuffer(data, "<u1"), dtype.width)
    return (min(planes, _magnitude_bits(lanes(dtype, data))) + 7) // 8


def lanes(dtype: Dtype, data: bytes) -> npt.NDArray[np.unsignedinteger]:
    """The lanes as unsigned numbers, floats by their bits."""
    return np.frombuffer(data, _UNSIGNED[dtype.width])


def _planes_bits(data: npt.NDArray[np.uint8], width: int) -> int:
    """Order-0 entropy of each byte of a lane, with what its table takes."""
    counts = [np.bincount(data[place::width], minlength=256) for place in range(width)]
    return int(_entropy_bits(np.array(counts)).sum())


def _magnitude_bits(values: npt.NDArray[np.unsignedinteger]) -> int:
    """Lanes as a coder of residuals sees them: how many bits each has, then the bits themselves.

    Small negative numbers are large to the lanes, so they are also taken as folded to small ones.
    """
    signed = values.view(values.dtype.str.replace("u", "i"))
    folded = ((signed << 1) ^ (signed >> (8 * values.itemsize - 1))).view(values.dtype)
    counts = np.array([_lengths(values), _lengths(folded)])
    return int((_entropy_bits(counts) + counts @ _BITS).min())


def _lengths(values: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.intp]:
    """How many of the values have each number of bits."""
    return np.bincount(np.frexp(values.astype(np.float64))[1], minlength=len(_BITS))


def _entropy_bits(counts: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    """What each row's symbols take, which occur so often."""
    totals = counts.sum(axis=1)
    bits = totals * _log2(totals) - (counts * _log2(counts)).sum(axis=1)
    return bits // _ONE + _SYMBOL_BITS * np.count_nonzero(counts, axis=1)


def _log2(counts: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    """Base-2 logarithms of numbers from 1, with 16 bits after the point; 0 for 0."""
    if counts.max() < _TABLE_SIZE:
        return _TABLE[counts]
    shifts = np.maximum(np.frexp(counts.astype(np.float64))[1] - 12, 0).astype(np.int64)
    return _TABLE[counts >> shifts] + shifts * _ONE


def _make_table() -> npt.NDArray[np.int64]:
    """Logarithms of 0 (as if of 1) to 4095, bit by bit: a square's is twice as large."""
    numbers = np.arange(_TABLE_SIZE, dtype=np.uint64)
    numbers[0] = 1
    whole = np.frexp(numbers.astype(np.float64))[1].astype(np.uint64) - np.uint64(1)
    mantissa = numbers << (np.uint64(31) - whole)
    result = whole.astype(np.int64)
    for _ in range(16):
        mantissa = (mantissa * mantissa) >> np.uint64(31)
        carry = mantissa >> np.uint64(32)
        mantissa >>= carry
        result = 2 * result + carry.astype(np.int64)
    return result


_TABLE = _make_table()
