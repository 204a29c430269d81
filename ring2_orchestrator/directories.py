"""Directories as one source of bytes, so that they can be packed: a list, and all contents."""

import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from cid_store.car import import_car
from cid_store.cid import Cid, Codec
from cid_store.errors import MalformedCarError, MalformedNodeError, MissingObjectError
from cid_store.local import LocalStore
from cid_store.store import Store
from ring2_orchestrator.container import DamagedContainerError, FileSource, Source, check_room
from ring2_orchestrator.tree import Totals, add_folder, checkout, survey
from ring2_orchestrator.tree.listing import (
    FRONT,
    MAGIC,
    Place,
    decode_front,
    decode_listing,
    encode_listing,
    kept,
    places,
    taken,
)

Progress = Callable[[float], object]


@contextmanager
def directory_source(path: Path, progress: Progress | None = None) -> Generator[FileSource]:
    """The directory as bytes: the same for equal directories, on every machine.

    A list comes first, then contents, those of files with the same suffix together. Raises
    InputError for what a tree cannot hold.
    """
    with (
        tempfile.TemporaryDirectory(prefix="redoxa-pack-") as folder,
        LocalStore(Path(folder) / "store") as store,
        tempfile.TemporaryFile() as file,
    ):
        with store.batch():
            root = add_folder(store, path, progress)
        _write(store, root, file)
        file.flush()
        yield FileSource(file, str(path))


def restore(file: IO[bytes], name: str, path: Path, *, force: bool = False) -> Totals:
    """Make the directory whose bytes these are at `path`, and nothing outside of it.

    Raises DamagedContainerError where they are no directory, UnavailableError where there is no
    room for it.
    """
    with (
        tempfile.TemporaryDirectory(prefix="redoxa-unpack-") as folder,
        LocalStore(Path(folder) / "store") as store,
    ):
        try:
            root = _root(store, file, name)
            if path.parent.is_dir():
                # Files may be there twice, or have holes: more than the bytes are.
                check_room(path.parent, survey(store, root).size_bytes)
            return checkout(store, root, path, force=force)
        except MissingObjectError as error:
            raise DamagedContainerError(f"{name} holds a directory that lacks a file") from error
        except (MalformedCarError, MalformedNodeError) as error:
            raise DamagedContainerError(f"{name} does not hold a directory: {error}") from error


def _write(store: Store, root: Cid, file: IO[bytes]) -> None:
    listing, objects = taken(store, root)
    file.write(encode_listing(listing))
    for place in places(listing.contents, file.tell()):
        file.write(bytes(place.padding))
        for part in store.get_stream(objects[place.content]):
            file.write(part)


def _root(store: LocalStore, file: IO[bytes], name: str) -> Cid:
    """Keep what a directory consists of; its tree."""
    source = FileSource(file, name)
    if source.read(0, len(MAGIC)) == MAGIC:
        return _listed(store, source)
    file.seek(0)
    found = import_car(store, cast("BinaryIO", file), name)
    root = found.roots[0].ours if len(found.roots) == 1 else None
    if root is None or root.codec is not Codec.NODE or found.absent:
        raise DamagedContainerError(f"{name} does not hold the tree of a directory")
    return root


def _listed(store: LocalStore, source: Source) -> Cid:
    begin, end = decode_front(source.read(0, FRONT))
    listing = decode_listing(source.read(begin, end - begin))
    contents = listing.contents
    where = sorted(places(contents, end))
    last = max((place.begin + contents[place.content].length for place in where), default=end)
    if last != source.size:
        raise DamagedContainerError(f"the contents of {source.name} are not those that it lists")
    with store.batch():
        objects = [_put(store, source, place, contents[place.content].length) for place in where]
        return kept(store, listing, objects.__getitem__)


def _put(store: LocalStore, source: Source, place: Place, length: int) -> Cid:
    if any(source.read(place.begin - place.padding, place.padding)):
        raise DamagedContainerError(f"{source.name} has more than zeros between its files")
    return store.put_stream(_Stream(source, place.begin, length))


class _Stream:
    """Some bytes of a source, read one after another."""

    def __init__(self, source: Source, begin: int, length: int) -> None:
        self._source = source
        self._at = begin
        self._end = begin + length

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        data = self._source.read(self._at, min(size, self._end - self._at))
        self._at += len(data)
        return data
