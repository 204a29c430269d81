"""One block of a container: the streams of its plan, or the bytes themselves where that is less."""

from collections.abc import Sequence
from dataclasses import dataclass

from cid_store.errors import UnavailableError
from ring0.boundary import MIB
from ring0.execution import Executor, Limits, StepFailedError, WorkLimitError
from ring0.outcome import OutOfMemory, TimedOut
from ring0.plan import Plan
from ring2_orchestrator.container.errors import DamagedContainerError
from ring2_orchestrator.container.header import CHECK_BYTES, Header, check_of
from ring2_orchestrator.container.source import Source
from ring2_orchestrator.container.wire import Fields, varint

STORED, PLANNED = 0, 1

_SLACK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Extent:
    """Where one block lies, and what it says of itself. A stored block has no streams."""

    index: int
    offset: int
    size: int
    length: int
    streams: tuple[int, ...] | None


def limits(length: int) -> Limits:
    """What coding one block of that many bytes may use: the same to pack as to unpack.

    Whatever a container claims, decoding it takes no more than this for each block.
    """
    return Limits(
        value_bytes=4 * length + _SLACK,
        work_bytes=256 * (length + _SLACK),
        memory_bytes=16 * length + 64 * MIB,
        wall_ms=30_000 + 4_000 * (length // MIB),
    )


def encode_block(data: bytes, plan: Plan, executor: Executor) -> bytes:
    """The block's bytes, its check included; stored where the plan does not apply or not pay."""
    body = _planned(data, plan, executor)
    if body is None or len(body) > 1 + len(data):
        body = bytes([STORED]) + data
    return body + check_of(body)


def planned_streams(data: bytes, plan: Plan, executor: Executor) -> list[bytes] | None:
    """The streams the plan makes of the block's whole elements; None where it does not apply."""
    whole = len(data) // plan.input.width * plan.input.width
    bounded = executor.with_limits(limits(len(data)), memo=executor.memo)
    try:
        return bounded.forward(plan, data[:whole] if whole < len(data) else data).outputs
    except (StepFailedError, WorkLimitError):
        return None


def framed_size(lengths: Sequence[int], tail: int) -> int:
    """How many bytes a block of streams of these lengths takes, its check included."""
    heads = sum(len(varint(length)) for length in lengths)
    return 1 + heads + sum(lengths) + tail + CHECK_BYTES


def _planned(data: bytes, plan: Plan, executor: Executor) -> bytes | None:
    streams = planned_streams(data, plan, executor)
    if streams is None:
        return None
    tail = len(data) % plan.input.width
    return b"".join(
        (
            bytes([PLANNED]),
            *(varint(len(stream)) for stream in streams),
            *streams,
            data[len(data) - tail :],
        )
    )


def read_extent(source: Source, header: Header, index: int, offset: int) -> Extent:
    """Where the block at `offset` ends. Raises DamagedContainerError when it cannot be there."""
    assert header.method is not None, "a stored file has no blocks"
    plan = header.method.plan
    length = header.block_length(index)
    count = len(plan.streams)
    fields = Fields(source.read(offset, 1 + 10 * count), f"block {index} of {source.name}")
    kind = fields.byte()
    if kind == STORED:
        streams, size = None, 1 + length + CHECK_BYTES
    elif kind == PLANNED:
        streams = tuple(fields.varint() for _ in range(count))
        tail = length % plan.input.width
        size = framed_size(streams, tail)
    else:
        raise DamagedContainerError(f"block {index} of {source.name} is of no known kind")
    # Checked before any of it is read: a claimed length costs nothing.
    if size > source.size - offset:
        raise DamagedContainerError(f"block {index} of {source.name} is cut short or damaged")
    return Extent(index, offset, size, length, streams)


def read_block(source: Source, extent: Extent) -> bytes:
    """The bytes of a block, not yet checked. Raises DamagedContainerError."""
    if extent.size > limits(extent.length).value_bytes + extent.length:
        raise DamagedContainerError(
            f"block {extent.index} of {source.name} is longer than any block of its file could be"
        )
    return source.read(extent.offset, extent.size)


def decode_block(
    name: str, header: Header, extent: Extent, block: bytes, executor: Executor
) -> bytes:
    """The bytes of the original that a block of the container `name` stands for.

    Raises DamagedContainerError; UnavailableError where this machine lacks time or memory.
    """
    assert header.method is not None, "a stored file has no blocks"
    what = f"block {extent.index} of {name}"
    if check_of(block[:-CHECK_BYTES]) != block[-CHECK_BYTES:]:
        raise DamagedContainerError(f"{what} is damaged: its check fails")
    if extent.streams is None:
        return block[1:-CHECK_BYTES]
    plan = header.method.plan
    tail = extent.length % plan.input.width
    end = len(block) - CHECK_BYTES - tail
    at = end - sum(extent.streams)
    streams: list[memoryview] = []
    for size in extent.streams:
        streams.append(memoryview(block)[at : at + size])
        at += size
    body = _inverse(what, plan, streams, executor.with_limits(limits(extent.length)))
    if len(body) != extent.length - tail:
        raise DamagedContainerError(f"{what} decodes to {len(body):,} bytes, not to its own length")
    return body + block[end : end + tail]


def _inverse(what: str, plan: Plan, streams: Sequence[memoryview], executor: Executor) -> bytes:
    try:
        return executor.inverse(plan, streams).outputs[0]
    except StepFailedError as error:
        if isinstance(error.outcome, TimedOut | OutOfMemory):
            raise UnavailableError(
                f"{what} asks for more than this machine gave: {error}; try again when it is idle"
            ) from error
        raise DamagedContainerError(f"{what} does not decode: {error}") from error
    except WorkLimitError as error:
        raise DamagedContainerError(f"{what} does not decode: {error}") from error
