"""How long is waited, and how often tried: planned from how a server answered before."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from ring2_orchestrator.ce1.action import attempts_for

_FEWEST = 5  # latencies below which nothing is planned from them
_UPPER = 0.95
_SILENCE_S, _LEAST_SILENCE_S, _MOST_SILENCE_S = 30.0, 10.0, 120.0
_PAUSE_S, _LEAST_PAUSE_S, _MOST_FIRST_PAUSE_S = 0.5, 0.25, 5.0
_RETRIES = 3


class Past(NamedTuple):
    """How a server answered before, the newest first."""

    latencies_s: tuple[float, ...] = ()
    tries: int = 0
    failures: int = 0


class Pace(NamedTuple):
    """What is planned for one load."""

    silence_s: float
    pause_s: float
    retries: int

    @classmethod
    def of(cls, past: Past, *, silence_s: float | None, retries: int | None) -> "Pace":
        """Four times what 19 of 20 answers took at most is waited for, within bounds.

        Tries are what leaves one failure in ten, at the rate of failures that was seen.
        """
        known = len(past.latencies_s) >= _FEWEST
        if silence_s is None:
            silence_s = _SILENCE_S
            if known:
                wanted = 4 * upper(past.latencies_s)
                silence_s = min(max(wanted, _LEAST_SILENCE_S), _MOST_SILENCE_S)
        pause_s = _PAUSE_S
        if known:
            pause_s = min(max(2 * median(past.latencies_s), _LEAST_PAUSE_S), _MOST_FIRST_PAUSE_S)
        if retries is None:
            retries = _RETRIES
            if past.tries >= _FEWEST:
                failure = (past.failures + 0.5) / (past.tries + 1)
                retries = max(attempts_for(failure) - 1, _RETRIES)
        return cls(silence_s, pause_s, retries)

    def silence(self, attempt: int) -> float:
        """How long the attempt of that number, from 0, waits for a byte: each twice the last."""
        return max(self.silence_s, min(self.silence_s * 2**attempt, _MOST_SILENCE_S))

    def pause(self, attempt: int, spread: float) -> float:
        """How long is paused after it; `spread` from 0 to 1 keeps many from asking at once."""
        return self.pause_s * 2 ** min(attempt, 16) * (0.5 + spread / 2)


def upper(latencies_s: Sequence[float]) -> float:
    """What 19 of 20 of them do not exceed, taken for one more: with few, the largest."""
    ordered = sorted(latencies_s)
    at = math.ceil((len(ordered) + 1) * _UPPER) - 1
    return ordered[min(at, len(ordered) - 1)]


def jitter(latencies_s: Sequence[float]) -> float:
    """How much neighbours differ on average; 0 where there is but one."""
    steps = [abs(one - other) for one, other in pairwise(latencies_s)]
    return sum(steps) / len(steps) if steps else 0.0


def asked_to_wait(text: str | None, now_ns: int) -> float | None:
    """How many seconds a Retry-After header asks for; None where it says nothing."""
    said = (text or "").strip()
    if said.isascii() and said.isdecimal():
        return float(min(int(said[:12]), 1 << 31))
    try:
        then = parsedate_to_datetime(said)
    except (ValueError, OverflowError):
        return None
    then = then if then.tzinfo is not None else then.replace(tzinfo=UTC)
    return max(0.0, (then - datetime.fromtimestamp(now_ns / 1e9, UTC)).total_seconds())
