"""Random lanes of the kinds in which kernels have been wrong, and lengths and parameters."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from ring0.manifest import Parameter

_DRAWN_LANES = 1_024
# A length that the module mentions is tried up to here.
_MENTIONED_LANES = 4_096

# Sign, exponent and fraction decide what a float is: each kind by its bits, with both signs.
_FLOATS: dict[int, tuple[int, ...]] = {
    4: (
        0x0000_0000, 0x0000_0001, 0x007F_FFFF, 0x0080_0000, 0x3F80_0000, 0x3F7F_FFFF, 0x7F7F_FFFF,
        0x7F80_0000, 0x7F80_0001, 0x7FA0_1234, 0x7FC0_0000, 0x7FC0_0001, 0x7FFF_FFFF, 0x4B80_0000,
    ),
    8: (
        0x0000_0000_0000_0000, 0x0000_0000_0000_0001, 0x000F_FFFF_FFFF_FFFF, 0x0010_0000_0000_0000,
        0x3FF0_0000_0000_0000, 0x3FEF_FFFF_FFFF_FFFF, 0x7FEF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000,
        0x7FF0_0000_0000_0001, 0x7FF4_0000_0000_1234, 0x7FF8_0000_0000_0000, 0x7FF8_0000_0000_0001,
        0x7FFF_FFFF_FFFF_FFFF, 0x4340_0000_0000_0000,
    ),
}  # fmt: skip

_T = TypeVar("_T")


class Drawing:
    """Draws lengths, parameters and lanes; the same seed and order of questions draws the same."""

    def __init__(self, seed: bytes, mentioned: Sequence[int]) -> None:
        """`mentioned` are numbers that are likely to be special cases."""
        self._rng = np.random.default_rng([*seed])
        self._mentioned = mentioned
        self._lengths = [one for one in mentioned if 0 <= one <= _MENTIONED_LANES]
        self._kinds = (
            ("noise", self._noise), ("few values", self._few), ("runs", self._runs),
            ("a walk", self._walk), ("special numbers", self._edges), ("sparse", self._sparse),
            ("measurements", self._measured),
        )  # fmt: skip
        self._special = {width: self._specials(width) for width in (1, 2, 4, 8)}

    def one_of(self, values: Sequence[_T]) -> _T:
        """One of these."""
        return values[int(self._rng.integers(len(values)))]

    def parameter(self, one: Parameter) -> int:
        """Its default half of the time, or anything in its range, small values most often."""
        rng = self._rng
        near = min(one.max, one.min + 40)
        choice = int(rng.integers(8))
        if choice < 4:
            return one.default
        if choice == 4:
            return self.one_of((one.min, one.max))
        fitting = [value for value in self._mentioned if one.min <= value <= one.max]
        if choice == 5 and fitting:
            return self.one_of(fitting)
        return int(rng.integers(one.min, (near if choice < 7 else one.max) + 1, dtype=np.int64))

    def length(self) -> int:
        """A number of lanes: mostly small, sometimes one around which blocks end."""
        rng = self._rng
        choice = int(rng.integers(8))
        if choice < 4:
            return int(rng.integers(0, 70))
        if choice == 4:
            return (1 << int(rng.integers(0, 11))) + int(rng.integers(-1, 2))
        if choice == 5 and self._lengths:
            return self.one_of(self._lengths)
        return int(rng.integers(0, _DRAWN_LANES))

    def length_between(self, low: int, high: int) -> int:
        """A number of lanes from `low` on and below `high`."""
        return int(self._rng.integers(low, high))

    def lanes(self, count: int, widths: Sequence[int]) -> tuple[str, list[bytes]]:
        """One kind of lanes for all streams: its name, and so many lanes for each."""
        name, make = self.one_of(self._kinds)
        return name, [make(count, width).tobytes() for width in widths]

    def all_lanes(self, count: int, widths: Sequence[int]) -> Iterator[tuple[str, list[bytes]]]:
        """Every kind of lanes in turn."""
        for name, make in self._kinds:
            yield name, [make(count, width).tobytes() for width in widths]

    def _specials(self, width: int) -> np.ndarray[Any, Any]:
        limit = 1 << 8 * width
        found = {0, 1, 2, limit - 1, limit - 2, limit // 2, limit // 2 - 1, limit // 2 + 1}
        for bits in _FLOATS.get(width, ()):
            found |= {bits, bits | limit // 2}
        for number in self._mentioned:
            found |= {(number + step) % limit for step in (-1, 0, 1)}
        return np.array(sorted(found), _unsigned(width))

    def _noise(self, count: int, width: int) -> np.ndarray[Any, Any]:
        return self._rng.integers(0, 256, count * width, dtype=np.uint8).view(_unsigned(width))

    def _few(self, count: int, width: int) -> np.ndarray[Any, Any]:
        return self._rng.choice(self._noise(1 + int(self._rng.integers(3)), width), count)

    def _runs(self, count: int, width: int) -> np.ndarray[Any, Any]:
        values = self._rng.choice(self._special[width], count)
        return np.repeat(values, self._rng.integers(1, 30, count))[:count]

    def _walk(self, count: int, width: int) -> np.ndarray[Any, Any]:
        steps = self._rng.integers(-3, 4, count)
        return np.cumsum(steps, dtype=np.int64).astype(_unsigned(width))

    def _measured(self, count: int, width: int) -> np.ndarray[Any, Any]:
        """Floats of one magnitude, here and there a special one; rounded where lanes are narrow."""
        values = np.cumsum(self._rng.normal(0, 10.0 ** int(self._rng.integers(-6, 7)), count))
        if width < 4:
            return values.astype(np.int64).astype(_unsigned(width))
        lanes = values.astype(f"<f{width}").view(_unsigned(width))
        found = self._rng.random(count) < 0.02
        lanes[found] = self._rng.choice(self._special[width], int(found.sum()))
        return lanes

    def _edges(self, count: int, width: int) -> np.ndarray[Any, Any]:
        return self._rng.choice(self._special[width], count)

    def _sparse(self, count: int, width: int) -> np.ndarray[Any, Any]:
        values = self._noise(count, width).copy()
        found = self._rng.random(count) < 0.1
        values[found] = self._rng.choice(self._special[width], int(found.sum()))
        return values


def _unsigned(width: int) -> "np.dtype[Any]":
    return np.dtype(f"<u{width}")
