"""A checked gene: names resolved, parameters complete, types known to fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from cid_store.cid import Cid
from ring0.manifest import Manifest, Parameter
from ring0.plan import Dtype
from ring2_orchestrator.gene.errors import Position


class NamedKernel(Protocol):
    """What a gene needs to know of a kernel."""

    @property
    def cid(self) -> Cid:
        """Its identity."""
        ...

    @property
    def manifest(self) -> Manifest:
        """Its ports and parameters."""
        ...


Palette = Mapping[str, NamedKernel]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A parameter that the planner finds a value for: one value for all of its name in a gene."""

    parameter: Parameter


@dataclass(frozen=True, slots=True)
class KernelStage:
    """A kernel with every parameter given a value, or left to the planner."""

    kernel: NamedKernel
    parameters: tuple[int | Unknown, ...]


@dataclass(frozen=True, slots=True)
class BitcastStage:
    """The same bytes under another element type; moves nothing."""

    to: Dtype


@dataclass(frozen=True, slots=True)
class ChoiceStage:
    """Alternatives; `at` names the choice among the gene's choices."""

    alternatives: tuple[tuple["ProgramStage", ...], ...]
    at: Position


@dataclass(frozen=True, slots=True)
class HoleStage:
    """What comes after is the planner's to find."""


ProgramStage = KernelStage | BitcastStage | ChoiceStage | HoleStage


@dataclass(frozen=True, slots=True)
class ProgramApply:
    """A kernel on the streams of several pipelines, in order."""

    stage: KernelStage | BitcastStage | None
    inputs: tuple["ProgramPipe", ...]


@dataclass(frozen=True, slots=True)
class ProgramPipe:
    """A source and the stages it flows through."""

    source: str | ProgramApply
    stages: tuple[ProgramStage, ...]


@dataclass(frozen=True, slots=True)
class ProgramLet:
    """One name for all streams of a pipeline, or one name for each."""

    names: tuple[str, ...]
    pipe: ProgramPipe


@dataclass(frozen=True, slots=True)
class ProgramEmit:
    """A pipeline whose streams are stored."""

    pipe: ProgramPipe


@dataclass(frozen=True, slots=True)
class Program:
    """A whole checked gene: what it takes, and its statements in order."""

    input: str
    dtype: Dtype
    statements: tuple[ProgramLet | ProgramEmit, ...]
