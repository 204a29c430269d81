"""One block of a container: the streams of its plan, or the bytes themselves where that is less."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cid_store.cid import Cid
from cid_store.errors import UnavailableError
from ring0.boundary import MIB
from ring0.execution import Executor, Limits, StepFailedError, WorkLimitError
from ring0.outcome import Outcome, OutOfMemory, TimedOut
from ring0.plan import Plan
from ring2_orchestrator.container.errors import DamagedContainerError
from ring2_orchestrator.container.header import CHECK_BYTES, check_of
from ring2_orchestrator.container.segments import Cut
from ring2_orchestrator.container.source import Source
from ring2_orchestrator.container.wire import Fields, varint

STORED, PLANNED = 0, 1

_SLACK = 64 * 1024
# A planner asks for the limits of the same few lengths thousands of times.
_KEPT_LIMITS = 64
# Three times what a decoder of 1 MB a second takes.
_FUEL_PER_BYTE = 10_000


@dataclass(frozen=True, slots=True)
class Extent:
    """Where one block lies, and what it says of itself. A stored block has no streams."""

    cut: Cut
    offset: int
    size: int
    streams: tuple[int, ...] | None

    @property
    def index(self) -> int:
        """The number of the block."""
        return self.cut.index

    @property
    def length(self) -> int:
        """How many bytes of the original it stands for."""
        return self.cut.length


@lru_cache(_KEPT_LIMITS)
def limits(length: int, *, metered: bool = False) -> Limits:
    """What coding one block that counts as so many bytes may use: the same to pack as to unpack.

    Whatever a container claims, decoding it takes no more than this for each block. Metered calls
    end at the same instruction everywhere; those of shipped kernels are not, which are examined.
    """
    return Limits(
        value_bytes=4 * length + _SLACK,
        work_bytes=256 * (length + _SLACK),
        memory_bytes=16 * length + 64 * MIB,
        # An honest decoder makes 1 MB a second: this is twenty times as long as it takes alone,
        # for machines that have other work. Work and memory refuse what asks for too much.
        wall_ms=60_000 + 20_000 * (length // MIB),
        fuel=_FUEL_PER_BYTE * (length + _SLACK) if metered else None,
    )


def encode_block(data: bytes, cut: Cut, executor: Executor) -> bytes:
    """The block's bytes, its check included; stored where no plan applies, or it does not pay."""
    body = None if cut.plan is None else _planned(data, cut, cut.plan, executor)
    if body is None or len(body) > 1 + len(data):
        return stored_block(data)
    return body + check_of(body)


def stored_block(data: bytes) -> bytes:
    """The block that keeps the bytes as they are, its check included."""
    body = bytes([STORED]) + data
    return body + check_of(body)


def planned_streams(
    data: bytes, plan: Plan, executor: Executor, counted: int = 0
) -> list[bytes] | None:
    """The streams the plan makes of the block's whole elements; None where it does not apply.

    The block may count as more bytes than it has.
    """
    whole = len(data) // plan.input.width * plan.input.width
    bounded = executor.with_limits(limits(max(counted, len(data))), memo=executor.memo)
    try:
        return bounded.forward(plan, data[:whole] if whole < len(data) else data).outputs
    except (StepFailedError, WorkLimitError):
        return None


def framed_size(lengths: Sequence[int], tail: int, *, is_open: bool = False) -> int:
    """How many bytes a block of streams of these lengths takes, its check included."""
    heads = sum(len(varint(length)) for length in _said(lengths, is_open=is_open))
    return 1 + heads + sum(lengths) + tail + CHECK_BYTES


def _said(lengths: Sequence[int], *, is_open: bool) -> Sequence[int]:
    """The lengths that the block says: the last stream of an open one ends with the container."""
    return lengths[:-1] if is_open else lengths


def _planned(data: bytes, cut: Cut, plan: Plan, executor: Executor) -> bytes | None:
    streams = planned_streams(data, plan, executor, cut.counted)
    if streams is None:
        return None
    tail = len(data) % plan.input.width
    lengths = [*map(len, streams)]
    return b"".join(
        (
            bytes([PLANNED]),
            *map(varint, _said(lengths, is_open=cut.open)),
            *streams,
            data[len(data) - tail :],
        )
    )


