"""What one call may touch and use. Whatever is not granted is denied."""

from dataclasses import dataclass

from cid_store.errors import UsageError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, order=True)
class Capability:
    """A value that permits one kind of effect within a scope; its absence means refusal."""

    kind: str
    scope: str


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
        if min(limits) < 0 or (self.fuel is not None and not 0 <= self.fuel < 1 << 63):
            raise UsageError("a boundary's limits are not negative and its fuel is below 2^63")


DEFAULT = Boundary()

# For code nobody vouches for, when the caller states no limits of his own.
CAUTIOUS = Boundary(fuel=1_000_000_000, memory_bytes=64 * MIB, output_bytes=16 * MIB, wall_ms=2_000)
