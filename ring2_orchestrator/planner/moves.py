"""The steps that may follow a stream, read off the kernels' manifests and nothing else."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ring0.kernel import Kernel
from ring0.manifest import Manifest, Parameter
from ring0.plan import Dtype, Plan, PlanBuilder, Step
from ring0.signature import accepted, bind, takes_several

# Parameter values worth a trial: small numbers, and strides that records often have.
LADDER = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


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


def moves(kernels: Iterable[Kernel], dtype: Dtype) -> Iterator[Move]:
    """Every step worth trying on a stream of that type, in a fixed order."""
    for kernel in kernels:
        manifest = kernel.manifest
        if takes_several(manifest) or dtype not in accepted(manifest):
            continue
        outputs = bind(manifest, [dtype]).outputs
        for parameters in _settings(manifest):
            yield Move(kernel, parameters, outputs)
    for to in _bitcasts(dtype):
        yield Move(None, (), (to,))


def closings(kernels: Sequence[Kernel], dtype: Dtype) -> Iterator[Plan]:
    """The ways to end a stream: as it stands, or under one codec, seen as what the codec takes."""
    yield Plan(dtype, ())
    for kernel in kernels:
        manifest = kernel.manifest
        if manifest.kind != "codec" or takes_several(manifest):
            continue
        taken = next((each for each in accepted(manifest) if each.width <= dtype.width), None)
        if taken is None:
            continue
        builder = PlanBuilder(dtype)
        stream = [0] if taken == dtype else builder.add(None, (), [0], [taken])
        defaults = tuple(parameter.default for parameter in manifest.parameters)
        builder.add(kernel.cid, defaults, stream, bind(manifest, [taken]).outputs)
        yield builder.build()


def graft(plan: Plan, stream: int, addition: Plan) -> tuple[Plan, list[int], dict[int, int]]:
    """The plan continued at a stream, the addition's streams in it, and where old values went."""
    builder = PlanBuilder.of(plan)
    handles = [stream]
    for step in addition.steps:
        inputs = [handles[value] for value in step.inputs]
        handles += builder.add(step.kernel, step.parameters, inputs, step.outputs)
    grown, numbers = builder.build_numbered()
    return grown, [numbers[handles[value]] for value in addition.streams], numbers


def depth(plan: Plan, stream: int) -> int:
    """How many steps lie between the input and a stream."""
    depths = [0]
    for step in plan.steps:
        depths += [1 + max(depths[value] for value in step.inputs)] * len(step.outputs)
    return depths[stream]


def _settings(manifest: Manifest) -> Iterator[tuple[int, ...]]:
    """The defaults, then every other value of one parameter at a time."""
    defaults = tuple(parameter.default for parameter in manifest.parameters)
    yield defaults
    for at, parameter in enumerate(manifest.parameters):
        for value in _values(parameter):
            if value != parameter.default:
                yield (*defaults[:at], value, *defaults[at + 1 :])


def _values(parameter: Parameter) -> list[int]:
    signed = itertools.chain(LADDER, (-value for value in LADDER if value))
    return sorted(value for value in signed if parameter.min <= value <= parameter.max)


def _bitcasts(dtype: Dtype) -> list[Dtype]:
    """The mirrors between floats and integers of one width, and plain bytes."""
    same = [each for each in Dtype if each.width == dtype.width and each != dtype]
    return same if dtype.width == 1 else [*same, Dtype.U8]
