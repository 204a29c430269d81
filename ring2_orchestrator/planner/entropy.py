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
    return sum(
        _entropy_bits(np.bincount(data[place::width], minlength=256)) for place in range(width)
    )


def _magnitude_bits(values: npt.NDArray[np.unsignedinteger]) -> int:
    """Lanes as a coder of residuals sees them: how many bits each has, then the bits themselves.

    Small negative numbers are large to the lanes, so they are also taken as folded to small ones.
    """
    signed = values.view(values.dtype.str.replace("u", "i"))
    folded = ((signed << 1) ^ (signed >> (8 * values.itemsize - 1))).view(values.dtype)
    return min(_class_bits(values), _class_bits(folded))


def _class_bits(values: npt.NDArray[np.unsignedinteger]) -> int:
    lengths = np.frexp(values.astype(np.float64))[1]
    counts = np.bincount(lengths, minlength=65)
    return _entropy_bits(counts) + int((counts[1:] * np.arange(len(counts) - 1)).sum())


def _entropy_bits(counts: npt.NDArray[np.intp]) -> int:
    used = counts[counts > 0].astype(np.int64)
    logarithms = _log2(np.append(used, used.sum()))
    bits = int(used.sum() * logarithms[-1] - used @ logarithms[:-1])
    return bits // _ONE + _SYMBOL_BITS * len(used)


def _log2(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Base-2 logarithms of numbers from 1, with 16 bits after the point."""
    shifts = np.maximum(np.frexp(counts.astype(np.float64))[1] - 12, 0).astype(np.int64)
    return _TABLE[counts >> shifts] + shifts * _ONE


def _make_table() -> npt.NDArray[np.int64]:
    """Logarithms of 0 (never asked for) to 4095, bit by bit: a square's is twice as large."""
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
