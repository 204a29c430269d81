"""Program to plan: choices taken, every stage applied to every stream it meets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
)

# A choice as one stream meets it: the line and column of each choice around it and of itself, each
# with the place of the stream among those that met it.
Site = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Met:
    """A choice that lowering came to, and how many alternatives it has."""

    site: Site
    alternatives: int


@dataclass(frozen=True, slots=True)
class Lowered:
    """A plan, the choices met on the way, and the streams at which the gene has a hole."""

    plan: Plan
    choices: tuple[Met, ...]
    holes: tuple[int, ...]


def lower(program: Program, picks: Mapping[Site, int]) -> Lowered:
    """The plan of a program under these picks; a choice without a pick takes its first."""
    work = _Work(PlanBuilder(program.dtype), picks, {program.input: [0]})
    for statement in program.statements:
        streams = _pipe(work, statement.pipe)
        if isinstance(statement, ProgramLet):
            _bind_names(work, statement.names, streams)
    plan, numbers = work.builder.build_numbered()
    return Lowered(plan, tuple(work.met), tuple(sorted(numbers[handle] for handle in work.holes)))


@dataclass(slots=True)
class _Work:
    builder: PlanBuilder
    picks: Mapping[Site, int]
    names: dict[str, list[int]]
    met: list[Met] = field(default_factory=list[Met])
    holes: list[int] = field(default_factory=list[int])


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
    return work.builder.add(stage.kernel.cid, stage.parameters, streams, outputs)
