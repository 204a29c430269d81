"""The parts section: kernels, plans, and which part of the file is under which plan."""

from collections.abc import Sequence
from dataclasses import replace

from cid_store.cid import Cid
from ring0.plan import Plan
from ring2_orchestrator.container.carried import (
    Carried,
    decode_carried,
    encode_carried,
    with_carried,
)
from ring2_orchestrator.container.errors import DamagedContainerError, ForeignKernelError
from ring2_orchestrator.container.form import (
    MAX_BLOCK,
    PARTS,
    decode_block_bytes,
    decode_form,
    encode_form,
)
from ring2_orchestrator.container.operations import (
    WHAT,
    decode_plan,
    decode_table,
    dtype_at,
    encode_plan,
    encode_table,
    place_of,
)
from ring2_orchestrator.container.segments import (
    MAX_SEGMENTS,
    VERSION,
    Contents,
    Header,
    Segment,
)
from ring2_orchestrator.container.wire import Fields, varint
from ring2_orchestrator.kernels import KernelSet

MAX_PARTS = 8 * 1024 * 1024
MAX_PLANS = 1024
MAX_ALL_VALUES = 65_536


def encode_parts(header: Header, kernels: KernelSet) -> bytes:
    """The section's bytes; docs/formats/container.md describes them."""
    assert len(header.plans) <= MAX_PLANS, "whoever divides a file counts its plans"
    assert len(header.segments) <= MAX_SEGMENTS, "whoever divides a file counts its parts"
    table = header.kernels
    known = with_carried(kernels, header.carried)
    out = bytearray(_encode_front(header))
    out += encode_carried(header.carried)
    out += encode_table(table, known, header.version)
    out += varint(len(header.plans))
    for plan in header.plans:
        out.append(place_of(plan.input))
        out += encode_plan(plan, table, known)
    place = {plan: at for at, plan in enumerate(header.plans, 1)}
    out += varint(len(header.segments))
    for segment in header.segments:
        out += varint(segment.length)
        out += varint(0 if segment.plan is None else place[segment.plan])
    return bytes(out)


def decode_parts(data: bytes, front: Header, kernels: KernelSet, *, allow_foreign: bool) -> Header:
    """The header that begins as `front` does and has this section, in its one form.

    Raises DamagedContainerError, MissingKernelError, AmbiguousKernelError, or ForeignKernelError.
    """
    fields = Fields(data, WHAT)
    contents, block_bytes, room = _decode_front(fields, front.version)
    carried = decode_carried(fields)
    if not allow_foreign:
        _refuse_foreign(carried, kernels)
    known = with_carried(kernels, carried)
    table = decode_table(fields, known, front.version)
    plans = _decode_plans(fields, table, known)
    segments = _decode_segments(fields, plans, front.length)
    fields.end()
    header = replace(
        front,
        segments=segments,
        block_bytes=block_bytes,
        contents=contents,
        carried=carried,
        room=room,
    )
    _check_blocks(header)
    if not header.is_divided or encode_parts(header, kernels) != data:
        raise DamagedContainerError(f"{WHAT} is not in its one form")
    return header


def _encode_front(header: Header) -> bytes:
    if header.version >= VERSION:
        return encode_form(PARTS + header.contents, header.block_bytes, header.room)
    return bytes([header.contents]) + varint(header.block_bytes)


def _decode_front(fields: Fields, version: int) -> tuple[Contents, int, int]:
    if version >= VERSION:
        kind, block_bytes, room = decode_form(fields, version)
        return Contents(kind - PARTS), block_bytes, room
    contents = fields.byte()
    if contents not in tuple(Contents):
        raise DamagedContainerError("the container holds neither a file nor a directory")
    return Contents(contents), decode_block_bytes(fields), 0


def _refuse_foreign(carried: Sequence[Carried], kernels: KernelSet) -> None:
    foreign = [one.kernel for one in carried if one.kernel.cid not in kernels.cids]
    if foreign:
        # Its name is a stranger's text: quoted, and only as much of it as a name may have.
        names = ", ".join(f"{kernel.name!a:.40}" for kernel in foreign)
        raise ForeignKernelError(
            f"the container brings code of its own, the kernel {names}, and nobody allowed that to "
            "run; if you trust its author, give --allow-foreign-kernels: it runs in a sandbox"
        )


def _decode_plans(fields: Fields, table: Sequence[Cid], kernels: KernelSet) -> list[Plan]:
    count = fields.varint()
    if count > MAX_PLANS:
        raise DamagedContainerError(f"the container has more than {MAX_PLANS} plans")
    plans: list[Plan] = []
    values = 0
    for _ in range(count):
        plans.append(decode_plan(fields, dtype_at(fields.byte()), table, kernels))
        values += len(plans[-1].values)
        if values > MAX_ALL_VALUES:
            raise DamagedContainerError(f"{WHAT} has more than {MAX_ALL_VALUES} values")
    return plans


def _decode_segments(fields: Fields, plans: Sequence[Plan], length: int) -> tuple[Segment, ...]:
    count = fields.varint()
    if count > MAX_SEGMENTS:
        raise DamagedContainerError(f"the container has more than {MAX_SEGMENTS} parts")
    segments: list[Segment] = []
    for _ in range(count):
        size, place = fields.varint(), fields.varint()
        if not size or size > length or place > len(plans):
            raise DamagedContainerError("the container divides its file wrongly")
        segments.append(Segment(size, plans[place - 1] if place else None))
    if sum(segment.length for segment in segments) != length:
        raise DamagedContainerError("the parts of the container are not its file")
    return tuple(segments)


def _check_blocks(header: Header) -> None:
    """Pass when the block size is the one form for these segments."""
    longest = max((segment.length for segment in header.segments), default=0)
    if header.block_bytes >= max(longest, 1) or (not header.block_bytes and longest > MAX_BLOCK):
        raise DamagedContainerError("the container divides its file wrongly")
