"""The method section of version 1: block size and one plan for everything."""

from dataclasses import dataclass

from ring0.plan import Plan
from ring2_orchestrator.container.errors import DamagedContainerError
from ring2_orchestrator.container.operations import (
    WHAT,
    decode_dtype,
    decode_plan,
    decode_table,
    encode_dtype,
    encode_plan,
    encode_table,
)
from ring2_orchestrator.container.wire import Fields, varint
from ring2_orchestrator.kernels import KernelSet

MAX_METHOD = 64 * 1024
MIN_BLOCK = 64 * 1024
MAX_BLOCK = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Method:
    """How the blocks of a container were made. `block_bytes` is 0 when the file is one block."""

    plan: Plan
    block_bytes: int


def encode_method(method: Method, kernels: KernelSet) -> bytes:
    """The section's bytes; docs/formats/container.md describes them."""
    plan = method.plan
    return b"".join(
        (
            varint(method.block_bytes),
            encode_dtype(plan.input),
            encode_table(plan.kernels),
            encode_plan(plan, plan.kernels, kernels),
        )
    )


def decode_method(data: bytes, kernels: KernelSet) -> Method:
    """The method of these bytes, which must be exactly what `encode_method` makes.

    Raises DamagedContainerError, or MissingKernelError when a kernel is not known here.
    """
    fields = Fields(data, WHAT)
    block_bytes = decode_block_bytes(fields)
    dtype = decode_dtype(fields)
    table = decode_table(fields, kernels.cids)
    method = Method(decode_plan(fields, dtype, table, kernels), block_bytes)
    fields.end()
    if encode_method(method, kernels) != data:
        raise DamagedContainerError(f"{WHAT} is not in its one form")
    return method


def decode_block_bytes(fields: Fields) -> int:
    """A block size, or 0. Raises DamagedContainerError."""
    block_bytes = fields.varint()
    if block_bytes and not MIN_BLOCK <= block_bytes <= MAX_BLOCK:
        raise DamagedContainerError(f"{WHAT} has blocks of {block_bytes:,} bytes")
    return block_bytes
