"""The method section: block size and one plan for everything."""

from dataclasses import dataclass

from ring0.plan import Plan
from ring2_orchestrator.container.errors import DamagedContainerError
from ring2_orchestrator.container.form import decode_block_bytes, decode_form, encode_form
from ring2_orchestrator.container.operations import (
    WHAT,
    decode_plan,
    decode_table,
    dtype_at,
    encode_plan,
    encode_table,
    place_of,
)
from ring2_orchestrator.container.segments import VERSION
from ring2_orchestrator.container.wire import Fields, varint
from ring2_orchestrator.kernels import KernelSet

MAX_METHOD = 64 * 1024


@dataclass(frozen=True, slots=True)
class Method:
    """How the blocks of a container were made. `block_bytes` is 0 when the file is one block.

    `room` is 0 where limits count the bytes of a block.
    """

    plan: Plan
    block_bytes: int
    room: int = 0


def encode_method(method: Method, kernels: KernelSet, version: int = VERSION) -> bytes:
    """The section's bytes; docs/formats/container.md describes them."""
    plan, block_bytes = method.plan, method.block_bytes
    kind = place_of(plan.input)
    if version >= VERSION:
        form = encode_form(kind, block_bytes, method.room)
    else:
        form = varint(block_bytes) + bytes([kind])
    table = encode_table(plan.kernels, kernels, version)
    return form + table + encode_plan(plan, plan.kernels, kernels)


def decode_method(data: bytes, kernels: KernelSet, version: int) -> Method:
    """The method of these bytes, which must be exactly what `encode_method` makes.

    Raises DamagedContainerError; MissingKernelError or AmbiguousKernelError where not exactly one
    of these kernels is meant.
    """
    fields = Fields(data, WHAT)
    if version >= VERSION:
        kind, block_bytes, room = decode_form(fields, version)
    else:
        block_bytes, kind, room = decode_block_bytes(fields), fields.byte(), 0
    dtype = dtype_at(kind)
    table = decode_table(fields, kernels, version)
    method = Method(decode_plan(fields, dtype, table, kernels), block_bytes, room)
    fields.end()
    if encode_method(method, kernels, version) != data:
        raise DamagedContainerError(f"{WHAT} is not in its one form")
    return method
