"""Streams under search, and the ways to end each: what they cost in bytes and in decode fuel."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cid_store.cid import Cid
from ring0.plan import Dtype, Plan
from ring2_orchestrator.planner.moves import graft

# What a step must save on the sample to be kept: one that saves less has fitted the sample, and
# would still have to be executed at every decoding.
_LEAST_PRICE = 16
_PRICE_PART = 1024
# Of ways that are smaller or quicker than each other, no more are kept for one stream.
_KEPT = 6

Key = tuple[Dtype, Cid]


@dataclass(frozen=True, slots=True)
class Stream:
    """One value of a plan on the sample: its type and its bytes."""

    dtype: Dtype
    data: bytes
    cid: Cid

    @property
    def key(self) -> Key:
        """What tells streams apart."""
        return (self.dtype, self.cid)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to go on from a stream to the end: a plan for it, its bytes and its decode fuel.

    `size` has the price of every step in it.
    """

    step: Plan
    parts: "tuple[Way, ...]"
    size: int
    fuel: int

    def plan(self) -> Plan:
        """The whole plan from the stream on."""
        return joined(self.step, [part.plan() for part in self.parts])

    @property
    def steps(self) -> int:
        """How many steps it has in all."""
        return len(self.step.steps) + sum(part.steps for part in self.parts)


@dataclass(frozen=True, slots=True)
class Edge:
    """A step that was taken from a stream: what it makes, and what undoing it costs."""

    step: Plan
    price: int
    fuel: int
    children: "tuple[Node, ...]"


@dataclass(eq=False, slots=True)
class Node:
    """A stream with the endings tried on it. `edges` are known once it was opened.

    `idle` is how many steps have led to it since one that promised to save something.
    """

    stream: Stream
    depth: int
    idle: int
    endings: list[Way]
    estimated: int
    more_endings: list[Way] = field(default_factory=list[Way])
    edges: list[Edge] = field(default_factory=list[Edge])
    is_open: bool = False


def step_price(stream: Stream) -> int:
    """The bytes that a step on a stream has to save."""
    return max(_LEAST_PRICE, len(stream.data) // _PRICE_PART)


def as_it_stands(stream: Stream) -> Way:
    """The way to store a stream without another step."""
    return Way(Plan(stream.dtype, ()), (), len(stream.data), 0)


def best_ways(ways: Iterable[Way], limit: int) -> tuple[Way, ...]:
    """The ways within a limit of fuel that no other beats in both bytes and fuel, by size."""
    kept: list[Way] = []
    for way in sorted(ways, key=lambda way: (way.size, way.fuel, way.steps)):
        if way.fuel <= limit and (not kept or way.fuel < kept[-1].fuel):
            kept.append(way)
    # The smallest and the quickest are always among them.
    return tuple(kept) if len(kept) <= _KEPT else (*kept[: _KEPT - 1], kept[-1])


def combined(edge: Edge, parts: Sequence[tuple[Way, ...]], limit: int) -> list[Way]:
    """The ways through a step, given those of each stream that it makes."""
    step = edge.step
    ways = [Way(step, (), edge.price, edge.fuel)]
    for choices in parts:
        ways = [
            Way(step, (*way.parts, choice), way.size + choice.size, way.fuel + choice.fuel)
            for way in ways
            for choice in choices
        ]
        ways = list(best_ways(ways, limit))
    return ways


def joined(step: Plan, parts: Sequence[Plan]) -> Plan:
    """A plan with its streams continued; those without a part stay as they are."""
    plan = step
    numbers = {number: number for number in step.streams}
    for number, part in zip(step.streams, parts, strict=False):
        plan, _, moved = graft(plan, numbers[number], part)
        numbers = {old: moved[new] for old, new in numbers.items() if new in moved}
    return plan
