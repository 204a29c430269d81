"""What a kernel makes of typed inputs, read off its manifest: the typing rule of plans."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cid_store.cid import Cid
from ring0.errors import ParameterError
from ring0.manifest import VARIABLE, WIDTHS, Manifest, Port
from ring0.plan import Dtype, Plan, Step

# A planner asks the same of the same kernels thousands of times.
_KEPT_BINDINGS, _KEPT_PARAMETERS = 512, 2048


class SignatureError(ParameterError):
    """A kernel was given inputs of a number or type it does not take."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A kernel with its type variable bound: what comes out, and the dtype to encode."""

    outputs: tuple[Dtype, ...]
    variable: Dtype | None


def takes_several(manifest: Manifest) -> bool:
    """Whether the kernel takes a group of streams, rather than one that it maps to its outputs."""
    return len(manifest.inputs) > 1 or any(port.per_byte for port in manifest.inputs)


def bind(manifest: Manifest, inputs: Sequence[Dtype]) -> Binding:
    """The outputs of the kernel on these inputs. Raises SignatureError when they do not fit."""
    return _bind(manifest, tuple(inputs))


@lru_cache(_KEPT_BINDINGS)
def _bind(manifest: Manifest, inputs: tuple[Dtype, ...]) -> Binding:
    variable = _variable(manifest, inputs)
    width = variable.width if variable is not None else 1
    wanted = _expand(manifest.inputs, variable, width)
    if len(wanted) != len(inputs):
        raise SignatureError(f"{manifest.name} takes {len(wanted)} streams, not {len(inputs)}")
    for want, given in zip(wanted, inputs, strict=True):
        if want != given:
            raise SignatureError(f"{manifest.name} takes {want}, not {given}")
    return Binding(_expand(manifest.outputs, variable, width), variable)


def accepted(manifest: Manifest) -> tuple[Dtype, ...]:
    """The element types that the first input port takes."""
    port = manifest.inputs[0]
    names = manifest.types if port.type == VARIABLE else (port.type,)
    return tuple(Dtype(name) for name in names if name in WIDTHS)


def parameter_bytes(manifest: Manifest, step: Step, inputs: Sequence[Dtype]) -> bytes:
    """The parameter bytes of a step's call, checked. Raises ParameterError."""
    return _parameter_bytes(manifest, step.parameters, tuple(inputs), step.outputs)


@lru_cache(_KEPT_PARAMETERS)
def _parameter_bytes(
    manifest: Manifest,
    parameters: tuple[int, ...],
    inputs: tuple[Dtype, ...],
    outputs: tuple[Dtype, ...],
) -> bytes:
    binding = bind(manifest, inputs)
    if binding.outputs != outputs:
        raise SignatureError(f"{manifest.name} gives other streams than the plan says")
    return manifest.encode_parameters(
        named(manifest, parameters),
        dtype=binding.variable.value if binding.variable is not None else None,
    )


def named(manifest: Manifest, values: Sequence[int]) -> dict[str, int]:
    """Parameter values by name. Raises ParameterError when their number is wrong."""
    if len(values) != len(manifest.parameters):
        raise ParameterError(f"{manifest.name} has {len(manifest.parameters)} parameters")
    return {p.name: value for p, value in zip(manifest.parameters, values, strict=True)}


def check_types(plan: Plan, manifests: Mapping[Cid, Manifest]) -> None:
    """Pass when every step of the plan fits its kernel's manifest. Raises ParameterError."""
    types = plan.values
    for step in plan.steps:
        if step.kernel is not None:
            parameter_bytes(manifests[step.kernel], step, [types[value] for value in step.inputs])


def _variable(manifest: Manifest, inputs: Sequence[Dtype]) -> Dtype | None:
    if not manifest.has_variable:
        return None
    first = next((at for at, port in enumerate(manifest.inputs) if port.type == VARIABLE), None)
    if first is None or any(port.per_byte for port in manifest.inputs[:first]):
        raise SignatureError(f"{manifest.name}: its type cannot be told from its inputs")
    if first >= len(inputs):
        raise SignatureError(f"{manifest.name} takes more streams than {len(inputs)}")
    if inputs[first] not in manifest.types:
        raise SignatureError(
            f"{manifest.name} takes {' or '.join(manifest.types)}, not {inputs[first]}"
        )
    return inputs[first]


def _expand(ports: Sequence[Port], variable: Dtype | None, width: int) -> tuple[Dtype, ...]:
    types: list[Dtype] = []
    for port in ports:
        dtype = variable if port.type == VARIABLE else Dtype(port.type)
        assert dtype is not None, "a manifest uses the variable only when it declares it"
        types += [dtype] * (width if port.per_byte else 1)
    return tuple(types)
