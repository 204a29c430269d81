"""Taking a tree from a tar or zip archive, neither of which is believed."""

import bz2
import gzip
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, cast

from cid_store.cid import Cid
from cid_store.errors import InputError
from cid_store.store import Store
from ring2_orchestrator.tree.building import Building, Progress
from ring2_orchestrator.tree.content import Readable
from ring2_orchestrator.tree.node import MAX_TARGET_BYTES
from ring2_orchestrator.tree.survey import Limits

_SMALL_BYTES = 64 << 20
_USUAL_RATIO = 100
_TAR_BLOCK = 512
_UNREADABLE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
)
_DRIVE = re.compile(rb"[A-Za-z]:")
_ZIP_END_BYTES = 22
_ZIP_STARTS = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")


def default_limit(archive_bytes: int) -> int:
    """How many bytes an archive may unpack to unless told otherwise.

    Real archives of files are rarely a hundredth of their contents; bombs are.
    """
    return max(_SMALL_BYTES, _USUAL_RATIO * archive_bytes)


def add_archive(store: Store, path: Path, limits: Limits, progress: Progress | None = None) -> Cid:
    """Keep what a tar (plain, gzip, bzip2, xz) or zip archive holds as a tree.

    Raises InputError for an archive that is damaged, holds more than the limits allow, or a name
    that is not a plain one in folders, twice there, or below a file or a link.
    """
    with _opened(path) as file:
        start = file.read(8)
        file.seek(0)
        into = Building(store, path.name, limits, progress)
        with _sound(path):
            if start.startswith(_ZIP_STARTS):
                _take_zip(file, into)
            else:
                with _decompressed(file, start) as plain:
                    _take_tar(plain, into)
    return into.finish()


class _Whole:
    """The bytes of a tar archive: bounded, and known to end as one does."""

    def __init__(self, file: Readable, into: Building) -> None:
        self._file = file
        self._into = into
        # Headers come on top of the contents, and each file is filled up to a block.
        self._left = 2 * into.limits.max_bytes + _SMALL_BYTES
        self._size = 0
        self._last = 0  # what follows this place so far is zeros

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            self._into.count(self._into.limits.max_bytes + 1)
        if written := len(data.rstrip(b"\0")):
            self._last = self._size + written
        self._size += len(data)
        return data

    def check_end(self, end: int) -> None:
        """Raise ReadError unless blocks of zeros, and nothing else, stand from there on.

        Whoever reads a tar takes a damaged header for its end; what follows would be lost.
        """
        while self.read(1 << 16):
            pass
        if self._last > end:
            raise tarfile.ReadError(
                f"what stands at offset {end:,} is neither a header nor its end"
            )
        if self._size < end + _TAR_BLOCK:
            raise tarfile.ReadError("its end is missing")


def _take_tar(file: Readable, into: Building) -> None:
    whole = _Whole(file, into)
    # As a stream: nothing is looked at twice, so no two readings can differ.
    with tarfile.open(
        fileobj=cast("IO[bytes]", whole), mode="r|", encoding="utf-8", errors="surrogateescape"
    ) as archive:
        while (member := archive.next()) is not None:
            _take_member(archive, member, into)
            cast("Any", archive).members = []  # it would remember them all
        end = cast("int", cast("Any", archive).offset)
    whole.check_end(end)


def _take_member(archive: tarfile.TarFile, member: tarfile.TarInfo, into: Building) -> None:
    name = member.name.encode("utf-8", "surrogateescape")
    target = member.linkname.encode("utf-8", "surrogateescape")
    if member.size < 0:
        raise into.refused(name, "has fewer than no bytes")
    if member.isdir():
        into.folder(name, member.mode)
    elif member.issym():
        into.link(name, target)
    elif member.islnk():
        into.same_file(name, target)
    elif member.isreg():
        source = archive.extractfile(member)
        assert source is not None, "a regular file has contents"
        into.file(name, member.mode, source)
    else:
        kind = "a pipe" if member.isfifo() else "neither file, folder nor link"
        raise into.refused(name, f"is {kind}, which no tree holds")


def _take_zip(file: IO[bytes], into: Building) -> None:
    with zipfile.ZipFile(file) as archive:
        _check_count(file, len(archive.infolist()))
        for member in archive.infolist():
            # From a NUL on, the reader drops a name: two readings of one name are one too many.
            name = member.orig_filename.encode("utf-8", "surrogateescape")
            if b"\\" in name or _DRIVE.match(name):
                raise into.refused(name, "is a path of another system")
            mode = member.external_attr >> 16 if member.create_system == 3 else 0
            kind = stat.S_IFMT(mode)
            if name.endswith(b"/") or kind == stat.S_IFDIR:
                into.folder(name, mode or 0o755)
            elif kind == stat.S_IFLNK:
                with archive.open(member) as source:
                    into.link(name, source.read(MAX_TARGET_BYTES + 1))
            elif kind in (0, stat.S_IFREG):
                with archive.open(member) as source:
                    into.file(name, mode or 0o644, source)
            else:
                raise into.refused(name, "is neither file, folder nor link")


def _check_count(file: IO[bytes], count: int) -> None:
    """Raise BadZipFile unless so many are named at the end: the reader does not look there."""
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - _ZIP_END_BYTES - 0xFFFF))  # a comment may follow
    _, _, end = file.read().rpartition(b"PK\5\6")
    said = int.from_bytes(end[6:8], "little")
    if said not in (count, 0xFFFF):  # which says that another record has the number
        raise zipfile.BadZipFile(f"{said:,} files are announced, and {count:,} are listed")


@contextmanager
def _opened(path: Path) -> Generator[IO[bytes]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); name a folder or an archive that can"
        ) from error
    with file:
        yield file


def _decompressed(file: IO[bytes], start: bytes) -> AbstractContextManager[Readable]:
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if start.startswith(b"\xfd7zXZ"):
        return lzma.LZMAFile(file)
    return nullcontext(file)


@contextmanager
def _sound(path: Path) -> Generator[None]:
    """Turn what the readers of archives raise into one sentence."""
    try:
        yield
    except _UNREADABLE as error:
        # What is raised for text where a number should be speaks of Python only.
        fact = "one of its headers is malformed" if isinstance(error, ValueError) else str(error)
        raise InputError(
            f"{path} is no sound tar or zip archive ({fact or type(error).__name__}); "
            "`redoxa store put` keeps any file as it is"
        ) from error
