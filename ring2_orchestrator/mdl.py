"""MDL: eight times the real length of the container that holds some bytes under a plan."""

from dataclasses import dataclass

from ring0.execution import Executor
from ring0.plan import Plan
from ring2_orchestrator.container import (
    Carried,
    Header,
    Segment,
    encode_header,
    framed_size,
    planned_streams,
)
from ring2_orchestrator.kernels import KernelSet


def bits(container_bytes: int) -> int:
    """The MDL in bits of a container of that many bytes. Base kernels are part of the machine."""
    return 8 * container_bytes


@dataclass(frozen=True, slots=True)
class Measure:
    """A plan tried on some bytes: the container they would take, part by part.

    `streams` is None where the plan does not apply or does not pay: the bytes would be stored.
    """

    header: int
    body: int
    streams: tuple[int, ...] | None

    @property
    def container(self) -> int:
        """The whole container's length in bytes."""
        return self.header + self.body


def header_bytes(plan: Plan, length: int, block_bytes: int, kernels: KernelSet) -> int:
    """How long the header of a container is, whatever the bytes it holds.

    Kernels that others may lack travel in it, so they are counted.
    """
    brought = tuple(map(Carried.of, kernels.others(plan.kernels)))
    segments = (Segment(length, plan),)
    header = Header(length, bytes(32), segments, block_bytes, carried=brought)
    return len(encode_header(header, kernels))


def measure(plan: Plan, data: bytes, executor: Executor, kernels: KernelSet) -> Measure:
    """The exact size of the container of these bytes as one block under this plan."""
    body, streams = _block(plan, data, executor)
    return Measure(header_bytes(plan, len(data), 0, kernels), body, streams)


def body_bytes(plan: Plan, data: bytes, executor: Executor) -> int:
    """What `measure` says of the body alone."""
    return _block(plan, data, executor)[0]


def _block(plan: Plan, data: bytes, executor: Executor) -> tuple[int, tuple[int, ...] | None]:
    streams = planned_streams(data, plan, executor)
    stored = framed_size((), len(data))
    if streams is not None:
        lengths = tuple(map(len, streams))
        body = framed_size(lengths, len(data) % plan.input.width, is_open=True)
        if body <= stored:
            return body, lengths
    return stored, None
