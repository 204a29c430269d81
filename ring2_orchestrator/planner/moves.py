"""The steps that may follow a stream, read off the kernels' manifests and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ring0.kernel import Kernel
from ring0.manifest import Manifest
from ring0.plan import Dtype, Plan, PlanBuilder, Step
from ring0.signature import accepted, bind, takes_several

# A parameter of one of these names is a distance in lanes, to be looked for in the data.
DISTANCES = ("lag", "row", "record", "channels")
# Beside what the data shows: interleaved channels, fields of small records.
_NEAR = (0, 1, 2, 3, 4)
# Values of any other parameter, unless it has few enough to try them all.
_OTHERS = (0, 1, 2, 3, 4, 8, 16, 32)
_FEW = 8


@dataclass(frozen=True, slots=True)
class Move:
    """A kernel with parameters, or a bitcast, on one stream; the streams it makes."""

    kernel: Kernel | None
    parameters: tuple[int, ...]
    outputs: tuple[Dtype, ...]

    def plan(self, dtype: Dtype) -> Plan:
        """The plan that is this one step."""
        cid = None if self.kernel is None else self.kernel.cid
        return Plan(dtype, (Step(cid, self.parameters, (0,), self.outputs),))


def is_codec(manifest: Manifest) -> bool:
    """Whether a kernel can end a stream: it turns one into coded bytes."""
    made = [port.type for port in manifest.outputs]
    return manifest.kind == "codec" and not takes_several(manifest) and made == ["u8"]


def is_splitter(manifest: Manifest) -> bool:
    """Whether a kernel parts lanes into their bytes, and nothing else."""
    makes = [(port.type, port.per_byte) for port in manifest.outputs]
    return makes == [("u8", True)] and len(manifest.inputs) == 1 and not manifest.parameters


def closing(kernel: Kernel, setting: Sequence[int], dtype: Dtype) -> Plan | None:
    """A stream ended by a codec, seen as what the codec takes; None where it takes no such."""
    takes = accepted(kernel.manifest)
    taken = next((each for each in takes if each == dtype), None)
    taken = taken or next((each for each in takes if each.width == dtype.width), None)
    taken = taken or next((each for each in takes if each.width == 1), None)
    if taken is None:
        return None
    builder = PlanBuilder(dtype)
    stream = [0] if taken == dtype else builder.add(None, (), [0], [taken])
    builder.add(kernel.cid, setting, stream, bind(kernel.manifest, [taken]).outputs)
    return builder.build()


def graft(plan: Plan, stream: int, addition: Plan) -> tuple[Plan, list[int], dict[int, int]]:
    """The plan continued at a stream, the addition's streams in it, and where old values went."""
    builder = PlanBuilder.of(plan)
    handles = [stream]
    for step in addition.steps:
        inputs = [handles[value] for value in step.inputs]
        handles += builder.add(step.kernel, step.parameters, inputs, step.outputs)
    grown, numbers = builder.build_numbered()
    return grown, [numbers[handles[value]] for value in addition.streams], numbers


def variations(
    manifest: Manifest, setting: Sequence[int], place: int, distances: Sequence[int]
) -> list[tuple[int, ...]]:
    """The setting with other values at one place, worth trying where data has these distances."""
    parameter = manifest.parameters[place]
    if parameter.name in DISTANCES:
        values = [*_NEAR, *distances]
        if parameter.name == "channels":
            values = [each for each in values if each <= _FEW]
    elif parameter.max - parameter.min < _FEW:
        values = [*range(parameter.min, parameter.max + 1)]
    else:
        values = [parameter.min, parameter.max, *_OTHERS]
    fitting = sorted({each for each in values if parameter.min <= each <= parameter.max})
    return [
        (*setting[:place], value, *setting[place + 1 :])
        for value in fitting
        if value != setting[place]
    ]


def defaults(manifest: Manifest) -> tuple[int, ...]:
    """What a kernel's parameters are where nothing else is said."""
    return tuple(parameter.default for parameter in manifest.parameters)


def without_leading_bitcast(plan: Plan) -> Plan:
    """The same plan for bytes that have no type of their own, which a file's have not."""
    if not plan.steps or plan.steps[0].kernel is not None:
        return plan
    rest = [
        replace(step, inputs=tuple(value - 1 for value in step.inputs)) for step in plan.steps[1:]
    ]
    return Plan(plan.steps[0].outputs[0], tuple(rest))
