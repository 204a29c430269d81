"""Objects of a store as a CAR file, in an order that depends on nothing but the objects."""

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

from cid_store.car.archive import Archive
from cid_store.car.names import BlockName
from cid_store.car.reader import MAX_BLOCK_BYTES
from cid_store.car.writer import CarWriter
from cid_store.cid import Cid, Codec
from cid_store.encoding import decode
from cid_store.errors import InputError
from cid_store.nodes import links
from cid_store.store import Store

Progress = Callable[[float], object]


class Exported(NamedTuple):
    """What a CAR file was made of."""

    blocks: int
    block_bytes: int
    size_bytes: int  # of the file


def export_objects(
    store: Store,
    roots: Sequence[Cid],
    file: BinaryIO,
    *,
    version: int = 1,
    progress: Progress | None = None,
) -> Exported:
    """Write the named objects and all that their nodes lead to, each once.

    A node comes before what it links to, and its links in the order they stand in it: equal
    roots give equal files. Raises MissingObjectError or CorruptObjectError.
    """
    named = list(dict.fromkeys(roots))
    blocks = ((_name(cid), data) for cid, data in _reachable(store, named))
    return _write(file, [_name(cid) for cid in named], blocks, version, progress)


def export_archive(
    store: Store,
    archive: Archive,
    file: BinaryIO,
    *,
    version: int = 1,
    progress: Progress | None = None,
) -> Exported:
    """Write the blocks of an imported CAR again: same header, same blocks, same order."""
    blocks = ((name, store.view(cid)) for name, cid in archive.blocks(store))
    return _write(file, archive.roots, blocks, version, progress)


def _reachable(store: Store, roots: Sequence[Cid]) -> Iterator[tuple[Cid, memoryview]]:
    seen: set[Cid] = set()
    waiting = list(reversed(roots))
    while waiting:
        cid = waiting.pop()
        if cid in seen:
            continue
        seen.add(cid)
        data = store.view(cid)
        yield cid, data
        if cid.codec is Codec.NODE:
            below = [link for link in links(decode(bytes(data))) if link not in seen]
            waiting.extend(reversed(below))


def _write(
    file: BinaryIO,
    roots: Sequence[BlockName],
    blocks: Iterator[tuple[BlockName, memoryview]],
    version: int,
    progress: Progress | None,
) -> Exported:
    writer = CarWriter(file, roots, version=version)
    count = total = 0
    for name, data in blocks:
        if len(data) > MAX_BLOCK_BYTES:
            raise InputError(
                f"object {name} has {len(data):,} bytes; a block of a CAR has at most "
                f"{MAX_BLOCK_BYTES:,}, so leave it out"
            )
        writer.block(name, data)
        count, total = count + 1, total + len(data)
        if progress is not None:
            progress(len(data))
    return Exported(count, total, writer.finish())


def _name(cid: Cid) -> BlockName:
    return BlockName.from_bytes(cid.to_bytes())
