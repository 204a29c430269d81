"""What a call can come to: exactly six things, none of them an exception.

Whatever a kernel does, the host is alive afterwards, and the next call is not affected.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """The kernel did its work: its output ports in order, and the fuel used where metered."""

    outputs: list[bytes]
    fuel: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """No bytes, for a stated reason: the kernel's refusal code, or a rule of the host.

    `reason` is a stable word, `code` the kernel's return value where it was the kernel that
    refused, `detail` a sentence for people.
    """

    reason: str
    code: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class Trapped:
    """The sandbox stopped the kernel; `code` is a stable word such as `unreachable`."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class OutOfFuel:
    """The kernel used all the fuel its boundary gave it."""

    fuel: int


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The call passed the wall time its boundary gave it, compiling included."""

    wall_ms: int


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """The call needed more memory than its boundary, its module or the machine gave it.

    `everywhere` where it was the boundary or the module, which are the same on every machine.
    """

    memory_bytes: int
    detail: str
    everywhere: bool = False


Outcome = Result | Refused | Trapped | OutOfFuel | TimedOut | OutOfMemory

_NAMES: dict[type, str] = {
    Result: "result",
    Refused: "refused",
    Trapped: "trapped",
    OutOfFuel: "out of fuel",
    TimedOut: "timed out",
    OutOfMemory: "out of memory",
}


def name_of(outcome: Outcome) -> str:
    """Which of the six it is, in the words that never change."""
    return _NAMES[type(outcome)]


def reason_of(outcome: Outcome) -> str:
    """The stable word that says why; empty where the outcome itself says it."""
    match outcome:
        case Refused(reason):
            return reason
        case Trapped(code):
            return code
        case _:
            return ""


def sentence(outcome: Outcome) -> str:
    """The outcome in one sentence, for reports and error messages."""
    match outcome:
        case Result(outputs, fuel):
            metered = "" if fuel is None else f", {fuel:,} fuel"
            return f"done: {len(outputs)} outputs, {sum(map(len, outputs)):,} bytes{metered}"
        case Refused(reason, code, detail):
            said = "" if code is None else f" (code {code})"
            return f"refused, {reason}{said}: {detail}"
        case Trapped(code, detail):
            return f"trapped, {code}: {detail}"
        case OutOfFuel(fuel):
            return f"out of fuel: it used all {fuel:,} units"
        case TimedOut(wall_ms):
            return f"timed out: it took longer than {wall_ms:,} ms"
        case OutOfMemory(memory_bytes, detail):
            return f"out of memory: {detail} (limit {memory_bytes:,} bytes)"
