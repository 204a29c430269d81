"""A plan as bytes: one byte an operation plus its parameters, the kernels by place in a table."""

import itertools
from collections.abc import Iterable, Mapping, Sequence

from cid_store.cid import Cid, Codec
from cid_store.encoding import Node, encode
from cid_store.errors import InputError
from ring0.abi import unzigzag, zigzag
from ring0.manifest import Manifest
from ring0.plan import MAX_VALUES, Dtype, Plan, PlanBuilder, Step
from ring0.signature import bind, takes_several
from ring2_orchestrator.container.errors import (
    AmbiguousKernelError,
    DamagedContainerError,
    MissingKernelError,
)
from ring2_orchestrator.container.segments import VERSION
from ring2_orchestrator.container.wire import Fields, varint
from ring2_orchestrator.kernels import KernelSet

STREAM, HOLD, BITCAST, KERNEL = 0, 1, 2, 16
MAX_KERNELS = 256 - KERNEL

_DTYPES = tuple(Dtype)
_PREFIX = 4
_DIGEST = 32
_MAX_TRIALS = 4096
WHAT = "the container's plan"


def kernel_set_cid(kernels: Iterable[Cid]) -> Cid:
    """The name of a set of kernels: a node that lists them in ascending order."""
    return Cid.of(encode(list[Node](sorted(kernels))), Codec.NODE)


def encode_table(table: Sequence[Cid], kernels: KernelSet, version: int) -> bytes:
    """The table of kernels, which are in ascending order.

    Raises InputError when one cannot be told from another by its prefix.
    """
    out = bytearray(varint(len(table)))
    out += b"".join(cid.digest[:_PREFIX] for cid in table)
    if version >= VERSION:
        for cid in table:
            _check_prefix(cid, kernels)
    elif table:
        out += kernel_set_cid(table).digest
    return bytes(out)


def decode_table(fields: Fields, kernels: KernelSet, version: int) -> tuple[Cid, ...]:
    """The kernels of a table.

    Raises DamagedContainerError; MissingKernelError or AmbiguousKernelError where not exactly one
    of these kernels is meant.
    """
    count = fields.varint()
    if count > MAX_KERNELS:
        raise DamagedContainerError(f"{WHAT} names too many kernels")
    prefixes = [fields.take(_PREFIX) for _ in range(count)]
    if version >= VERSION:
        return tuple(_resolve(prefix, kernels) for prefix in prefixes)
    return _resolve_set(prefixes, fields.take(_DIGEST), kernels.cids) if count else ()


def encode_plan(plan: Plan, table: Sequence[Cid], kernels: KernelSet) -> bytes:
    """The operations of a plan; docs/formats/container.md describes them."""
    out = bytearray()
    manifests = {cid: _manifest(kernels, cid) for cid in plan.kernels}
    last_input = {max(step.inputs): step for step in plan.steps}
    streams = set(plan.streams)
    for value in range(len(plan.values)):
        if value in streams:
            out.append(STREAM)
        elif value not in last_input:
            out.append(HOLD)
        else:
            _encode_step(out, last_input[value], table, manifests)
    return bytes(out)


def decode_plan(fields: Fields, dtype: Dtype, table: Sequence[Cid], kernels: KernelSet) -> Plan:
    """The plan of these operations. Raises DamagedContainerError."""
    try:
        return _decode_operations(fields, dtype, table, kernels)
    except InputError as error:
        raise DamagedContainerError(f"{WHAT} cannot be meant: {error}") from error


def place_of(dtype: Dtype) -> int:
    """The number of an element type."""
    return _DTYPES.index(dtype)


def dtype_at(place: int) -> Dtype:
    """The element type of that number. Raises DamagedContainerError."""
    if place >= len(_DTYPES):
        raise DamagedContainerError(f"{WHAT} names an element type that does not exist")
    return _DTYPES[place]


def _check_prefix(cid: Cid, kernels: KernelSet) -> None:
    twins = [str(other) for other in kernels.with_prefix(cid.digest[:_PREFIX]) if other != cid]
    if twins:
        raise InputError(
            f"no container can name the kernel {cid}: its first {_PREFIX} bytes are those of "
            f"{twins[0]}; change anything in it and build it again"
        )


