"""The container `.rdx`: a plan and what it makes of some bytes, every byte covered by a check."""

from ring2_orchestrator.container.block import (
    encode_block,
    framed_size,
    limits,
    planned_streams,
)
from ring2_orchestrator.container.destination import check_destination, check_room, new_file
from ring2_orchestrator.container.errors import DamagedContainerError, MissingKernelError
from ring2_orchestrator.container.header import Header, encode_header
from ring2_orchestrator.container.method import Method, encode_method
from ring2_orchestrator.container.reader import Container
from ring2_orchestrator.container.source import (
    BytesSource,
    FileSource,
    Source,
    chunks,
    open_source,
    spooled,
)
from ring2_orchestrator.container.writer import (
    BLOCK_BYTES,
    Advance,
    Original,
    stored_size,
    write_planned,
    write_stored,
)

__all__ = [
    "BLOCK_BYTES",
    "Advance",
    "BytesSource",
    "Container",
    "DamagedContainerError",
    "FileSource",
    "Header",
    "Method",
    "MissingKernelError",
    "Original",
    "Source",
    "check_destination",
    "check_room",
    "chunks",
    "encode_block",
    "encode_header",
    "encode_method",
    "framed_size",
    "limits",
    "new_file",
    "open_source",
    "planned_streams",
    "spooled",
    "stored_size",
    "write_planned",
    "write_stored",
]
