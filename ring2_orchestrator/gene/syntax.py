"""The syntax tree of a gene: what was written, and where."""

from dataclasses import dataclass

from ring2_orchestrator.gene.errors import Position


@dataclass(frozen=True, slots=True)
class Name:
    """A word in the text."""

    text: str
    at: Position


@dataclass(frozen=True, slots=True)
class Setting:
    """A parameter given a value: a number, or a word where a type is meant.

    None stands for `?`: a number that the planner finds.
    """

    name: Name
    value: int | str | None
    at: Position


@dataclass(frozen=True, slots=True)
class Call:
    """A kernel, a bitcast or `pass`, applied to what the pipeline carries."""

    name: Name
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Alternatives of which the best for the data is taken, for each stream on its own."""

    alternatives: tuple[tuple["Stage", ...], ...]
    at: Position


@dataclass(frozen=True, slots=True)
class Hole:
    """The place of steps that the planner finds."""

    at: Position


Stage = Call | Choice | Hole


@dataclass(frozen=True, slots=True)
class Apply:
    """A kernel called on named streams: `kernel(a, b, parameter=1)`."""

    call: Call
    inputs: tuple["Pipe", ...]


@dataclass(frozen=True, slots=True)
class Pipe:
    """A source and the stages it flows through."""

    source: Name | Apply
    stages: tuple[Stage, ...]

    @property
    def at(self) -> Position:
        """Where the pipeline begins."""
        source = self.source
        return source.at if isinstance(source, Name) else source.call.name.at


@dataclass(frozen=True, slots=True)
class Let:
    """Names for the streams of a pipeline: one for all of them, or one for each."""

    names: tuple[Name, ...]
    pipe: Pipe


@dataclass(frozen=True, slots=True)
class Emit:
    """Pipelines whose streams are stored."""

    pipes: tuple[Pipe, ...]
    at: Position


Statement = Let | Emit


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole gene as written."""

    input: Name
    dtype: Name
    statements: tuple[Statement, ...]
