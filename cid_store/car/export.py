"""Objects of a store as a CAR file, in an order that depends on nothing but the objects."""

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

from cid_store.car.archive import Archive
from cid_store.car.names import BlockName
from cid_store.car.reader import PART_BYTES
from cid_store.car.writer import CarWriter
from cid_store.cid import Cid
from cid_store.nodes import reachable
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
    blocks = ((_name(cid), cid) for cid in reachable(store, named))
    writer = CarWriter(file, [_name(cid) for cid in named], version=version)
    return _written(store, writer, blocks, progress)


def export_archive(
    store: Store,
    archive: Archive,
    file: BinaryIO,
    *,
    version: int = 1,
    progress: Progress | None = None,
) -> Exported:
    """Write the blocks of an imported CAR again: same header, same blocks, same order."""
    writer = CarWriter(file, archive.roots, version=version)
    return _written(store, writer, archive.blocks(store), progress)


def _written(
    store: Store,
    writer: CarWriter,
    blocks: Iterator[tuple[BlockName, Cid]],
    progress: Progress | None,
) -> Exported:
    count = total = 0
    for name, cid in blocks:
        size = store.size(cid)
        writer.block(name, size, [store.get(cid)] if size <= PART_BYTES else store.get_stream(cid))
        count, total = count + 1, total + size
        if progress is not None:
            progress(size)
    return Exported(count, total, writer.finish())


def _name(cid: Cid) -> BlockName:
    return BlockName.from_bytes(cid.to_bytes())
