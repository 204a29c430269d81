"""The front of a container: what it is, what it gives back, how it was made."""

from dataclasses import replace

from blake3 import blake3

from ring2_orchestrator.container.errors import DamagedContainerError
from ring2_orchestrator.container.form import MAX_BLOCK, is_parts
from ring2_orchestrator.container.method import (
    MAX_METHOD,
    Method,
    decode_method,
    encode_method,
)
from ring2_orchestrator.container.parts import MAX_PARTS, decode_parts, encode_parts
from ring2_orchestrator.container.segments import ROOMY, VERSION, Header, Segment
from ring2_orchestrator.container.source import Source
from ring2_orchestrator.container.wire import Fields, varint
from ring2_orchestrator.kernels import KernelSet

MAGIC = b"\x89RDX"
CHECK_BYTES = 4
DIGEST_BYTES = 32
MAX_LENGTH = 1 << 62

# The versions there are, and how long the section of each may be. The first is of one plan, the
# second of parts; the later ones, which alone are written, say which of them it is.
_SECTIONS = {1: MAX_METHOD, 2: MAX_PARTS, VERSION: MAX_PARTS, ROOMY: MAX_PARTS}

# Enough of the front to read everything before the section.
_FRONT = len(MAGIC) + 1 + 10 + DIGEST_BYTES + 10


def check_of(data: bytes) -> bytes:
    """The check that follows a section: the first bytes of its BLAKE3 hash."""
    return blake3(data).digest(CHECK_BYTES)


def encode_header(header: Header, kernels: KernelSet) -> bytes:
    """The header's bytes, its check included."""
    section = _encode_section(header, kernels)
    assert len(section) <= _SECTIONS[header.version], "the limits of plans keep sections small"
    body = b"".join(
        (
            MAGIC,
            bytes([header.version]),
            varint(header.length),
            header.digest,
            varint(len(section)),
            section,
        )
    )
    return body + check_of(body)


def read_header(
    source: Source, kernels: KernelSet, *, allow_foreign: bool = False
) -> tuple[Header, int]:
    """The header at the front of a container, and where its blocks begin.

    Raises DamagedContainerError, MissingKernelError when a kernel is not known here,
    AmbiguousKernelError when several fit, and ForeignKernelError when the container brings kernels
    that nobody allowed.
    """
    start = source.read(0, _FRONT)
    if start[: len(MAGIC)] != MAGIC[: len(start)] or not start:
        raise DamagedContainerError(f"{source.name} is not a Redoxa container")
    fields = Fields(start, source.name)
    fields.take(len(MAGIC))
    version = fields.byte()
    if version not in _SECTIONS:
        raise DamagedContainerError(
            f"{source.name} says it is a container of version {version}, but only "
            f"versions 1 to {ROOMY} are known here: it is damaged, or made by a newer Redoxa"
        )
    length = fields.varint()
    digest = fields.take(DIGEST_BYTES)
    section_bytes = fields.varint()
    if section_bytes > _SECTIONS[version] or length > MAX_LENGTH:
        raise DamagedContainerError(f"the header of {source.name} is damaged: a size is absurd")
    end = fields.at + section_bytes
    whole = source.read(0, end + CHECK_BYTES)
    if len(whole) < end + CHECK_BYTES:
        raise DamagedContainerError(f"{source.name} ends too early")
    if check_of(whole[:end]) != whole[end:]:
        raise DamagedContainerError(f"the header of {source.name} is damaged: its check fails")
    section = whole[fields.at : end]
    front = Header(length, digest, (), version=version)
    if version == 2 or (version >= VERSION and section and is_parts(section)):
        header = decode_parts(section, front, kernels, allow_foreign=allow_foreign)
    else:
        header = _decode_single(source.name, front, section, kernels)
    return header, end + CHECK_BYTES


def _encode_section(header: Header, kernels: KernelSet) -> bytes:
    if header.is_divided:
        return encode_parts(header, kernels)
    if not header.plans:
        return b""
    method = Method(header.plans[0], header.block_bytes, header.room)
    return encode_method(method, kernels, header.version)


def _decode_single(name: str, front: Header, section: bytes, kernels: KernelSet) -> Header:
    length = front.length
    if not section:
        if front.version >= ROOMY:
            raise DamagedContainerError(f"the header of {name} has room for nothing")
        return replace(front, segments=(Segment(length),) if length else ())
    if len(section) > MAX_METHOD:
        raise DamagedContainerError(f"the header of {name} is damaged: a size is absurd")
    method = decode_method(section, kernels, front.version)
    block_bytes = method.block_bytes
    # One block is written as 0, and a file that is one block must fit one.
    if length == 0 or block_bytes >= length or (not block_bytes and length > MAX_BLOCK):
        raise DamagedContainerError(f"the header of {name} divides its file wrongly")
    segments = (Segment(length, method.plan),)
    return replace(front, segments=segments, block_bytes=block_bytes, room=method.room)
