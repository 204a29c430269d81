"""The container `.rdx`: a plan and what it makes of some bytes, every byte covered by a check."""

from ring2_orchestrator.container.block import (
    encode_block,
    framed_size,
    limits,
    planned_streams,
)
from ring2_orchestrator.container.carried import Carried
from ring2_orchestrator.container.destination import check_destination, check_room, new_file
from ring2_orchestrator.container.errors import (
    AmbiguousKernelError,
    DamagedContainerError,
    ForeignKernelError,
    MissingKernelError,
)
from ring2_orchestrator.container.form import MAX_BLOCK
from ring2_orchestrator.container.header import encode_header
from ring2_orchestrator.container.method import Method, encode_method
from ring2_orchestrator.container.parts import MAX_PLANS
from ring2_orchestrator.container.reader import Container
from ring2_orchestrator.container.segments import MAX_SEGMENTS, Contents, Cut, Header, Segment
from ring2_orchestrator.container.source import (
    BytesSource,
    FileSource,
    Source,
    Within,
    chunks,
    open_source,
    spooled,
)
from ring2_orchestrator.container.writer import (
    BLOCK_BYTES,
    Advance,
    Original,
    stored_size,
    write_blocks,
    write_planned,
    write_stored,
)

__all__ = [
    "BLOCK_BYTES",
    "MAX_BLOCK",
    "MAX_PLANS",
    "MAX_SEGMENTS",
    "Advance",
    "AmbiguousKernelError",
    "BytesSource",
    "Carried",
    "Container",
    "Contents",
    "Cut",
    "DamagedContainerError",
    "FileSource",
    "ForeignKernelError",
    "Header",
    "Method",
    "MissingKernelError",
    "Original",
    "Segment",
    "Source",
    "Within",
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
    "write_blocks",
    "write_planned",
    "write_stored",
]
