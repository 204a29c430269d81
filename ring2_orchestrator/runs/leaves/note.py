"""What a compiler's wrapper wrote down of a leaf: docs/formats/home.md specifies its bytes."""

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ring2_orchestrator.recorder.event import Chunk

FOLDER = "leaves"
ENDED = ".end"
_MAGIC = b"RXLEAF01"
_HEAD = struct.Struct("<8sIQQIBBHH")
_LENGTH = struct.Struct("<I")
_CUT = struct.Struct("<BQ")
_NO_WINDOW = 0xFFFF


class Note(NamedTuple):
    """A compiler's call that ended well: what surrounded it, and what it printed."""

    name: str
    pid: int
    begun_ns: int  # by the wall clock
    ended_ns: int
    umask: int
    terminals: tuple[bool, bool, bool]
    merged: bool
    window: tuple[int, int] | None
    machine: Mapping[str, str]
    cwd: Path
    command: tuple[str, ...]
    env: Mapping[str, str]
    printed: tuple[Chunk, ...]


def read_notes(scratch: Path) -> list[Note]:
    """Every whole note below a recording's scratch folder, by name."""
    found: list[Note] = []
    for path in sorted((scratch / FOLDER).glob("*" + ENDED)):
        try:
            found.append(_parsed(path.name.removesuffix(ENDED), path.read_bytes()))
        except (OSError, ValueError, struct.error):
            continue  # it was cut short: that call is not kept
    return found


def _parsed(name: str, data: bytes) -> Note:
    magic, pid, begun_ns, ended_ns, umask, bits, merged, columns, rows = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError(magic)
    machine, cwd, words, environment, cuts, printed = parts(data, _HEAD.size, 6)
    window = None if columns == _NO_WINDOW or not bits else (columns, rows)
    return Note(
        name=name,
        pid=pid,
        begun_ns=begun_ns,
        ended_ns=ended_ns,
        umask=umask,
        terminals=(bool(bits & 1), bool(bits & 2), bool(bits & 4)),
        merged=bool(merged),
        window=window,
        machine=named(machine.splitlines()),
        cwd=Path(os.fsdecode(cwd)),
        command=tuple(os.fsdecode(word) for word in zero_ended(words)),
        env=named(zero_ended(environment)),
        printed=tuple(chunks_of(cuts, printed)),
    )


def parts(data: bytes, at: int, count: int) -> list[bytes]:
    """The parts, each after its length; they fill the rest. Raises ValueError or struct.error."""
    found: list[bytes] = []
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size + length
        found.append(data[at - length : at])
    if at != len(data) or len(found) != count:
        raise ValueError(at)
    return found


def named(entries: list[bytes]) -> dict[str, str]:
    """Name to value, of entries that have an equals sign between."""
    found: dict[str, str] = {}
    for entry in entries:
        name, _, value = os.fsdecode(entry).partition("=")
        found.setdefault(name, value)
    return found


def zero_ended(data: bytes) -> list[bytes]:
    """Texts with a zero byte behind each."""
    return data.split(b"\0")[:-1]


def chunks_of(cuts: bytes, printed: bytes) -> list[Chunk]:
    """What was printed, cut by stream. Raises ValueError or struct.error."""
    chunks: list[Chunk] = []
    at = 0
    for stream, length in _CUT.iter_unpack(cuts):
        chunks.append(Chunk(stream, printed[at : at + length]))
        at += length
    if at != len(printed):
        raise ValueError(at)
    return chunks
