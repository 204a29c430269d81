"""Distances at which data resembles itself: channels, rows, records, planes.

Found by autocorrelation. Its transform is one of floats, but what comes out are whole numbers far
larger than its error, so they are rounded to the same numbers everywhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from ring0.plan import Dtype

_WIDTHS = (1, 2, 4, 8)
_MOST = 6
_CHANNELS = 8
_LEVELS = 256
_SCALE = 4096
# A period must lie this much lower than what surrounds it, of _SCALE.
_PROMINENCE = 60
_PER_OCTAVE = 8


@dataclass(frozen=True, slots=True)
class Periods:
    """Distances by the width of the lanes they were seen in, the most telling first, in bytes."""

    by_width: tuple[tuple[int, tuple[int, ...]], ...] = ()

    def lanes(self, dtype: Dtype) -> tuple[int, ...]:
        """The distances that are several whole lanes, as numbers of lanes."""
        width = dtype.width
        own = [each for seen, those in self.by_width if seen == width for each in those]
        # What other widths show best may matter to this one: records of lanes, seen as bytes.
        others = [each for seen, those in self.by_width if seen != width for each in those[:2]]
        whole = [each // width for each in (*own, *others) if each % width == 0 and each > width]
        return tuple(dict.fromkeys(whole))

    def after(self, known: "Periods") -> "Periods":
        """The same distances, behind those that are known beforehand."""
        first = dict(known.by_width)
        found = tuple((width, (*first.pop(width, ()), *those)) for width, those in self.by_width)
        return Periods((*found, *first.items()))


def find_periods(window: bytes) -> Periods:
    """The periods of contiguous data, seen as lanes of every width."""
    found = [(width, _distances(_levels(window, width), width)) for width in _WIDTHS]
    return Periods(tuple(found))


def _distances(values: npt.NDArray[np.int64], width: int) -> tuple[int, ...]:
    """Periods of the values and of their differences, in turn.

    What changes slowly hides its rows among lags that are nearly as near: differences show them.
    """
    ranked = [_ranked(values), _ranked(np.diff(values))]
    if width == 1:
        # Interleaved bytes: each against its own kind, where there are kinds.
        channels = min(ranked[0], key=lambda lag: (lag > _CHANNELS, lag), default=1)
        if channels > 1:
            ranked.append(_ranked(values[channels:] - values[:-channels]))
    mixed = (lag for turn in zip_longest(*ranked) for lag in turn if lag is not None)
    return tuple(lag * width for lag in [*dict.fromkeys(mixed)][:_MOST])


def _ranked(values: npt.NDArray[np.int64]) -> list[int]:
    weights = dict(_periods_of(values))
    return sorted(weights, key=lambda lag: (-weights[lag], lag))[:_MOST]


def _levels(window: bytes, width: int) -> npt.NDArray[np.int64]:
    """Each lane's rank among all, in 256 levels: outliers and exponents weigh no more."""
    lanes = np.frombuffer(window, f"<i{width}", len(window) // width)
    if width == 1:
        return lanes.view("<u1").astype(np.int64)
    edges = np.sort(lanes)[:: max(len(lanes) // _LEVELS, 1)]
    return np.searchsorted(edges, lanes, side="right").astype(np.int64)


def _periods_of(values: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Lags that are nearer than what surrounds them, each with how much."""
    unlike = _unlikeness(values)
    kept: list[int] = []
    for lag in _minima(unlike):
        divisor = max((each for each in kept if lag % each == 0), default=1)
        weight = _prominence(unlike, lag, divisor)
        if weight >= _PROMINENCE:
            kept.append(lag)
            yield lag, weight


def _prominence(unlike: npt.NDArray[np.int64], lag: int, divisor: int) -> int:
    """How much lower a lag lies than what surrounds it on either side; 0 if it is not the lowest.

    Multiples of a period resemble as the period does: what stands out among them tells more.
    """
    reach = max(lag // (8 * divisor), 1) * divisor
    before = unlike[max(lag - reach, 1) : lag : divisor]
    after = unlike[lag + divisor : lag + reach + 1 : divisor]
    if not len(before) or not len(after) or min(before.min(), after.min()) < unlike[lag]:
        return 0
    return int(min(before.max(), after.max()) - unlike[lag])


def _minima(unlike: npt.NDArray[np.int64]) -> list[int]:
    """The lowest local minima of every octave of lags, ascending."""
    middle = unlike[1:-1]
    low = np.flatnonzero((middle <= unlike[:-2]) & (middle < unlike[2:])) + 1
    chosen: list[int] = []
    octave = 2
    while octave < len(unlike):
        # The window around a lag must lie inside what was measured.
        end = min(2 * octave, len(unlike) * 8 // 9 - 1)
        these = low[(low >= octave) & (low < end)]
        lowest = these[np.argsort(unlike[these], kind="stable")[:_PER_OCTAVE]]
        chosen += [int(lag) for lag in lowest]
        octave *= 2
    return sorted(chosen)


def _unlikeness(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The mean squared difference at every lag up to a quarter; what chance gives is _SCALE."""
    count = len(values)
    most = count // 4
    if most < 4:
        return np.zeros(0, np.int64)
    centred = values - int(values.sum()) // count
    size = _fft_size(count + most)
    spectrum = np.fft.rfft(centred.astype(np.float64), size)
    product = np.fft.irfft(spectrum * spectrum.conj(), size)[:most]
    energy = np.concatenate([[0], np.cumsum(centred * centred)])
    lags = np.arange(most)
    squared = energy[count - lags] + energy[count] - energy[lags]
    squared -= 2 * np.rint(product).astype(np.int64)
    chance = max(2 * int(energy[count]) // count, 1)
    return squared * _SCALE // ((count - lags) * chance)


def _fft_size(least: int) -> int:
    """So many samples or a few more, for which a transform is quick: a product of small factors."""
    power = 1 << (least - 1).bit_length()
    return next(size for size in (power // 8 * 5, power // 4 * 3, power) if size >= least)
