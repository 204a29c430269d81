"""The one seam through which time enters: a clock is an argument, so a test never sleeps."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for people, monotonic time for durations; neither ever enters a CID's content."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch; may jump when the machine's clock is set."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go backwards; only differences have a meaning."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, as the machine believes."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds of CLOCK_MONOTONIC."""
        return time.monotonic_ns()


class ManualClock:
    """A clock that moves only when told to."""

    def __init__(self, wall_ns: int = 0, steady_ns: int = 0) -> None:
        self.wall_ns = wall_ns
        self.steady_ns = steady_ns

    def now_ns(self) -> int:
        """The wall time last set."""
        return self.wall_ns

    def monotonic_ns(self) -> int:
        """The steady time last set."""
        return self.steady_ns

    def advance(self, ns: int) -> None:
        """Let `ns` nanoseconds pass on both clocks."""
        self.wall_ns += ns
        self.steady_ns += ns
