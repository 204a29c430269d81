"""What one call may touch and use. Whatever is not granted is denied."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import SupportsIndex

from cid_store.errors import UsageError
from ring0.errors import CapabilityError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


# Every kind of effect that a boundary can grant; what is not here cannot be granted at all. No
# kernel is given any of them: they are for what may once run beside kernels.
EFFECTS: Mapping[str, str] = MappingProxyType(
    {
        "clock": "read the time of day; the scope is 'now'",
        "random": "draw bytes that no seed fixes; the scope is how many",
        "read": "read the object or the folder that the scope names, and what it leads to",
        "write": "make and change files in the folder that the scope names",
        "connect": "open a connection to the HOST:PORT that the scope is",
        "run": "start the program that the scope names",
    }
)


def is_whole(value: object) -> bool:
    """Whether it is a whole number, of Python's own type or another."""
    return type(value) is int or isinstance(value, SupportsIndex)


@dataclass(frozen=True, slots=True, order=True)
class Capability:
    """A value that permits one kind of effect within a scope; its absence means refusal.

    `kind` is one of `EFFECTS`. Raises CapabilityError for any other, and for an empty scope:
    there is no capability for everything.
    """

    kind: str
    scope: str

    def __post_init__(self) -> None:
        if self.kind not in EFFECTS:
            known = ", ".join(EFFECTS)
            raise CapabilityError(f"no capability is called {self.kind!a}; there are {known}")
        if not self.scope:
            raise CapabilityError(f"a capability to {self.kind} names its scope, and this is empty")

    def __str__(self) -> str:
        return f"{self.kind} {self.scope!a}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """The limits and capabilities of one call.

    `fuel` is counted by the engine, one unit an instruction or so, the same on every machine;
    None leaves the call unmetered. `memory_bytes` bounds the module's linear memory, `output_bytes`
    all outputs together, `wall_ms` the whole call. Kernels hold no capabilities at all.
    """

    fuel: int | None = None
    memory_bytes: int = GIB
    output_bytes: int = GIB
    wall_ms: int = 60_000
    capabilities: frozenset[Capability] = frozenset()

    def __post_init__(self) -> None:
        limits = (self.memory_bytes, self.output_bytes, self.wall_ms)
        if not all(type(one) is Capability for one in self.capabilities):
            raise CapabilityError("a boundary grants capabilities, which are made by that class")
        fuels = () if self.fuel is None else (self.fuel,)
        if not all(map(is_whole, (*limits, *fuels))):
            raise UsageError("a boundary's limits and its fuel are whole numbers")
        if min(limits) < 0 or (self.fuel is not None and not 0 <= self.fuel < 1 << 63):
            raise UsageError("a boundary's limits are not negative and its fuel is below 2^63")


DEFAULT = Boundary()

# For code nobody vouches for, when the caller states no limits of his own.
CAUTIOUS = Boundary(fuel=1_000_000_000, memory_bytes=64 * MIB, output_bytes=16 * MIB, wall_ms=2_000)
