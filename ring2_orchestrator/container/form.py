"""The first byte of a section of version 3: what the container holds, and whether it has blocks."""

from ring2_orchestrator.container.errors import DamagedContainerError
from ring2_orchestrator.container.operations import WHAT
from ring2_orchestrator.container.wire import Fields, varint

MIN_BLOCK = 64 * 1024
MAX_BLOCK = 64 * 1024 * 1024

# Kinds below are the element types of the one plan; from here on, they are the contents in parts.
PARTS = 6
_BLOCKS = 8


def encode_form(kind: int, block_bytes: int) -> bytes:
    """The byte, and the block size if there is one."""
    assert 0 <= kind < _BLOCKS, "there are six element types and two contents"
    return bytes([kind | _BLOCKS]) + varint(block_bytes) if block_bytes else bytes([kind])


def decode_form(fields: Fields) -> tuple[int, int]:
    """The kind and the block size, or 0. Raises DamagedContainerError."""
    form = fields.byte()
    if form >= 2 * _BLOCKS:
        raise DamagedContainerError(f"{WHAT} is of no known form")
    if form < _BLOCKS:
        return form, 0
    block_bytes = decode_block_bytes(fields)
    if not block_bytes:
        raise DamagedContainerError(f"{WHAT} is not in its one form")
    return form - _BLOCKS, block_bytes


def is_parts(section: bytes) -> bool:
    """Whether a section of version 3 lists parts."""
    return section[0] % _BLOCKS >= PARTS


def decode_block_bytes(fields: Fields) -> int:
    """A block size, or 0. Raises DamagedContainerError."""
    block_bytes = fields.varint()
    if block_bytes and not MIN_BLOCK <= block_bytes <= MAX_BLOCK:
        raise DamagedContainerError(f"{WHAT} has blocks of {block_bytes:,} bytes")
    return block_bytes
