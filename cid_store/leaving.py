"""The list of packs that leave a store together, whatever ends their removal half-way.

A pack may rest on another, and unbind a name that the other binds: one without the other would
say what was never so. The bytes are fixed in docs/formats/store.md.
"""

import os
import struct
from collections.abc import Mapping
from pathlib import Path

from cid_store import disk
from cid_store.cid import DIGEST_BYTES, digest_of

NAME = "leaving"
MAX_BYTES = 16 << 20  # some 800,000 packs; more is no list, and would only take memory

_MAGIC = b"RDXLEAVE"
_ENTRY = struct.Struct("<I16s")


def write(folder: Path, packs: Mapping[int, bytes]) -> None:
    """Note durably that these packs, by number and identity, are no part of the store any more."""
    data = _MAGIC + b"".join(_ENTRY.pack(*pack) for pack in packs.items())
    assert len(data) + DIGEST_BYTES <= MAX_BYTES, "no store has so many packs"
    fd = disk.open_file(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        disk.write_all(fd, [data, digest_of(data)], 0)
        disk.sync_data(fd)
    finally:
        os.close(fd)
    disk.sync_folder(folder)


def read(folder: Path) -> dict[int, bytes]:
    """The packs on the list; none where there is no list, or none that was finished."""
    try:
        fd = disk.open_file(folder / NAME, os.O_RDONLY)
    except FileNotFoundError:
        return {}
    try:
        size = os.fstat(fd).st_size
        data = disk.read_at(fd, size, 0) if size <= MAX_BYTES else b""
    finally:
        os.close(fd)
    body, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
    entries = body[len(_MAGIC) :]
    if not body.startswith(_MAGIC) or len(entries) % _ENTRY.size or digest_of(body) != digest:
        return {}
    return dict(_ENTRY.iter_unpack(entries))
