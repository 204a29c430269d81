"""Answers of a call, as outcomes."""

from ring0.boundary import Boundary
from ring0.host import call
from ring0.outcome import (
    Outcome,
    OutOfFuel,
    OutOfMemory,
    Refused,
    Result,
    TimedOut,
    Trapped,
)


def outcome_of(answer: call.Answer, boundary: Boundary) -> Outcome:
    """The outcome an answer stands for, under the boundary of its call."""
    match answer.kind:
        case call.RESULT:
            return Result([*answer.outputs], answer.fuel)
        case call.REFUSED:
            return Refused(answer.word, answer.code, answer.detail)
        case call.TRAPPED:
            return Trapped(answer.word, answer.detail)
        case call.NO_FUEL:
            return OutOfFuel(boundary.fuel or 0)
        case call.NO_TIME:
            return TimedOut(boundary.wall_ms)
        case _:
            return OutOfMemory(boundary.memory_bytes, answer.detail, answer.word == call.BEYOND)
