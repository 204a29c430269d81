"""Time that a whole examination may take, whatever it turns out to look at."""

import time
from collections.abc import Callable


class UsedUpError(Exception):
    """The time is over; the text says what was not done."""


class Budget:
    """So many seconds from now on."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    @property
    def used_up(self) -> bool:
        """Whether the time is over."""
        return self._clock() >= self._end

    def wall_ms(self, most: int) -> int:
        """What a call may take that may take `most` of its own; at least 1."""
        left = self._end - self._clock()
        return most if left * 1000 >= most else max(1, int(left * 1000))
