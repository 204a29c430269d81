"""Where bytes are read from at any place: a file, or memory."""

import os
import stat
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from cid_store.errors import InputError, UnavailableError
from cid_store.store import Buffer

CHUNK = 1 << 20


class Source(Protocol):
    """A fixed number of bytes, readable at any place."""

    @property
    def name(self) -> str:
        """What to call it in a message."""
        ...

    @property
    def size(self) -> int:
        """How many bytes it has."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Exactly these bytes; fewer only where the source ends."""
        ...


class BytesSource:
    """Bytes in memory."""

    def __init__(self, data: Buffer, name: str = "the input") -> None:
        self.name = name
        self._view = memoryview(data).cast("B")

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self._view)

    def read(self, offset: int, size: int) -> bytes:
        """These bytes, or what there is of them."""
        return bytes(self._view[offset : offset + size])


@dataclass(frozen=True, slots=True)
class Within:
    """Some bytes of a source, as a source."""

    whole: Source
    begin: int
    size: int

    @property
    def name(self) -> str:
        """What the whole is called."""
        return self.whole.name

    def read(self, offset: int, size: int) -> bytes:
        """These bytes of the part."""
        size = max(0, min(size, self.size - offset))
        return self.whole.read(self.begin + offset, size)


class FileSource:
    """An open file that can be read at any place. Its size is the one it has now.

    A `watched` one can tell whether others wrote to it since.
    """

    def __init__(self, file: IO[bytes], name: str, *, watched: bool = False) -> None:
        self.name = name
        self._file = file
        # Stamped before it is measured: what grows in between counts as changed.
        self._stamp = _stamp(file) if watched else None
        self.size = file.seek(0, os.SEEK_END)

    @property
    def was_touched(self) -> bool:
        """Whether a watched file has other times or another size than when it was opened."""
        return self._stamp is not None and _stamp(self._file) != self._stamp

    @property
    def has_another_size(self) -> bool:
        """Whether a watched file became longer or shorter since it was opened."""
        return self._stamp is not None and os.fstat(self._file.fileno()).st_size != self.size

    def read(self, offset: int, size: int) -> bytes:
        """These bytes. Raises InputError when the file became shorter meanwhile."""
        size = max(0, min(size, self.size - offset))
        parts: list[bytes] = []
        try:
            self._file.seek(offset)
            while size > 0 and (part := self._file.read(size)):
                parts.append(part)
                size -= len(part)
        except OSError as error:
            raise InputError(f"{self.name} cannot be read: {error.strerror}") from error
        if size > 0:
            raise InputError(f"{self.name} became shorter while it was read; try again")
        return parts[0] if len(parts) == 1 else b"".join(parts)


def chunks(source: Source) -> Iterator[bytes]:
    """The whole source, piece by piece."""
    for offset in range(0, source.size, CHUNK):
        yield source.read(offset, CHUNK)


@contextmanager
def open_source(path: Path) -> Generator[FileSource]:
    """A regular file, opened for reading. Raises InputError with one sentence otherwise."""
    shown = str(path)
    try:
        # Without O_NONBLOCK, opening a pipe nobody writes to would wait forever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise InputError(f"{shown} does not exist; check its spelling") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{shown} cannot be opened ({reason}); name a file that can") from error
    with _owned(descriptor):
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{shown} is a directory; name one file")
        if not stat.S_ISREG(mode):
            raise InputError(
                f"{shown} is not a regular file; to read from a pipe, give '-' for standard input"
            )
        # Opened by descriptor and not by path: what was judged is what is read.
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            yield FileSource(file, shown, watched=True)


def _stamp(file: IO[bytes]) -> tuple[int, int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


@contextmanager
def _owned(descriptor: int) -> Generator[None]:
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def spooled(stream: IO[bytes], name: str) -> Generator[FileSource]:
    """A stream's bytes: a file that stands at its begin as it is, others in an unnamed file.

    Whoever plans or decodes reads here and there, so what only flows is kept meanwhile.
    """
    if _is_file_at_its_begin(stream):
        yield FileSource(stream, name, watched=True)
        return
    with tempfile.TemporaryFile() as file:
        while chunk := _read(stream, name):
            _keep(file, chunk, name)
        _keep(file, b"", name)
        yield FileSource(file, name)


def _read(stream: IO[bytes], name: str) -> bytes:
    try:
        return stream.read(CHUNK)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from error


def _keep(file: IO[bytes], chunk: bytes, name: str) -> None:
    try:
        file.write(chunk)
        file.flush()
    except OSError as error:
        folder = tempfile.gettempdir()
        raise UnavailableError(
            f"{name} cannot be kept in {folder}: {error.strerror}; make room there, or set TMPDIR"
        ) from error


def _is_file_at_its_begin(stream: IO[bytes]) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode) and stream.tell() == 0
    except (OSError, ValueError):
        return False  # it is no file, or one without a place to stand at
