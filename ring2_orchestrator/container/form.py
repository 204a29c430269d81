"""The first byte of a section from version 3 on: what a container holds, its blocks, its room."""

from ring2_orchestrator.container.errors import DamagedContainerError
from ring2_orchestrator.container.operations import WHAT
from ring2_orchestrator.container.segments import ROOMY
from ring2_orchestrator.container.wire import Fields, varint

MIN_BLOCK = 64 * 1024
MAX_BLOCK = 64 * 1024 * 1024

# Kinds below are the element types of the one plan; from here on, they are the contents in parts.
PARTS = 6
_BLOCKS, _ROOM = 8, 16


def encode_form(kind: int, block_bytes: int, room: int = 0) -> bytes:
    """The byte, and the block size and the room if there are such."""
    assert 0 <= kind < _BLOCKS, "there are six element types and two contents"
    form = kind | (_BLOCKS if block_bytes else 0) | (_ROOM if room else 0)
    return bytes([form]) + b"".join(varint(each) for each in (block_bytes, room) if each)


def decode_form(fields: Fields, version: int) -> tuple[int, int, int]:
    """The kind, the block size or 0, and the room, or 0. Raises DamagedContainerError."""
    form = fields.byte()
    # What has room is of a version of its own, so that readers of the one before know to stop.
    if form // _ROOM != (version >= ROOMY):
        raise DamagedContainerError(f"{WHAT} is of no known form")
    block_bytes = decode_block_bytes(fields) if form & _BLOCKS else 0
    room = fields.varint() if form & _ROOM else 0
    if (not block_bytes and form & _BLOCKS) or (not room and form & _ROOM) or room > MAX_BLOCK:
        raise DamagedContainerError(f"{WHAT} is not in its one form")
    return form % _BLOCKS, block_bytes, room


def is_parts(section: bytes) -> bool:
    """Whether a section of version 3 or later lists parts."""
    return section[0] % _BLOCKS >= PARTS


def decode_block_bytes(fields: Fields) -> int:
    """A block size, or 0. Raises DamagedContainerError."""
    block_bytes = fields.varint()
    if block_bytes and not MIN_BLOCK <= block_bytes <= MAX_BLOCK:
        raise DamagedContainerError(f"{WHAT} has blocks of {block_bytes:,} bytes")
    return block_bytes
