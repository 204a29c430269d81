"""Trying a command again where it failed."""

from collections.abc import Callable

from ring2_orchestrator.report import seconds_text
from ring2_orchestrator.runs.result import RunResult

_LONGEST_PAUSE_S = 60.0


def with_retries(
    attempt: Callable[[int], RunResult],
    *,
    retries: int,
    delay_s: float,
    pause: Callable[[float], None],
    tell: Callable[[str], None],
) -> RunResult:
    """What the first successful attempt gives, or the last one; `attempt` is told its number.

    Before each further one there is a pause, twice as long every time. A failure that was reused
    is an answer, and whoever interrupts wants no other attempt.
    """
    number = 1
    while True:
        result = attempt(number)
        if result.exit_code == 0 or number > retries or not _may_repeat(result):
            return result
        delay = min(delay_s * 2 ** (number - 1), _LONGEST_PAUSE_S)
        when = f"again in {seconds_text(delay)}" if delay else "again"
        tell(f"try {number} of {retries + 1}: {_end_of(result)}; {when}")
        pause(delay)
        number += 1


def _may_repeat(result: RunResult) -> bool:
    # What it was given by a pipe can be given again only where all of it was kept.
    lost = any(doubt.kind == "input-size" for doubt in result.doubts)
    return not (result.reused or result.interrupted or lost)


def _end_of(result: RunResult) -> str:
    return "timed out" if result.timed_out else f"exit code {result.exit_code}"
