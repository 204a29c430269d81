"""The front of a container: what it is, what it gives back, how it was made."""

from dataclasses import dataclass

from blake3 import blake3

from ring2_orchestrator.container.errors import DamagedContainerError
from ring2_orchestrator.container.method import (
    MAX_BLOCK,
    MAX_METHOD,
    Method,
    decode_method,
    encode_method,
)
from ring2_orchestrator.container.source import Source
from ring2_orchestrator.container.wire import Fields, varint
from ring2_orchestrator.kernels import KernelSet

MAGIC = b"\x89RDX"
VERSION = 1
CHECK_BYTES = 4
DIGEST_BYTES = 32
MAX_LENGTH = 1 << 62

# Enough of the front to read everything before the method section.
_FRONT = len(MAGIC) + 1 + 10 + DIGEST_BYTES + 10


@dataclass(frozen=True, slots=True)
class Header:
    """What a container says before its blocks. `method` is None when the bytes are stored."""

    length: int
    digest: bytes
    method: Method | None

    @property
    def block_count(self) -> int:
        """How many blocks follow; a stored file is not divided."""
        return 0 if self.method is None else -(-self.length // self.block_bytes)

    @property
    def block_bytes(self) -> int:
        """How many bytes of the original each block but the last stands for."""
        return (self.method.block_bytes if self.method is not None else 0) or max(self.length, 1)

    def block_length(self, index: int) -> int:
        """How many bytes of the original that block stands for."""
        return min(self.block_bytes, self.length - index * self.block_bytes)


def check_of(data: bytes) -> bytes:
    """The check that follows a section: the first bytes of its BLAKE3 hash."""
    return blake3(data).digest(CHECK_BYTES)


def encode_header(header: Header, kernels: KernelSet) -> bytes:
    """The header's bytes, its check included."""
    method = b"" if header.method is None else encode_method(header.method, kernels)
    assert len(method) <= MAX_METHOD, "a plan's limits keep its section small"
    body = b"".join(
        (
            MAGIC,
            bytes([VERSION]),
            varint(header.length),
            header.digest,
            varint(len(method)),
            method,
        )
    )
    return body + check_of(body)


def read_header(source: Source, kernels: KernelSet) -> tuple[Header, int]:
    """The header at the front of a container, and where its blocks begin.

    Raises DamagedContainerError, or MissingKernelError when a kernel is not known here.
    """
    front = source.read(0, _FRONT)
    if front[: len(MAGIC)] != MAGIC[: len(front)] or not front:
        raise DamagedContainerError(f"{source.name} is not a Redoxa container")
    fields = Fields(front, f"the container {source.name}")
    fields.take(len(MAGIC))
    version = fields.byte()
    if version != VERSION:
        raise DamagedContainerError(
            f"{source.name} says it is a container of version {version}, but only "
            f"version {VERSION} is known here: it is damaged, or made by a newer Redoxa"
        )
    length = fields.varint()
    digest = fields.take(DIGEST_BYTES)
    method_bytes = fields.varint()
    if method_bytes > MAX_METHOD or length > MAX_LENGTH:
        raise DamagedContainerError(f"the header of {source.name} is damaged: a size is absurd")
    end = fields.at + method_bytes
    whole = source.read(0, end + CHECK_BYTES)
    if len(whole) < end + CHECK_BYTES:
        raise DamagedContainerError(f"the container {source.name} ends too early")
    if check_of(whole[:end]) != whole[end:]:
        raise DamagedContainerError(f"the header of {source.name} is damaged: its check fails")
    return _header(source, length, digest, whole[fields.at : end], kernels), end + CHECK_BYTES


def _header(
    source: Source, length: int, digest: bytes, method: bytes, kernels: KernelSet
) -> Header:
    header = Header(length, digest, decode_method(method, kernels) if method else None)
    if header.method is None:
        return header
    block_bytes = header.method.block_bytes
    # One block is written as 0, and a file that is one block must fit one.
    if length == 0 or block_bytes >= length or (not block_bytes and length > MAX_BLOCK):
        raise DamagedContainerError(f"the header of {source.name} divides its file wrongly")
    return header
