"""Directories as one source of bytes, so that they can be packed: a CAR of their tree and files."""

import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, cast

from cid_store.car import import_car
from cid_store.car.names import BlockName
from cid_store.car.writer import CarWriter
from cid_store.cid import Cid, Codec
from cid_store.errors import MalformedCarError, MalformedNodeError, MissingObjectError
from cid_store.local import LocalStore
from cid_store.store import Store
from ring2_orchestrator.container import DamagedContainerError, FileSource, check_room
from ring2_orchestrator.tree import Totals, add_folder, checkout, survey
from ring2_orchestrator.tree.node import File, Folder, get_tree

Progress = Callable[[float], object]

# A file of at least so many bytes is planned alone; smaller ones of one kind share a plan.
_ALONE_BYTES = 1 << 20


class DirectorySource(NamedTuple):
    """A CAR of one directory, and the parts of it that are each of one kind."""

    source: FileSource
    lengths: list[int]


@contextmanager
def directory_source(path: Path, progress: Progress | None = None) -> Generator[DirectorySource]:
    """The directory as bytes: the same for equal directories, on every machine.

    Trees come first, then contents, those of files with the same suffix together. Raises InputError
    for what a tree cannot hold.
    """
    with (
        tempfile.TemporaryDirectory(prefix="redoxa-pack-") as folder,
        LocalStore(Path(folder) / "store") as store,
        tempfile.TemporaryFile() as file,
    ):
        with store.batch():
            root = add_folder(store, path, progress)
        lengths = _write(store, root, file)
        file.flush()
        yield DirectorySource(FileSource(file, str(path)), lengths)


def restore(file: IO[bytes], name: str, path: Path, *, force: bool = False) -> Totals:
    """Make the directory whose CAR this is at `path`, and nothing outside of it.

    Raises DamagedContainerError where it is no CAR of one tree, UnavailableError where there is no
    room for it.
    """
    with (
        tempfile.TemporaryDirectory(prefix="redoxa-unpack-") as folder,
        LocalStore(Path(folder) / "store") as store,
    ):
        try:
            found = import_car(store, cast("BinaryIO", file), name)
            root = found.roots[0].ours if len(found.roots) == 1 else None
            if root is None or root.codec is not Codec.NODE or found.absent:
                raise DamagedContainerError(f"{name} does not hold the tree of a directory")
            if path.parent.is_dir():
                # Files may be there twice, or have holes: more than the CAR has.
                check_room(path.parent, survey(store, root).size_bytes)
            return checkout(store, root, path, force=force)
        except MissingObjectError as error:
            raise DamagedContainerError(f"{name} holds a directory that lacks a file") from error
        except (MalformedCarError, MalformedNodeError) as error:
            raise DamagedContainerError(f"{name} does not hold a directory: {error}") from error


def _write(store: Store, root: Cid, file: IO[bytes]) -> list[int]:
    """Write the CAR; the lengths of its parts."""
    writer = CarWriter(cast("BinaryIO", file), [_named(root)], version=1)
    ends: list[int] = []
    kind: str | None = None
    for suffix, cid in _blocks(store, root):
        size = store.size(cid)
        if suffix != kind:
            ends.append(writer.payload_bytes)
            kind = suffix
        writer.block(_named(cid), size, store.get_stream(cid))
        if size >= _ALONE_BYTES:
            ends += [writer.payload_bytes - size, writer.payload_bytes]
    ends.append(writer.finish())
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def _blocks(store: Store, root: Cid) -> Iterator[tuple[str, Cid]]:
    """Every object once: trees, then contents by the suffixes of the first names they have."""
    trees: list[Cid] = []
    contents: dict[Cid, str] = {}
    waiting = [root]
    while waiting:
        trees.append(waiting.pop())
        below: list[Cid] = []
        for name, entry in get_tree(store, trees[-1]).items():
            if isinstance(entry, Folder):
                below.append(entry.tree)
            elif isinstance(entry, File):
                for extent in entry.extents:
                    contents.setdefault(extent.data, _suffix(name))
        waiting += reversed(below)
    for cid in dict.fromkeys(trees):
        yield "", cid
    for cid in sorted(contents, key=lambda cid: contents[cid]):
        yield f".{contents[cid]}", cid


def _suffix(name: bytes) -> str:
    stem, dot, suffix = name.rpartition(b".")
    return suffix.lower().decode("latin-1") if stem and dot else ""


def _named(cid: Cid) -> BlockName:
    return BlockName.from_bytes(cid.to_bytes())
