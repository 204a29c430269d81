"""Transforms of floats, called both ways: what is tried of each of them alike."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ring0.abi import Op
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.outcome import Refused, Result
from tests.kernels.references import floats

Array = np.ndarray[Any, Any]
TYPES = ("f32", "f64")


@dataclass(frozen=True)
class Transform:
    """A kernel that makes two streams of floats, the second a residual."""

    kernel: Kernel
    host: Host

    def forward(self, data: Array, values: Mapping[str, int]) -> tuple[Array, Array]:
        """What it makes of the lanes and the residual, after the inverse gave the lanes back."""
        params = self.kernel.manifest.encode_parameters(values, dtype=f"f{8 * data.itemsize}")
        given = [data.tobytes()]
        outcome = self.host.call(self.kernel, Op.FORWARD, params, given)
        assert isinstance(outcome, Result), outcome
        assert self.host.call(self.kernel, Op.INVERSE, params, outcome.outputs) == Result(given)
        made, residual = (np.frombuffer(out, data.dtype) for out in outcome.outputs)
        return made, residual

    def refuses_what_it_never_makes(
        self, streams: Sequence[Array], places: Iterable[int], values: Mapping[str, int]
    ) -> None:
        """With a bit changed in either stream of f64, the inverse refuses, or forward undoes it."""
        params = self.kernel.manifest.encode_parameters(values, dtype="f64")
        for stream, place, bit in itertools.product((0, 1), places, (0, 40, 62)):
            changed = [each.copy() for each in streams]
            floats.bits(changed[stream])[place] ^= np.uint64(1 << bit)
            given = [each.tobytes() for each in changed]
            back = self.host.call(self.kernel, Op.INVERSE, params, given)
            if isinstance(back, Result):
                assert self.host.call(self.kernel, Op.FORWARD, params, back.outputs) == Result(
                    given
                )
            else:
                assert isinstance(back, Refused)
                assert back.code == 3
