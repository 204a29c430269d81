"""How busy the machine is: what a run's wall time is to be read with."""

import os


def load_now() -> float | None:
    """How many programs want to run, as the system averages over the last minute."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return None