def read_extent(source: Source, cut: Cut, offset: int) -> Extent:
    """Where the block at `offset` ends. Raises DamagedContainerError when it cannot be there."""
    count = 0 if cut.plan is None else len(cut.plan.streams)
    what = f"block {cut.index} of {source.name}"
    fields = Fields(source.read(offset, 1 + 10 * count), what)
    kind = fields.byte()
    if kind == STORED:
        streams, size = None, 1 + cut.length + CHECK_BYTES
    elif kind == PLANNED and cut.plan is not None:
        streams = tuple(fields.varint() for _ in range(count - cut.open))
        tail = cut.length % cut.plan.input.width
        size = fields.at + sum(streams) + tail + CHECK_BYTES
        if cut.open:
            # What is left, which is less than nothing where the block is cut short.
            streams = (*streams, max(source.size - offset - size, 0))
            size += streams[-1]
    else:
        raise DamagedContainerError(f"{what} is of no known kind")
    # Checked before any of it is read: a claimed length costs nothing.
    if size > source.size - offset:
        raise DamagedContainerError(f"{what} is cut short or damaged")
    return Extent(cut, offset, size, streams)


def read_block(source: Source, extent: Extent) -> bytes:
    """The bytes of a block, not yet checked. Raises DamagedContainerError."""
    if extent.size > limits(extent.cut.counted).value_bytes + extent.length:
        raise DamagedContainerError(
            f"block {extent.index} of {source.name} is longer than any block of its file could be"
        )
    return source.read(extent.offset, extent.size)


def check_block(name: str, extent: Extent, block: bytes) -> None:
    """Pass when the block's check holds. Raises DamagedContainerError."""
    if check_of(block[:-CHECK_BYTES]) != block[-CHECK_BYTES:]:
        # Nothing else says how long an open block is.
        fact = "cut short or damaged" if extent.cut.open else "damaged"
        raise DamagedContainerError(f"block {extent.index} of {name} is {fact}: its check fails")


def decode_block(
    name: str,
    extent: Extent,
    block: bytes,
    executor: Executor,
    *,
    carried: frozenset[Cid] = frozenset(),
) -> bytes:
    """The bytes of the original that a block of the container `name` stands for.

    Plans with kernels that the container carries are metered: nobody examined those.

    Raises DamagedContainerError, also where it asks for more than `limits` give; UnavailableError
    where this machine lacks time or memory.
    """
    check_block(name, extent, block)
    what = f"block {extent.index} of {name}"
    plan = extent.cut.plan
    if extent.streams is None or plan is None:
        return block[1:-CHECK_BYTES]
    tail = extent.length % plan.input.width
    end = len(block) - CHECK_BYTES - tail
    at = end - sum(extent.streams)
    streams: list[memoryview] = []
    for size in extent.streams:
        streams.append(memoryview(block)[at : at + size])
        at += size
    bounds = limits(extent.cut.counted, metered=not carried.isdisjoint(plan.kernels))
    body = _inverse(what, plan, streams, executor.with_limits(bounds))
    if len(body) != extent.length - tail:
        raise DamagedContainerError(f"{what} decodes to {len(body):,} bytes, not to its own length")
    return body + block[end : end + tail]


def _is_for_want_here(outcome: Outcome) -> bool:
    """Whether another machine, or this one when it is idle, might have gone on."""
    lacks_memory = isinstance(outcome, OutOfMemory) and not outcome.everywhere
    return lacks_memory or isinstance(outcome, TimedOut)


def _inverse(what: str, plan: Plan, streams: Sequence[memoryview], executor: Executor) -> bytes:
    try:
        return executor.inverse(plan, streams).outputs[0]
    except StepFailedError as error:
        if _is_for_want_here(error.outcome):
            raise UnavailableError(
                f"{what} asks for more than this machine gave: {error}; try again when it is idle"
            ) from error
        raise DamagedContainerError(f"{what} does not decode: {error}") from error
    except WorkLimitError as error:
        raise DamagedContainerError(f"{what} does not decode: {error}") from error
