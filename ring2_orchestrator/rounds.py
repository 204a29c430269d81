"""How short calls are timed: in turn, so that a noisy moment falls on all of them."""

import time
from collections.abc import Callable, Sequence


def fastest(calls: Sequence[Callable[[], object]], *, rounds: int, round_s: float) -> list[float]:
    """Seconds a call, for each: the best of several rounds of `round_s` seconds, taken in turn."""
    best = [float("inf")] * len(calls)
    for _ in range(rounds):
        for at, call in enumerate(calls):
            count, started = 0, time.perf_counter()
            while (passed := time.perf_counter() - started) < round_s:
                call()
                count += 1
            best[at] = min(best[at], passed / count)
    return best
