"""Packing a file of a known format: which plan each of its parts is packed under."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from ring0.plan import Dtype, Plan
from ring2_orchestrator.container import (
    BLOCK_BYTES,
    MAX_BLOCK,
    Advance,
    BytesSource,
    Cut,
    Segment,
    Source,
    Within,
    framed_size,
    write_blocks,
)
from ring2_orchestrator.finalists import finalists_of
from ring2_orchestrator.fronts import Gathered, Group, Kind, Layout, Run, groups_of, runs_of
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.mdl import header_bytes
from ring2_orchestrator.planner import FALLBACK, Periods, Profile, Proposal
from ring2_orchestrator.planner.sample import ALIGNMENT, WHOLE_BYTES
from ring2_orchestrator.toolbox import Toolbox
from ring2_orchestrator.undressing import Inside, Undressing, decode_fuel_left, dressed
from ring2_orchestrator.winners import Winners

# A group that is smaller, or a smaller part of its file, is not worth a search, nor the parameters
# of genes: plans of larger ones are tried on it.
_LEAST_SEARCHED, _LEAST_PART = 1 << 15, 32
# Of a smaller part than this, only genes that leave nothing open are tried, on a stretch of it.
_LEAST_TUNED = 6
# Where one group is this part of a file, it is planned as if it were all of it.
_MOSTLY = (7, 8)
# What of the search is left to a plan for all of a file that is divided, and the least part of what
# a profile looks at for a plan of a part.
_RIVALS_PART, _LEAST_SEEN = 8, 4
_POOL = 4
# A stream beside the contents of a run that is shorter is left as it is.
_LEAST_SIDE = 48


@dataclass(frozen=True, slots=True)
class Division:
    """A file in segments, and the plans of its largest group, which may suit all of it.

    `room` is how many bytes a block may count as, where contents in coats are longer than these.
    """

    format: str
    segments: tuple[Segment, ...]
    largest: Group
    proposals: tuple[Proposal, ...]
    room: int = 0


def divide(
    source: Source,
    layout: Layout,
    genes: Sequence[Gene],
    tools: Toolbox,
    profile: Profile | None,
    *,
    undressing: Undressing,
    advance: Advance,
    winners: Winners | None = None,
) -> Division | None:
    """The parts of a file, each under the plan that makes it smallest; None where it is one part.

    What the search may cost is shared among the parts by their sizes. Without a profile there is
    none: each part is under one of the genes, or stored.
    """
    bare = dict(undressing.undress(run, profile) for run in runs_of(layout))
    runs, insides = [*bare], {run: inside for run, inside in bare.items() if inside is not None}
    groups = groups_of(runs)
    # A file of coats that stay on is no more than its bytes.
    is_plain = any(part.coat for part in layout.parts) and not any(run.kind for run in runs)
    if (not insides and (len(runs) < 2 or is_plain)) or not groups:
        return None
    plans: dict[Run, Plan | None] = {}
    pool: list[Proposal] = []
    with Path(os.devnull).open("wb") as nowhere:
        for group in groups:
            advance(0, f"a part of {group.size:,} bytes")
            if group.is_coated and profile is not None:
                plans |= _inner_plans(undressing, group, insides, genes, profile)
                continue
            proposals = _proposals(source, group, genes, tools, profile, winners=winners)
            tried = [each.plan for each in (*proposals, *pool)]
            chooser = _Chooser(source, group, [*dict.fromkeys(tried)], tools, nowhere)
            plans |= {run: chooser.best(run) for run in group.runs}
            pool = [*pool, *proposals[:1]][:_POOL]
    segments = tuple(Segment(run.size, plans[run]) for run in runs)
    room = max((len(inside.contents) for inside in insides.values()), default=0)
    return Division(layout.format, segments, groups[0], tuple(pool[:1]), room)


def _inner_plans(
    undressing: Undressing,
    group: Group,
    insides: Mapping[Run, Inside],
    genes: Sequence[Gene],
    profile: Profile,
) -> dict[Run, Plan | None]:
    """The plans of runs in coats: what is in them is planned together, and put in coats again."""
    source, tools = undressing.source, undressing.tools
    those = [insides[run] for run in group.runs]
    least = min(decode_fuel_left(run, insides[run], profile) for run in group.runs)
    slower = replace(profile, decode_fuel=least)
    contents = BytesSource(b"".join(one.contents[one.head :] for one in those), source.name)
    proposals = _proposals(source, group, genes, tools, slower, winners=None, gathered=contents)
    # Coats of the same kernels leave the same streams beside their contents; others leave others.
    firsts = {_kernels_of(run): insides[run] for run in reversed(group.runs)}
    sides = {coat: _side_plans(one, genes, tools, slower) for coat, one in firsts.items()}
    plans: dict[Run, Plan | None] = {}
    with Path(os.devnull).open("wb") as nowhere:
        for run in group.runs:
            inside = insides[run]
            beside = sides[_kernels_of(run)]
            tried = [dressed(inside, each.plan, beside, tools.kernels) for each in proposals]
            chosen = [*dict.fromkeys(plan for plan in tried if plan is not None)]
            chooser = _Chooser(source, group, chosen, tools, nowhere, room=len(inside.contents))
            plans[run] = chooser.best(run)
    return plans


def _kernels_of(run: Run) -> tuple[str, ...]:
    return tuple(layer.kernel for layer in run.coat)


def _side_plans(
    inside: Inside, genes: Sequence[Gene], tools: Toolbox, profile: Profile
) -> dict[int, Plan]:
    """Plans for what a coat leaves beside its contents, where that is worth any."""
    plans: dict[int, Plan] = {}
    for stream, data in inside.sides.items():
        if len(data) < _LEAST_SIDE:
            continue
        quick = replace(profile, search_fuel=0)
        width = inside.plan.values[stream].width
        for each in finalists_of(BytesSource(data), _simple(genes), tools, quick, is_part=True):
            is_fitting = width == 1 or each.plan.input.width <= width
            if is_fitting and each.expected_bytes < len(data):
                plans[stream] = each.plan
                break
    return plans


def rivals(
    source: Source,
    division: Division | None,
    genes: Sequence[Gene],
    tools: Toolbox,
    profile: Profile | None,
    *,
    winners: Winners | None = None,
) -> list[Proposal]:
    """The plans for all of a file that are compared with its parts, each of which has its own."""
    if division is None or profile is None:
        return finalists_of(source, genes, tools, profile, winners=winners)
    if _is_most(division.largest, source):
        fuel, genes = 0, [gene for gene in genes if gene.name == FALLBACK]
    else:
        fuel, genes = profile.search_limit(source.size) // _RIVALS_PART, _simple(genes)
        profile = _shared(profile, 1, _RIVALS_PART)
    found = finalists_of(
        source,
        genes,
        tools,
        replace(profile, search_fuel=fuel),
        winners=winners if fuel else None,
        is_part=True,
    )
    plans = {each.plan for each in found}
    return found + [each for each in division.proposals if each.plan not in plans]


def _proposals(
    source: Source,
    group: Group,
    genes: Sequence[Gene],
    tools: Toolbox,
    profile: Profile | None,
    *,
    winners: Winners | None,
    gathered: Source | None = None,
) -> list[Proposal]:
    gathered = Gathered(source, group) if gathered is None else gathered
    if profile is None:
        return finalists_of(gathered, genes, tools, None)
    is_small = group.size < _LEAST_SEARCHED or group.size * _LEAST_PART < source.size
    if not _is_most(group, source) and is_small:
        # What is hardly searched for is no winner, and costs no more than asking for one.
        profile, genes, winners = replace(profile, search_fuel=0), _simple(genes), None
    elif not _is_most(group, source):
        profile, genes = _shared(profile, group.size, source.size), _fitting(genes, group.kind)
        gathered = _stretch(gathered, profile.sample_bytes)
        if group.size * _LEAST_TUNED < source.size:
            profile, genes, winners = replace(profile, search_fuel=0), _simple(genes), None
    known = Periods()
    if group.kind is not None:
        width = group.kind.dtype.width
        known = Periods(((width, tuple(width * stride for stride in group.kind.strides)),))
    return finalists_of(
        gathered,
        genes,
        tools,
        profile,
        known=known,
        winners=winners,
        is_part=not _is_most(group, source),
    )


def _shared(profile: Profile, size: int, total: int) -> Profile:
    """What of a profile's means a search for so many of all bytes may use."""

    def part(whole: int) -> int:
        return min(max(2 * whole * size // total, whole // _LEAST_SEEN), whole)

    return replace(
        profile,
        search_fuel=profile.search_limit(total) * size // (2 * total),
        sample_bytes=part(profile.sample_bytes),
        judged_bytes=part(profile.judged_bytes),
    )


def _stretch(source: Source, size: int) -> Source:
    """The middle of a source that would else be looked at as a whole."""
    if source.size > WHOLE_BYTES or source.size <= size:
        return source
    begin = (source.size - size) // 2 // ALIGNMENT * ALIGNMENT
    return Within(source, begin, size)


def _is_most(group: Group, source: Source) -> bool:
    return group.size * _MOSTLY[1] >= source.size * _MOSTLY[0]


def _simple(genes: Sequence[Gene]) -> list[Gene]:
    """The genes that leave nothing open that would have to be searched for."""
    return [gene for gene in genes if not gene.unknowns and not gene.has_holes]


def _fitting(genes: Sequence[Gene], kind: Kind | None) -> list[Gene]:
    """The genes for lanes of such a width, and those for bytes, which may be anything."""
    if kind is None:
        return [*genes]
    return [gene for gene in genes if gene.program.dtype.width in (1, kind.dtype.width)]


class _Chooser:
    """Codes runs in earnest, to see what they come to."""

    def __init__(
        self,
        source: Source,
        group: Group,
        plans: Sequence[Plan],
        tools: Toolbox,
        nowhere: IO[bytes],
        *,
        room: int = 0,
    ) -> None:
        self._source = source
        self._room = room
        self._plans = plans
        self._tools = tools
        self._nowhere = nowhere
        # What the plan itself takes is written once for all runs.
        bare = header_bytes(Plan(Dtype.U8, ()), 1, 0, tools.kernels)
        self._price = {
            plan: (header_bytes(plan, 1, 0, tools.kernels) - bare) // len(group.runs)
            for plan in self._plans
        }

    def best(self, run: Run) -> Plan | None:
        """The plan under which a run is smallest; None where storing it costs least."""
        chosen, least = None, run.size + framed_size((), 0) * len([*self._cuts(run, None)])
        for plan in self._plans:
            below = least - self._price[plan]
            size = write_blocks(
                self._nowhere, self._source, self._cuts(run, plan), self._tools.packer, below=below
            )
            if size is not None:
                chosen, least = plan, size + self._price[plan]
        return chosen

    def _cuts(self, run: Run, plan: Plan | None) -> Iterator[Cut]:
        # What is in a coat is not cut.
        size = MAX_BLOCK if run.coat else BLOCK_BYTES
        for index, begin in enumerate(range(run.begin, run.end, size)):
            yield Cut(index, begin, min(size, run.end - begin), plan, room=self._room)
