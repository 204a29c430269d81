"""A plan: a typed DAG of kernel calls, every kernel named by its CID, in one canonical form.

A plan takes one value, its input. Each step consumes values and makes new ones; a value that no
step consumes is a stream, an output of the plan. Every value is used exactly once, so the inverse
need not be written: it is the same steps backwards.

Values are numbered as they come to exist (the input is 0). A step stands where its last input
comes to exist, so one DAG has one order, one numbering and one CID.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from cid_store.cid import Cid, Codec
from cid_store.encoding import Node, decode, encode
from cid_store.errors import InputError

VERSION = 1
MAX_STEPS = 1024
MAX_VALUES = 4096
MAX_PARAMETERS = 64
PARAMETER_MIN, PARAMETER_MAX = -(1 << 63), (1 << 64) - 1


class MalformedPlanError(InputError):
    """A node or a list of steps that is not one plan in canonical form."""


class Dtype(enum.StrEnum):
    """The element type of a value: little-endian lanes, one after another."""

    U8 = "u8"
    U16 = "u16"
    U32 = "u32"
    U64 = "u64"
    F32 = "f32"
    F64 = "f64"

    @property
    def width(self) -> int:
        """Bytes per element."""
        return _WIDTHS[self]


_WIDTHS = {dtype: int(dtype.value[1:]) // 8 for dtype in Dtype}


@dataclass(frozen=True, slots=True)
class Step:
    """One kernel call, or a bitcast: the same bytes under another element type.

    `kernel` is None for a bitcast. `parameters` are the kernel's, in its manifest's order.
    """

    kernel: Cid | None
    parameters: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[Dtype, ...]


@dataclass(frozen=True)
class Plan:
    """A canonical plan. Raises MalformedPlanError when its parts are not one."""

    input: Dtype
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        _check(self)

    # What follows from the parts is worked out once: a planner asks each plan many times.
    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type["Plan"], tuple[Dtype, tuple[Step, ...]]]:
        # A hash means nothing to another process.
        return Plan, (self.input, self.steps)

    @cached_property
    def _hash(self) -> int:
        return hash((self.input, self.steps))

    @cached_property
    def values(self) -> tuple[Dtype, ...]:
        """The element type of every value, by its number."""
        return (self.input, *(dtype for step in self.steps for dtype in step.outputs))

    @cached_property
    def streams(self) -> tuple[int, ...]:
        """The numbers of the values that are the plan's outputs, in order."""
        used = {value for step in self.steps for value in step.inputs}
        return tuple(value for value in range(len(self.values)) if value not in used)

    @cached_property
    def kernels(self) -> tuple[Cid, ...]:
        """The kernels the plan calls, each once, in ascending order."""
        return tuple(sorted({step.kernel for step in self.steps if step.kernel is not None}))

    @cached_property
    def cid(self) -> Cid:
        """The plan's identity."""
        return Cid.of(self.to_bytes(), Codec.NODE)

    def to_bytes(self) -> bytes:
        """The plan as one canonical node."""
        return encode(self.to_node())

    def to_node(self) -> Node:
        """The plan as a node; docs/formats/plan.md describes it."""
        return {
            "v": VERSION,
            "input": self.input.value,
            "steps": [
                [
                    step.kernel,
                    list[Node](step.parameters),
                    list[Node](step.inputs),
                    [dtype.value for dtype in step.outputs],
                ]
                for step in self.steps
            ],
        }

    @classmethod
    def from_bytes(cls, data: bytes) -> "Plan":
        """The plan of these canonical bytes. Raises MalformedPlanError or MalformedNodeError."""
        return cls.from_node(decode(data))

    @classmethod
    def from_node(cls, node: Node) -> "Plan":
        """The plan of this node. Raises MalformedPlanError."""
        match node:
            case {"v": 1, "input": str(dtype), "steps": list(steps)} if len(node) == 3:
                if len(steps) > MAX_STEPS:
                    raise MalformedPlanError(f"a plan has at most {MAX_STEPS} steps")
                return cls(_dtype(dtype), tuple(_step(step) for step in steps))
            case _:
                raise MalformedPlanError(f"not a plan of version {VERSION}")


