"""Program to plan: choices taken, every stage applied to every stream it meets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ring0.manifest import Parameter
from ring0.plan import Dtype, Plan, PlanBuilder
from ring0.signature import bind, takes_several
from ring2_orchestrator.gene.program import (
    BitcastStage,
    ChoiceStage,
    HoleStage,
    KernelStage,
    Program,
    ProgramApply,
    ProgramLet,
    ProgramPipe,
    ProgramStage,
    Unknown,
)

# A choice as one stream meets it: the line and column of each choice around it and of itself, each
# with the place of the stream among those that met it. An unknown parameter is a choice, too:
# _NAMED and the letters of its name, since it has one value wherever it stands.
Site = tuple[int, ...]
_NAMED = -1

# Values to try for unknown parameters, by name. Those of UNITS are in lanes of the gene's input.
Offers = Mapping[str, Sequence[int]]
UNITS = ("lag", "row", "record")


@dataclass(frozen=True, slots=True)
class Met:
    """A choice that lowering came to, and how many alternatives it has."""

    site: Site
    alternatives: int


@dataclass(frozen=True, slots=True)
class Lowered:
    """A plan, the choices met on the way, and the streams at which the gene has a hole.

    `unknowns` are the names of the parameters that were left to the planner.
    """

    plan: Plan
    choices: tuple[Met, ...]
    holes: tuple[int, ...]
    unknowns: tuple[str, ...]


def lower(program: Program, picks: Mapping[Site, int], offers: Offers | None = None) -> Lowered:
    """The plan of a program under these picks; a choice without a pick takes its first.

    An unknown parameter takes one of the values that are offered for its name, and its default
    where none is, or where what is offered is outside its range.
    """
    work = _Work(PlanBuilder(program.dtype), picks, offers or {}, {program.input: [0]})
    for statement in program.statements:
        streams = _pipe(work, statement.pipe)
        if isinstance(statement, ProgramLet):
            _bind_names(work, statement.names, streams)
    plan, numbers = work.builder.build_numbered()
    holes = tuple(sorted(numbers[handle] for handle in work.holes))
    return Lowered(plan, tuple(work.met), holes, tuple(work.unknowns))


@dataclass(slots=True)
class _Work:
    builder: PlanBuilder
    picks: Mapping[Site, int]
    offers: Offers
    names: dict[str, list[int]]
    met: list[Met] = field(default_factory=list[Met])
    holes: list[int] = field(default_factory=list[int])
    unknowns: dict[str, None] = field(default_factory=dict[str, None])


def _bind_names(work: _Work, names: Sequence[str], streams: list[int]) -> None:
    if len(names) == 1:
        work.names[names[0]] = streams
        return
    for name, stream in zip(names, streams, strict=True):
        work.names[name] = [stream]


def _pipe(work: _Work, pipe: ProgramPipe) -> list[int]:
    if isinstance(pipe.source, ProgramApply):
        given = [stream for each in pipe.source.inputs for stream in _pipe(work, each)]
        first = () if pipe.source.stage is None else (pipe.source.stage,)
    else:
        given = work.names.pop(pipe.source)
        first = ()
    return _stages(work, (*first, *pipe.stages), given, ())


def _stages(
    work: _Work, stages: Sequence[ProgramStage], streams: list[int], path: Site
) -> list[int]:
    for stage in stages:
        if isinstance(stage, ChoiceStage):
            streams = [
                made
                for at, stream in enumerate(streams)
                for made in _choice(work, stage, stream, (*path, at))
            ]
        elif isinstance(stage, HoleStage):
            work.holes += streams
        else:
            streams = _step(work, stage, streams)
    return streams


def _choice(work: _Work, choice: ChoiceStage, stream: int, path: Site) -> list[int]:
    site = (*path, choice.at.line, choice.at.column)
    work.met.append(Met(site, len(choice.alternatives)))
    return _stages(work, choice.alternatives[work.picks.get(site, 0)], [stream], site)


def _step(work: _Work, stage: KernelStage | BitcastStage, streams: list[int]) -> list[int]:
    if isinstance(stage, BitcastStage):
        return [_bitcast(work, stage.to, stream) for stream in streams]
    if takes_several(stage.kernel.manifest):
        return _kernel(work, stage, streams)
    return [made for stream in streams for made in _kernel(work, stage, [stream])]


def _bitcast(work: _Work, to: Dtype, stream: int) -> int:
    if work.builder.type_of(stream) == to:
        return stream
    return work.builder.add(None, (), [stream], [to])[0]


def _kernel(work: _Work, stage: KernelStage, streams: Sequence[int]) -> list[int]:
    types = [work.builder.type_of(stream) for stream in streams]
    outputs = bind(stage.kernel.manifest, types).outputs
    parameters = [
        _found(work, each.parameter, types[0]) if isinstance(each, Unknown) else each
        for each in stage.parameters
    ]
    return work.builder.add(stage.kernel.cid, parameters, streams, outputs)


def _found(work: _Work, parameter: Parameter, dtype: Dtype) -> int:
    """The value picked for an unknown, in lanes of the stream that its kernel takes."""
    name = parameter.name
    offered = work.offers.get(name, ())
    site = (_NAMED, *name.encode())
    if name not in work.unknowns and len(offered) > 1:
        work.met.append(Met(site, len(offered)))
    work.unknowns[name] = None
    if not offered:
        return parameter.default
    value = offered[work.picks.get(site, 0)]
    if name in UNITS:
        lanes, rest = divmod(value * work.builder.type_of(0).width, dtype.width)
        value = parameter.default if rest else lanes
    return value if parameter.min <= value <= parameter.max else parameter.default
