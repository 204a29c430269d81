"""Packing in parts: each part of a source under the plan that is best for it, in one container."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import IO

from cid_store.errors import InputError
from ring0.plan import Plan
from ring2_orchestrator.container import (
    MAX_PLANS,
    Header,
    Original,
    Segment,
    Source,
    Within,
    write_planned,
    write_stored,
)
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.held import gives_back, hand_over, held
from ring2_orchestrator.packing import pack
from ring2_orchestrator.planner import Profile
from ring2_orchestrator.toolbox import Toolbox
from ring2_orchestrator.winners import Winners

PlanOf = Callable[[Source], Plan | None]


@dataclass(frozen=True, slots=True)
class PackedParts:
    """What packing in parts came to."""

    header: Header
    container_bytes: int


def pack_parts(
    source: Source,
    lengths: Iterable[int],
    out: IO[bytes],
    tools: Toolbox,
    plan_of: PlanOf,
) -> PackedParts:
    """Write the container of a source that is divided into parts of these lengths.

    `plan_of` says which plan is best for a part; None stores it. Before any byte reaches `out`, the
    container was decoded and what it gave was hashed.
    """
    original = Original.of(source)
    segments: list[Segment] = []
    begin = 0
    for length in _few_enough(lengths):
        segments.append(Segment(length, plan_of(Within(source, begin, length))))
        begin += length
    for tried in (segments, [Segment(source.size)]):
        brought = {cid for one in tried if one.plan is not None for cid in one.plan.kernels}
        header = original.divided(tried, carried=tools.kernels.others(sorted(brought)))
        with held() as file:
            size = _written(file, original, header, tools)
            if not gives_back(file, tools):
                continue  # a kernel is wrong, or the source changed: storing tells which
            hand_over(file, out)
            return PackedParts(header, size)
    raise InputError(f"{source.name} changed while it was packed; try again")


def best_plan(
    part: Source,
    genes: Sequence[Gene],
    tools: Toolbox,
    profile: Profile | None,
    *,
    winners: Winners | None = None,
) -> Plan | None:
    """The plan that packing these bytes alone comes to; None where storing them costs least."""
    with held() as unwanted:
        packed = pack(
            part, unwanted, genes, tools, profile=profile, in_parts=False, winners=winners
        )
        return packed.plan


def _few_enough(lengths: Iterable[int]) -> list[int]:
    """The lengths that are not 0; what is too many for a container's plans is one part."""
    given = [length for length in lengths if length]
    first = given[: MAX_PLANS - 1]
    rest = sum(given[MAX_PLANS - 1 :])
    return [*first, rest] if rest else first


def _written(file: IO[bytes], original: Original, header: Header, tools: Toolbox) -> int:
    if not header.has_blocks:
        return write_stored(file, original, tools.kernels)
    size = write_planned(file, original, header, tools.packer, tools.kernels)
    assert size is not None, "without a limit everything is written"
    return size
