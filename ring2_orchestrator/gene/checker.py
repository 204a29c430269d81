"""Syntax tree to program: names, parameters and types are checked, each fault at its place."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ring0.manifest import Manifest, Parameter
from ring0.plan import Dtype
from ring0.signature import SignatureError, accepted, bind, takes_several
from ring2_orchestrator.gene.errors import GeneFault, Position, did_you_mean
from ring2_orchestrator.gene.program import (
    BitcastStage,
    ChoiceStage,
    HoleStage,
    KernelStage,
    Palette,
    Program,
    ProgramApply,
    ProgramEmit,
    ProgramLet,
    ProgramPipe,
    ProgramStage,
    Unknown,
)
from ring2_orchestrator.gene.syntax import (
    Apply,
    Call,
    Choice,
    Emit,
    Hole,
    Let,
    Name,
    Pipe,
    Setting,
    Stage,
    Tree,
)

BITCAST = "bitcast"
PASS = "pass"  # noqa: S105 - a word of the language, not a password
_BITCAST_PARAMETER = "to"


@dataclass(frozen=True, slots=True)
class Flow:
    """The types of the streams a pipeline carries.

    Where alternatives or a hole leave the number of streams open, `exact` is false and `types`
    lists the types any of them may have.
    """

    types: tuple[Dtype, ...]
    exact: bool = True


@dataclass(slots=True)
class _Binding:
    name: Name
    flow: Flow
    used: Position | None = None


@dataclass(slots=True)
class _Scope:
    palette: Palette
    names: dict[str, _Binding] = field(default_factory=dict[str, _Binding])


def check(tree: Tree, palette: Palette) -> Program:
    """The program of a syntax tree. Raises GeneFault at the first fault."""
    scope = _Scope(palette)
    dtype = _dtype(tree.dtype.text, tree.dtype.at)
    scope.names[tree.input.text] = _Binding(tree.input, Flow((dtype,)))
    statements: list[ProgramLet | ProgramEmit] = []
    for statement in tree.statements:
        if isinstance(statement, Let):
            statements.append(_let(scope, statement))
        else:
            statements += _emit(scope, statement)
    for binding in scope.names.values():
        if binding.used is None:
            raise GeneFault(
                f"'{binding.name.text}' is never used, so its bytes would be lost; emit it",
                binding.name.at,
            )
    return Program(tree.input.text, dtype, tuple(statements))


def _let(scope: _Scope, let: Let) -> ProgramLet:
    pipe, flow = _pipe(scope, let.pipe, ends=False)
    if len(let.names) > 1:
        if not flow.exact:
            raise GeneFault(
                "the number of these streams depends on the data; give them one name",
                let.names[0].at,
            )
        if len(flow.types) != len(let.names):
            raise GeneFault(
                f"{len(let.names)} names for {_streams(len(flow.types))}", let.names[0].at
            )
    for at, name in enumerate(let.names):
        if name.text in scope.names:
            first = scope.names[name.text].name.at
            raise GeneFault(
                f"'{name.text}' already has a meaning (line {first.line}); choose another name",
                name.at,
            )
        own = flow if len(let.names) == 1 else Flow((flow.types[at],))
        scope.names[name.text] = _Binding(name, own)
    return ProgramLet(tuple(name.text for name in let.names), pipe)


def _emit(scope: _Scope, emit: Emit) -> list[ProgramEmit]:
    return [ProgramEmit(_pipe(scope, pipe, ends=True)[0]) for pipe in emit.pipes]


def _pipe(scope: _Scope, pipe: Pipe, *, ends: bool) -> tuple[ProgramPipe, Flow]:
    if isinstance(pipe.source, Name):
        source: str | ProgramApply = pipe.source.text
        flow = _use(scope, pipe.source)
    else:
        source, flow = _apply(scope, pipe.source)
    stages: list[ProgramStage] = []
    for at, stage in enumerate(pipe.stages):
        if isinstance(stage, Hole) and not (ends and at == len(pipe.stages) - 1):
            raise GeneFault("a hole stands at the end of what is emitted", stage.at)
        made, flow = _stage(scope, stage, flow)
        stages += made
    return ProgramPipe(source, tuple(stages)), flow


def _use(scope: _Scope, name: Name) -> Flow:
    binding = scope.names.get(name.text)
    if binding is None:
        hint = did_you_mean(name.text, scope.names)
        raise GeneFault(f"no value named '{name.text}'{hint}", name.at)
    if binding.used is not None:
        raise GeneFault(
            f"'{name.text}' was already used (line {binding.used.line}); "
            "its bytes would be stored twice",
            name.at,
        )
    binding.used = name.at
    return binding.flow


def _apply(scope: _Scope, apply: Apply) -> tuple[ProgramApply, Flow]:
    name = apply.call.name
    if not apply.inputs:
        raise GeneFault(f"'{name.text}' is given no stream: '{name.text}(x)'", name.at)
    inputs: list[ProgramPipe] = []
    types: list[Dtype] = []
    exact = True
    for pipe in apply.inputs:
        checked, flow = _pipe(scope, pipe, ends=False)
        inputs.append(checked)
        types += flow.types
        exact = exact and flow.exact
    made, flow = _call(scope, apply.call, Flow(tuple(types), exact))
    return ProgramApply(made[0] if made else None, tuple(inputs)), flow


def _stage(scope: _Scope, stage: Stage, flow: Flow) -> tuple[list[ProgramStage], Flow]:
    if isinstance(stage, Call):
        made, flow = _call(scope, stage, flow)
        return [*made], flow
    if isinstance(stage, Choice):
        return _choice(scope, stage, flow)
    return [HoleStage()], Flow(flow.types, exact=False)


def _choice(scope: _Scope, choice: Choice, flow: Flow) -> tuple[list[ProgramStage], Flow]:
    alternatives: list[tuple[ProgramStage, ...]] = []
    # For each stream in turn: what each alternative makes of it.
    made: list[list[Flow]] = [[] for _ in flow.types]
    for stages in choice.alternatives:
        checked: tuple[ProgramStage, ...] = ()
        for at, dtype in enumerate(flow.types):
            checked, end = _alternative(scope, stages, Flow((dtype,)))
            made[at].append(end)
        alternatives.append(checked)
    return [ChoiceStage(tuple(alternatives), choice.at)], _merge(flow, made)


def _alternative(
    scope: _Scope, stages: Sequence[Stage], flow: Flow
) -> tuple[tuple[ProgramStage, ...], Flow]:
    checked: list[ProgramStage] = []
    for stage in stages:
        if isinstance(stage, Hole):
            raise GeneFault("a hole stands at the end of what is emitted", stage.at)
        made, flow = _stage(scope, stage, flow)
        checked += made
    return tuple(checked), flow


def _merge(flow: Flow, made: Sequence[Sequence[Flow]]) -> Flow:
    agreed = all(end.exact and end == ends[0] for ends in made for end in ends)
    if flow.exact and agreed:
        return Flow(tuple(dtype for ends in made for dtype in ends[0].types))
    types = {dtype for ends in made for end in ends for dtype in end.types}
    return Flow(tuple(sorted(types)), exact=False)


def _call(scope: _Scope, call: Call, flow: Flow) -> tuple[list[KernelStage | BitcastStage], Flow]:
    if call.name.text == PASS:
        _no_settings(call)
        return [], flow
    if call.name.text == BITCAST:
        to = _bitcast_type(call)
        for dtype in flow.types:
            _check_bitcast(dtype, to, call.name.at)
        types = tuple(to for _ in flow.types) if flow.exact else (to,)
        # A bitcast to the same type says nothing, and a plan has no step for it.
        same = all(dtype == to for dtype in flow.types)
        return ([] if same else [BitcastStage(to)]), Flow(types, flow.exact)
    kernel = scope.palette.get(call.name.text)
    if kernel is None:
        known = [*scope.palette, BITCAST, PASS]
        hint = did_you_mean(call.name.text, known)
        raise GeneFault(f"no kernel named '{call.name.text}'{hint}", call.name.at)
    stage = KernelStage(kernel, _parameters(kernel.manifest, call))
    return [stage], _flow_through(kernel.manifest, flow, call.name.at)


def _flow_through(manifest: Manifest, flow: Flow, at: Position) -> Flow:
    if takes_several(manifest):
        if not flow.exact:
            raise GeneFault(
                f"'{manifest.name}' takes several streams, and their number depends on the data",
                at,
            )
        return Flow(_outputs(manifest, flow.types, at))
    types = [made for dtype in flow.types for made in _outputs(manifest, (dtype,), at)]
    return Flow(tuple(types)) if flow.exact else Flow(tuple(sorted({*types})), exact=False)


def _outputs(manifest: Manifest, types: Sequence[Dtype], at: Position) -> tuple[Dtype, ...]:
    try:
        return bind(manifest, types).outputs
    except SignatureError as error:
        raise GeneFault(f"{error}{_type_hint(manifest, types)}", at) from None


def _type_hint(manifest: Manifest, types: Sequence[Dtype]) -> str:
    wanted = accepted(manifest)
    if len(types) != 1 or types[0] in wanted:
        return ""
    close = [dtype for dtype in wanted if dtype.width <= types[0].width]
    if not close:
        return ""
    best = max(close, key=lambda dtype: dtype.width)
    return f"; put 'bitcast(to={best})' before it"


def _parameters(manifest: Manifest, call: Call) -> tuple[int | Unknown, ...]:
    known = {parameter.name: parameter for parameter in manifest.parameters}
    given: dict[str, int | Unknown] = {}
    for setting in _unique(call.settings):
        parameter = known.get(setting.name.text)
        if parameter is None:
            raise GeneFault(_no_parameter(manifest.name, setting.name.text, known), setting.name.at)
        given[parameter.name] = (
            Unknown(parameter)
            if setting.value is None
            else _in_range(parameter, setting, setting.value)
        )
    return tuple(given.get(p.name, p.default) for p in manifest.parameters)


def _no_parameter(kernel: str, name: str, known: Collection[str]) -> str:
    names = [f"'{each}'" for each in known]
    hint = did_you_mean(name, known)
    if not hint:
        hint = f"; it has {' and '.join(names)}" if names else "; it has none"
    return f"'{kernel}' has no parameter '{name}'{hint}"


def _in_range(parameter: Parameter, setting: Setting, value: int | str) -> int:
    if isinstance(value, str):
        raise GeneFault(f"'{parameter.name}' is a whole number, not a word", setting.at)
    if not parameter.min <= value <= parameter.max:
        raise GeneFault(
            f"{parameter.name}={value} is outside {parameter.min}..{parameter.max}",
            setting.at,
        )
    return value


def _unique(settings: Sequence[Setting]) -> Sequence[Setting]:
    seen: set[str] = set()
    for setting in settings:
        if setting.name.text in seen:
            raise GeneFault(f"'{setting.name.text}' is given twice", setting.name.at)
        seen.add(setting.name.text)
    return settings


def _no_settings(call: Call) -> None:
    if call.settings:
        raise GeneFault(f"'{call.name.text}' has no parameters", call.settings[0].name.at)


def _bitcast_type(call: Call) -> Dtype:
    settings = _unique(call.settings)
    for setting in settings:
        if setting.name.text != _BITCAST_PARAMETER:
            message = _no_parameter(BITCAST, setting.name.text, [_BITCAST_PARAMETER])
            raise GeneFault(message, setting.name.at)
    if not settings:
        raise GeneFault("a bitcast names its type, such as 'bitcast(to=u64)'", call.name.at)
    if settings[0].value is None:
        raise GeneFault("a bitcast names its type, such as 'bitcast(to=u64)'", settings[0].at)
    return _dtype(str(settings[0].value), settings[0].at)


def _check_bitcast(dtype: Dtype, to: Dtype, at: Position) -> None:
    if to.width > dtype.width:
        raise GeneFault(
            f"no bitcast from {dtype} to the wider {to}: its last element might not be whole", at
        )


def _dtype(name: str, at: Position) -> Dtype:
    known = [dtype.value for dtype in Dtype]
    if name not in known:
        unsigned = f"u{name[1:]}"
        if name.startswith("i") and unsigned in known:
            hint = f"; signed elements are declared by their width, {unsigned}"
        else:
            hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
        raise GeneFault(f"no type named '{name}'{hint}", at)
    return Dtype(name)


def _streams(count: int) -> str:
    return "1 stream" if count == 1 else f"{count} streams"
