"""Compiled kernels kept on disk, so that a process need not compile what an earlier one did.

What is loaded is native code, and the engine accepts most damage to it without a word. So a file
counts only when this user alone can have written it, on this machine, and every byte is what was
written: see ring0/sealed.py. Nothing here raises.
"""

import os
import sys
from pathlib import Path
from typing import Self

from blake3 import blake3

from ring0.host.library import VERSION
from ring0.sealed import SealedFolder

# Counted up when the meaning of what is kept changes.
_FORMAT = 1
LIMIT_BYTES = 64 * 1024 * 1024
_SUFFIX = ".code"
_CPU = Path("/proc/cpuinfo")
_CPU_BYTES = 8192  # the first processor's lines; all of them are of one kind
_CPU_LINES = (b"flags", b"Features", b"vendor_id", b"model name", b"CPU implementer", b"CPU part")


class CodeCache:
    """Native code by what it was made of and for. Any number of processes may share a folder."""

    def __init__(self, folder: SealedFolder, machine: bytes) -> None:
        self._folder = folder
        # What is known of a processor is long, and hashed once.
        self._machine = blake3(machine).digest()

    @classmethod
    def open(cls, folder: Path) -> Self | None:
        """The cache in that folder, made if missing; None where there can be none to trust."""
        try:
            machine = _machine()
        except OSError:
            return None
        sealed = SealedFolder.open(folder, suffix=_SUFFIX, limit_bytes=LIMIT_BYTES)
        return None if sealed is None else cls(sealed, machine)

    def find(self, kernel: bytes, configuration: str) -> memoryview | None:
        """What was kept for the kernel of that digest under that configuration, or None."""
        return self._folder.find(self._identity(kernel, configuration))

    def keep(self, kernel: bytes, configuration: str, content: bytes) -> None:
        """Keep it, where there is room; what was kept before is replaced whole."""
        self._folder.keep(self._identity(kernel, configuration), content)

    def _identity(self, kernel: bytes, configuration: str) -> bytes:
        about = repr((_FORMAT, VERSION, configuration, self._machine, kernel))
        return blake3(about.encode()).digest()


def _machine() -> bytes:
    """What native code depends on besides the engine. Raises OSError where it cannot be told."""
    with _CPU.open("rb", buffering=0) as file:
        lines = file.read(_CPU_BYTES).partition(b"\n\n")[0].splitlines()
    told = [line for line in lines if line.startswith(_CPU_LINES)]
    if not any(line.startswith((b"flags", b"Features")) for line in told):
        raise OSError("the processor's features are not known")
    return b"\n".join([sys.platform.encode(), os.uname().machine.encode(), *told])
