"""Features: a few small numbers that say what data is like, so that data of one kind is known.

They are made of a sample, in integers, so they are the same on every machine.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ring0.plan import Dtype
from ring2_orchestrator.planner.entropy import estimate, lanes

# Lanes of each width as they stand, and as differences from as many lanes before: neighbours,
# channels, fields of small records.
_LAGS = {Dtype.U8: range(5), Dtype.U16: range(3), Dtype.U32: range(3), Dtype.U64: range(3)}
# What text is made of: lines, words, fields, numbers, letters, JSON, and other scripts.
_CLASSES = (
    b"\n",
    b" ",
    b",\t;|",
    b"0123456789",
    b"abcdefghijklmnopqrstuvwxyz",
    b'"{}[]:',
    bytes(range(0x80, 0x100)),
)
_WHOLE = 255

COUNT = sum(map(len, _LAGS.values())) + len(_CLASSES)


class Features(NamedTuple):
    """`COUNT` numbers from 0 to 255, one byte each, and the least that a view is estimated to take.

    The numbers say, as parts of the sample, what each view of the lanes is estimated to take, and
    then how often bytes of each class occur.
    """

    numbers: bytes
    estimated: int


def features_of(sample: bytes) -> Features:
    """What a sample is like."""
    parts: list[int] = []
    for dtype, lags in _LAGS.items():
        whole = lanes(dtype, sample[: len(sample) // dtype.width * dtype.width])
        parts += [estimate(dtype, _differences(whole, lag)) for lag in lags]
    least = min(parts)
    counts = np.bincount(np.frombuffer(sample, np.uint8), minlength=256)
    parts += [int(counts[list(members)].sum()) for members in _CLASSES]
    numbers = bytes(min(part * _WHOLE // max(len(sample), 1), _WHOLE) for part in parts)
    return Features(numbers, max(least, 1))


def distance(one: bytes, other: bytes) -> int:
    """How unlike each other two samples are, by their features: 0 for the same."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def _differences(values: npt.NDArray[np.unsignedinteger], lag: int) -> bytes:
    return (
        (values[lag:] - values[: max(len(values) - lag, 0)]).tobytes() if lag else values.tobytes()
    )
