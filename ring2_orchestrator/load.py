"""How busy the machine is: what a run's wall time is to be read with."""

import math
import os

_STEPS = 10  # of log(1 + load) to one: a tenth more is lost in what runs differ by anyhow


def load_now() -> float | None:
    """How many programs want to run, as the system averages over the last minute."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def load_step() -> int | None:
    """The same in steps, for whoever would rather say the same again for a while."""
    load = load_now()
    return None if load is None else round(_STEPS * math.log1p(load))


def load_of(step: int | None) -> float | None:
    """The load in the middle of a step."""
    return None if step is None else math.expm1(step / _STEPS)