class PlanBuilder:
    """Collects steps in any order that defines values before use, and numbers them canonically."""

    def __init__(self, dtype: Dtype) -> None:
        self._types: list[Dtype] = [dtype]
        self._steps: list[Step] = []

    def add(
        self,
        kernel: Cid | None,
        parameters: Sequence[int],
        inputs: Sequence[int],
        outputs: Sequence[Dtype],
    ) -> list[int]:
        """Append a step; the result are the builder's own handles for its outputs."""
        first = len(self._types)
        self._types += outputs
        self._steps.append(Step(kernel, tuple(parameters), tuple(inputs), tuple(outputs)))
        return list(range(first, len(self._types)))

    def type_of(self, handle: int) -> Dtype:
        """The element type of a value."""
        return self._types[handle]

    @classmethod
    def of(cls, plan: Plan) -> "PlanBuilder":
        """A builder that continues a plan; its handles so far are the plan's value numbers."""
        builder = cls(plan.input)
        for step in plan.steps:
            builder.add(step.kernel, step.parameters, step.inputs, step.outputs)
        return builder

    def build(self) -> Plan:
        """The canonical plan. Raises MalformedPlanError when a value is used twice."""
        return self.build_numbered()[0]

    def build_numbered(self) -> tuple[Plan, dict[int, int]]:
        """The canonical plan, and the number it gave each handle."""
        return _renumber(self._types[0], self._steps)


def _renumber(dtype: Dtype, steps: Sequence[Step]) -> tuple[Plan, dict[int, int]]:
    first_output: list[int] = []
    count = 1
    consumer: dict[int, int] = {}
    for at, step in enumerate(steps):
        first_output.append(count)
        count += len(step.outputs)
        for value in step.inputs:
            if consumer.setdefault(value, at) != at or step.inputs.count(value) != 1:
                raise MalformedPlanError("a plan uses every value at most once")
    number = {0: 0}
    order = [0]
    ordered: list[Step] = []
    # A step becomes ready when the last of its inputs is numbered: `order` is read as it grows.
    for handle in order:
        at = consumer.get(handle)
        if at is None or any(value not in number for value in steps[at].inputs):
            continue
        if any(number[value] > number[handle] for value in steps[at].inputs):
            continue
        step = steps[at]
        inputs = tuple(number[value] for value in step.inputs)
        ordered.append(Step(step.kernel, step.parameters, inputs, step.outputs))
        for offset in range(len(step.outputs)):
            number[first_output[at] + offset] = len(order)
            order.append(first_output[at] + offset)
    return Plan(dtype, tuple(ordered)), number


def _check(plan: Plan) -> None:
    if len(plan.steps) > MAX_STEPS:
        raise MalformedPlanError(f"a plan has at most {MAX_STEPS} steps")
    types = [plan.input]
    used: set[int] = set()
    last = -1
    for step in plan.steps:
        _check_step(step, types, used)
        if max(step.inputs) <= last:
            raise MalformedPlanError("a plan's steps stand in the order of their last inputs")
        last = max(step.inputs)
        used.update(step.inputs)
        types += step.outputs
    if len(types) > MAX_VALUES:
        raise MalformedPlanError(f"a plan has at most {MAX_VALUES} values")


def _check_step(step: Step, types: Sequence[Dtype], used: set[int]) -> None:
    if not step.inputs or not step.outputs:
        raise MalformedPlanError("a step has at least one input and one output")
    if not all(0 <= value < len(types) for value in step.inputs):
        raise MalformedPlanError("a step uses only values that exist before it")
    if len(set(step.inputs)) != len(step.inputs) or not used.isdisjoint(step.inputs):
        raise MalformedPlanError("a plan uses every value at most once")
    if len(step.parameters) > MAX_PARAMETERS:
        raise MalformedPlanError(f"a step has at most {MAX_PARAMETERS} parameters")
    if not all(PARAMETER_MIN <= value <= PARAMETER_MAX for value in step.parameters):
        raise MalformedPlanError("a parameter fits in 64 bits")
    if step.kernel is None:
        _check_bitcast(step, types)


def _check_bitcast(step: Step, types: Sequence[Dtype]) -> None:
    if step.parameters or len(step.inputs) != 1 or len(step.outputs) != 1:
        raise MalformedPlanError("a bitcast has one input, one output and no parameters")
    before, after = types[step.inputs[0]], step.outputs[0]
    # Wider lanes might not be filled, and the same type says nothing.
    if before == after or before.width < after.width:
        raise MalformedPlanError(f"no bitcast from {before} to {after}")


def _dtype(name: str) -> Dtype:
    try:
        return Dtype(name)
    except ValueError:
        raise MalformedPlanError(f"no element type {name!r}") from None


def _step(node: Node) -> Step:
    match node:
        case [Cid() | None as kernel, list(parameters), list(inputs), list(outputs)]:
            return Step(
                kernel, _integers(parameters), _integers(inputs), tuple(map(_dtype_of, outputs))
            )
        case _:
            raise MalformedPlanError("a step is a kernel, parameters, inputs and output types")


def _integers(nodes: list[Node]) -> tuple[int, ...]:
    # `type` and not isinstance: True is an int to Python, but not to this format.
    if any(type(node) is not int for node in nodes):
        raise MalformedPlanError("parameters and values are integers")
    return tuple(cast("list[int]", nodes))


def _dtype_of(node: Node) -> Dtype:
    if not isinstance(node, str):
        raise MalformedPlanError("an output type is a text")
    return _dtype(node)