def _resolve(prefix: bytes, kernels: KernelSet) -> Cid:
    """The kernel of that prefix. The hash of the original is the judge of whether it was meant."""
    fitting = kernels.with_prefix(prefix)
    if len(fitting) > 1:
        raise AmbiguousKernelError(
            f"the container needs a kernel {prefix.hex()}…, and {len(fitting)} that are here "
            "begin so; unpack it where only the one that packed it is"
        )
    if not fitting:
        raise _missing(f"a kernel {prefix.hex()}…")
    return fitting[0]


def _resolve_set(
    prefixes: Sequence[bytes], digest: bytes, known: frozenset[Cid]
) -> tuple[Cid, ...]:
    """The kernels of the given prefixes whose set has the given digest: versions 1 and 2."""
    by_prefix = [sorted(cid for cid in known if cid.digest[:_PREFIX] == p) for p in prefixes]
    # Prefixes are short, so two known kernels may share one: the digest says which is meant.
    for trial in itertools.islice(itertools.product(*by_prefix), _MAX_TRIALS):
        if kernel_set_cid(trial).digest == digest:
            return trial
    lacking = next((p for p, cids in zip(prefixes, by_prefix, strict=True) if not cids), None)
    raise _missing(f"a kernel {lacking.hex()}…" if lacking is not None else "a set of kernels")


def _missing(which: str) -> MissingKernelError:
    return MissingKernelError(
        f"the container needs {which} that this installation lacks; "
        "unpack it with the Redoxa that packed it"
    )


def _encode_step(
    out: bytearray, step: Step, table: Sequence[Cid], manifests: Mapping[Cid, Manifest]
) -> None:
    if step.kernel is None:
        out.append(BITCAST + place_of(step.outputs[0]))
        return
    manifest = manifests[step.kernel]
    out.append(KERNEL + table.index(step.kernel))
    for parameter, value in zip(manifest.parameters, step.parameters, strict=True):
        out += varint(zigzag(value) if parameter.signed else value)
    if takes_several(manifest):
        out += varint(len(step.inputs))
        for value in step.inputs:
            out += varint(max(step.inputs) - value)


def _decode_operations(
    fields: Fields, dtype: Dtype, table: Sequence[Cid], kernels: KernelSet
) -> Plan:
    builder = PlanBuilder(dtype)
    count, value = 1, 0
    while value < count:
        operation = fields.byte()
        if operation >= KERNEL:
            if operation - KERNEL >= len(table):
                raise DamagedContainerError(f"{WHAT} calls a kernel it does not name")
            cid = table[operation - KERNEL]
            count += _decode_kernel(fields, builder, value, cid, _manifest(kernels, cid))
        elif operation >= BITCAST:
            count += len(builder.add(None, (), [value], [dtype_at(operation - BITCAST)]))
        value += 1
        if count > MAX_VALUES:
            raise DamagedContainerError(f"{WHAT} has more than {MAX_VALUES} values")
    return builder.build()


def _decode_kernel(
    fields: Fields, builder: PlanBuilder, value: int, cid: Cid, manifest: Manifest
) -> int:
    """Add a kernel's step, whose last input is `value`; how many values it makes."""
    parameters: list[int] = []
    for parameter in manifest.parameters:
        number = fields.varint()
        parameters.append(unzigzag(number) if parameter.signed else number)
        if not parameter.min <= parameters[-1] <= parameter.max:
            raise DamagedContainerError(
                f"{WHAT} gives {manifest.name} a parameter outside its range"
            )
    inputs = [value]
    if takes_several(manifest):
        inputs = [value - fields.varint() for _ in range(min(fields.varint(), MAX_VALUES))]
        if max(inputs, default=-1) != value or min(inputs) < 0:
            raise DamagedContainerError(f"{WHAT} uses values that do not exist")
    outputs = bind(manifest, [builder.type_of(each) for each in inputs]).outputs
    return len(builder.add(cid, parameters, inputs, outputs))


def _manifest(kernels: KernelSet, cid: Cid) -> Manifest:
    kernel = kernels.by_cid(cid)
    assert kernel is not None, "a plan is made of, and resolved to, known kernels"
    return kernel.manifest
