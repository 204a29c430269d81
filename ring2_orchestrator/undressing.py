"""Contents taken out of the coats that formats put around them, and plans that put them on again.

A coat is a few first steps of a plan. What is in it is planned as if it were a file; what else the
steps make, such as headers and filters, has small plans of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cid_store.errors import InputError
from ring0.plan import Dtype, Plan, PlanBuilder
from ring0.signature import bind
from ring2_orchestrator.container import MAX_BLOCK, BytesSource, Cut, Source, limits
from ring2_orchestrator.fronts import Coat, Run, recognise
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.planner import Profile, graft
from ring2_orchestrator.planner.effort import effort
from ring2_orchestrator.toolbox import Toolbox

# Where a coat takes less effort for each byte than any was seen to take, none is tried.
_LEAST_EFFORT = 150
# What is left for the contents, of all that a profile gives, is at least this part.
_LEAST_LEFT = 8
# What is in all coats of a source is held at once, and deflate makes a thousand bytes of one: what
# is tried in vain counts as what it may have been inflated to.
_MOST_INFLATED = 1 << 28
# Contents are mostly of one kind where so much of them is.
_MOSTLY = (7, 8)
_AMPLE_FUEL = 1 << 62
_LANES = "lanes"


@dataclass(frozen=True, slots=True)
class Inside:
    """What is in the coat of a run.

    `plan` takes it off; of its streams the one numbered `stream` is the contents, and `sides` are
    the others. `effort` is what putting it on takes.
    """

    plan: Plan
    stream: int
    contents: bytes
    sides: Mapping[int, bytes]
    effort: int
    # Bytes before the lanes of the contents.
    head: int = 0

    @property
    def planned_bytes(self) -> int:
        """The bytes of all streams."""
        return len(self.contents) + sum(map(len, self.sides.values()))


@dataclass(eq=False)
class Undressing:
    """Takes coats off the runs of one source, each once for all profiles, up to a limit for all."""

    source: Source
    tools: Toolbox
    _known: dict[Run, Inside | None] = field(default_factory=dict[Run, Inside | None])
    _inflated: int = 0

    def undress(self, run: Run, profile: Profile | None) -> tuple[Run, Inside | None]:
        """The run as what is in its coat says it is; without a coat where that stays on.

        It stays on where it cannot be put on again, where the profile holds that too slow, without
        a profile, and where the coats before took too much.
        """
        if not run.coat:
            return run, None
        is_tried = profile is not None and profile.decode_fuel >= _LEAST_EFFORT
        inside = self._inside(run) if is_tried else None
        if profile is None or inside is None or not decode_fuel_left(run, inside, profile):
            return replace(run, coat=(), kind=None, family=""), None
        if run.kind is None and run.alone:
            return _typed(run, inside)
        return run, inside

    def _inside(self, run: Run) -> Inside | None:
        if run not in self._known:
            is_tried = run.size <= MAX_BLOCK and self._inflated < _MOST_INFLATED
            self._known[run] = self._taken_off(run) if is_tried else None
        return self._known[run]

    def _taken_off(self, run: Run) -> Inside | None:
        plan, stream = _plan_of(run.coat, self.tools.kernels)
        data = self.source.read(run.begin, run.size)
        most = Cut(0, 0, run.size, plan, room=MAX_BLOCK // 4).counted
        self._inflated += most
        try:
            made = self.tools.packer.with_limits(limits(most)).forward(plan, data).outputs
            streams = dict(zip(plan.streams, made, strict=True))
            contents = streams.pop(stream)
            counted = Cut(0, 0, run.size, plan, room=len(contents)).counted
            bounds = replace(limits(counted), fuel=_AMPLE_FUEL)
            back = self.tools.executor.with_limits(bounds).inverse(plan, made)
        except InputError:
            return None
        if back.outputs != [data] or not contents or len(contents) > MAX_BLOCK:
            return None
        self._inflated += len(contents) - most
        return Inside(plan, stream, contents, streams, effort(back, self.tools.kernels))


def decode_fuel_left(run: Run, inside: Inside, profile: Profile) -> int:
    """The effort that undoing a plan may take for each byte of all streams; 0 if too little."""
    given = profile.decode_fuel * run.size
    left = given - inside.effort
    return left // inside.planned_bytes if left * _LEAST_LEFT >= given else 0


def dressed(
    inside: Inside, plan: Plan, sides: Mapping[int, Plan], kernels: KernelSet
) -> Plan | None:
    """The plan of a run whose contents are under a plan, and its other streams under theirs.

    None where a plan is of wider lanes than a stream of lanes has.
    """
    whole = inside.plan
    places = {stream: stream for stream in whole.streams}
    for stream, addition in {**sides, inside.stream: plan}.items():
        head = inside.head if stream == inside.stream else 0
        dtype = whole.values[places[stream]]
        fitted = _fitted(dtype, addition, head, kernels)
        if fitted is None:
            return None
        whole, _, moved = graft(whole, places[stream], fitted)
        places = {one: moved[place] for one, place in places.items() if one != stream}
    return whole


def _typed(run: Run, inside: Inside) -> tuple[Run, Inside]:
    """The run with the kind of its contents, where they are a file of a known format."""
    layout = recognise(BytesSource(inside.contents))
    for part in () if layout is None else layout.parts:
        is_most = part.size * _MOSTLY[1] >= len(inside.contents) * _MOSTLY[0]
        if is_most and part.kind is not None and not part.coat:
            return replace(run, kind=part.kind), replace(inside, head=part.begin)
    return run, inside


def _plan_of(coat: Coat, kernels: KernelSet) -> tuple[Plan, int]:
    """The plan that takes a coat off, and which of its streams is the contents."""
    builder, at = PlanBuilder(Dtype.U8), 0
    for layer in coat:
        at = _add(builder, layer.kernel, layer.parameters, at, kernels)[layer.port]
    plan, numbers = builder.build_numbered()
    return plan, numbers[at]


def _add(
    builder: PlanBuilder, name: str, parameters: Sequence[int], at: int, kernels: KernelSet
) -> list[int]:
    kernel = kernels.by_name(name)
    return builder.add(
        kernel.cid, parameters, [at], bind(kernel.manifest, [builder.type_of(at)]).outputs
    )


def _fitted(dtype: Dtype, plan: Plan, head: int, kernels: KernelSet) -> Plan | None:
    """The plan for a stream of that type, whose lanes begin after a head; None if it has none."""
    builder, at = PlanBuilder(dtype), 0
    width = plan.input.width
    if dtype.width < width or head:
        if dtype is not Dtype.U8:
            return None
        size = width.bit_length() - 1
        at = _add(builder, _LANES, (head, size), at, kernels)[1 + size]
    if builder.type_of(at) != plan.input:
        (at,) = builder.add(None, (), [at], [plan.input])
    handles = [at]
    for step in plan.steps:
        inputs = [handles[value] for value in step.inputs]
        handles += builder.add(step.kernel, step.parameters, inputs, step.outputs)
    return builder.build()
