"""The bytes that Python and `redoxa-run` share: docs/formats/shortcut.md is their page."""

import os
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ring2_orchestrator.plainfile import read_plain

if TYPE_CHECKING:
    from cid_store.store import Buffer

MAGIC = b"RXSHORT2"
HINT_MAGIC = b"RXHINT01"
MARK = b"RXREUSE1"
ENTERING = b"RXENTER1"
KEY_FILE = "environment.key"
DIGEST_BYTES = 16
_NO_WINDOW = 0xFFFF


class Fact(IntEnum):
    """How a path is looked at. The numbers are part of the format."""

    ABSENT = 0  # nothing stands there
    STAMP = 1  # device, inode, mode, size and both times are these
    MODE = 2  # type and permissions are these
    TYPE = 3  # the type is this
    BLANK = 4  # nothing, or an empty file
    BYTES = 5  # a file of the kernel's own says these bytes
    PRESENT = 6  # something stands there
    CONTENT = 7  # a file of this mode, size and digest; no need to read it under this stamp
    BLOCKED = 8  # nothing can be looked at there, for this reason
    TIMED = 9  # as STAMP, of a file whose time counts: it holds outside of recorded runs alone


class StdinKind(IntEnum):
    """The standard inputs that nobody needs to read. The numbers are part of the format."""

    NOTHING = 0
    TERMINAL = 1
    UNREAD = 2


class Streams(NamedTuple):
    """The three standard streams of a run."""

    terminals: tuple[bool, bool, bool]
    merged: bool
    window: tuple[int, int] | None
    stdin: StdinKind

    def to_bytes(self) -> bytes:
        """As a shortcut holds them."""
        bits = sum(terminal << number for number, terminal in enumerate(self.terminals))
        columns, rows = self.window or (_NO_WINDOW, 0)
        return bytes([bits, self.merged]) + _u16(columns) + _u16(rows) + bytes([self.stdin])


def key_of(home: Path) -> bytes:
    """The home's own key. Raises OSError where there is none that may be read."""
    return read_plain(home / KEY_FILE)


def digest(key: bytes, data: "Buffer") -> bytes:
    """BLAKE2b with the home's key (RFC 7693)."""
    from hashlib import blake2b  # noqa: PLC0415 - slow to import, and most runs need none

    return blake2b(data, key=key, digest_size=DIGEST_BYTES).digest()


def surroundings_text(umask: int, machine: Mapping[str, str], env: Mapping[bytes, bytes]) -> bytes:
    """What `redoxa-run` finds around it in words, of which a shortcut holds the digest."""
    lines = [f"umask={umask:04o}\n".encode()]
    lines += [os.fsencode(f"{name}={machine[name]}\n") for name in sorted(machine)]
    return b"".join(lines) + b"".join(sorted(name + b"=" + env[name] + b"\0" for name in env))


def part(data: bytes) -> bytes:
    """Bytes after their length."""
    return len(data).to_bytes(4, "little") + data


NO_STAMP = bytes(44)


def stamp_bytes(status: os.stat_result) -> bytes:
    """The stamp of a STAMP fact."""
    numbers = (
        (status.st_dev, 8),
        (status.st_ino, 8),
        (status.st_mode, 4),
        (status.st_size, 8),
        (status.st_mtime_ns, 8),
        (status.st_ctime_ns, 8),
    )
    return b"".join(value.to_bytes(width, "little", signed=value < 0) for value, width in numbers)


def fact_rows(facts: Mapping[bytes, tuple[Fact, bytes]]) -> bytes:
    """The facts in the order of their paths, each path without what it shares with the last."""
    rows = [len(facts).to_bytes(4, "little")]
    last = b""
    for path in sorted(facts):
        fact, detail = facts[path]
        shared = _shared(last, path)
        rows.append(bytes([fact]) + _u16(shared) + _u16(len(path) - shared))
        rows += [path[shared:], detail]
        last = path
    return b"".join(rows)


def _shared(one: bytes, other: bytes) -> int:
    """How many bytes they have in common at their beginning."""
    ends = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(ends, min(len(one), len(other)))


def _u16(value: int) -> bytes:
    return value.to_bytes(2, "little")
