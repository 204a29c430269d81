"""New containers, held back until decoding them gave the bytes that they name."""

import shutil
import tempfile
from typing import IO

from cid_store.errors import DamageError
from ring2_orchestrator.container import Container, FileSource
from ring2_orchestrator.toolbox import Toolbox

# Small containers never touch the disk before they are accepted.
_SPOOL_BYTES = 8 * 1024 * 1024


def held() -> "tempfile.SpooledTemporaryFile[bytes]":
    """A file for a container that nobody has accepted yet; closing it leaves nothing behind."""
    return tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)


def decode(file: IO[bytes], tools: Toolbox) -> None:
    """Decode the container in a file, and pass when it is whole. Raises DamagedContainerError."""
    for _ in Container(FileSource(file, "the new container"), tools.kernels).chunks(tools.executor):
        pass


def gives_back(file: IO[bytes], tools: Toolbox) -> bool:
    """Whether the container in a file decodes to the bytes that it names."""
    try:
        decode(file, tools)
    except DamageError:
        return False
    return True


def hand_over(file: IO[bytes], out: IO[bytes]) -> None:
    """Write all of a container that was held."""
    file.seek(0)
    shutil.copyfileobj(file, out, 1 << 20)
