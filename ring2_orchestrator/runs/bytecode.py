"""Python's bytecode caches: files whose effect depends on the source beside them.

Python runs the code in `__pycache__/x.cpython-311.pyc` only while the cache's header holds the
time and size of `x.py`; else it compiles `x.py` and usually writes the cache anew. So a cache file
is no input of its own: it is either without effect, or its code must be the code that ran.
"""

import os
import struct
from typing import NamedTuple

from blake3 import blake3

_FOLDER = b"__pycache__"
_HEADER = struct.Struct("<4sIII")  # magic, flags, source time, source size
_MASK = 0xFFFFFFFF


class Header(NamedTuple):
    """The first sixteen bytes of a cache file."""

    magic: bytes
    flags: int
    mtime: int
    size: int

    def fits(self, source: os.stat_result) -> bool:
        """Whether Python would use the code for a source of that time and size."""
        # A hash-based cache (flags) is judged by other rules: assume that it is used.
        if self.flags:
            return True
        return self.matches(int(source.st_mtime_ns // 1_000_000_000), source.st_size)

    def matches(self, mtime_s: int, size_bytes: int) -> bool:
        """The same question for a time in whole seconds and a size."""
        return self.mtime == mtime_s & _MASK and self.size == size_bytes & _MASK


def source_of(path: bytes) -> bytes | None:
    """The source that a bytecode cache file belongs to; None for any other path."""
    folder, _, name = path.rpartition(b"/")
    if not name.endswith(b".pyc") or not folder.endswith(b"/" + _FOLDER):
        return None
    # pytest's rewritten tests share the layout: test_x.cpython-311-pytest-8.0.pyc
    at = max(name.find(b".cpython-"), name.find(b".pypy"))
    if at <= 0:
        return None
    return folder[: -len(_FOLDER)] + name[:at] + b".py"


def parse_header(data: bytes) -> Header | None:
    """The header that begins these bytes; None where they are too few."""
    return Header(*_HEADER.unpack_from(data)) if len(data) >= _HEADER.size else None


def read_header(path: bytes) -> Header | None:
    """The header of a cache file; None where it cannot be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a bytes path
            return parse_header(file.read(_HEADER.size))
    except OSError:
        return None


def code_of(data: bytes) -> bytes:
    """The digest of what a cache file holds behind its time and size."""
    return blake3(data[:8] + data[_HEADER.size :]).digest()


def code_digest(path: bytes) -> bytes | None:
    """The same digest for a file; None where it cannot be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a bytes path
            return code_of(file.read())
    except OSError:
        return None


def dated(data: bytes, mtime_s: int) -> bytes:
    """The cache with its source's time set, as Python would have written it for that source."""
    header = parse_header(data)
    if header is None or header.flags:
        return data
    return data[:8] + struct.pack("<I", mtime_s & _MASK) + data[12:]
