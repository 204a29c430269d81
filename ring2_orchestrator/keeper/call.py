"""What a wrapper tells of its call, before and after: docs/formats/home.md specifies the bytes."""

import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ring2_orchestrator.recorder.event import Chunk, Doubt
from ring2_orchestrator.recorder.relay import output_doubt, signal_doubt, size_doubt
from ring2_orchestrator.runs.leaves.note import chunks_of, named, parts, zero_ended

_CALL = struct.Struct("<8sQQIBBHH")
_TOLD = struct.Struct("<8sQBII")
_DOUBT = struct.Struct("<BII")
_CALL_MAGIC, _TOLD_MAGIC = b"RXCALL01", b"RXTOLD01"
_NO_WINDOW = 0xFFFF


class Call(NamedTuple):
    """A compiler's call that is about to begin, and what surrounds it."""

    folder: tuple[int, int]  # device and inode of `cwd`, as the wrapper sees it
    umask: int
    terminals: tuple[bool, bool, bool]
    merged: bool
    window: tuple[int, int] | None
    machine: Mapping[str, str]
    cwd: Path
    command: Sequence[str]
    env: Mapping[str, str]


class End(NamedTuple):
    """How the call ended, and what it printed."""

    wall_s: float
    ended: tuple[int, int] | None  # exit code and signal; None where the helper ended first
    doubts: list[Doubt]
    printed: list[Chunk]
    interrupted: bool


def call_of(data: bytes) -> Call:
    """The call in those bytes. Raises ValueError or struct.error."""
    magic, dev, ino, umask, bits, merged, columns, rows = _CALL.unpack_from(data)
    if magic != _CALL_MAGIC:
        raise ValueError(magic)
    machine, cwd, words, environment = parts(data, _CALL.size, 4)
    command = [os.fsdecode(word) for word in zero_ended(words)]
    if not command or not cwd.startswith(b"/"):
        raise ValueError(cwd)
    return Call(
        folder=(dev, ino),
        umask=umask,
        terminals=(bool(bits & 1), bool(bits & 2), bool(bits & 4)),
        merged=bool(merged),
        window=None if columns == _NO_WINDOW or not bits else (columns, rows),
        machine=named(machine.splitlines()),
        cwd=Path(os.fsdecode(cwd)),
        command=command,
        env=named(zero_ended(environment)),
    )


def end_of(data: bytes) -> End:
    """The end in those bytes. Raises ValueError or struct.error."""
    magic, wall_ns, has_ended, code, number = _TOLD.unpack_from(data)
    if magic != _TOLD_MAGIC:
        raise ValueError(magic)
    doubts, cuts, printed = parts(data, _TOLD.size, 3)
    told = list(_DOUBT.iter_unpack(doubts))
    return End(
        wall_s=wall_ns / 1e9,
        ended=(code, number) if has_ended else None,
        doubts=[_doubt(*each) for each in told],
        printed=chunks_of(cuts, printed),
        interrupted=any(kind == 4 for kind, _, _ in told),
    )


def _doubt(kind: int, first: int, second: int) -> Doubt:
    if kind == 1:
        return size_doubt(first)
    if kind in (2, 3) and first in (1, 2):
        return output_doubt(first, OSError(second, os.strerror(second)))
    if kind == 4:
        return signal_doubt(first)
    raise ValueError(kind)
