"""Rebuilding demoted objects: what a recipe writes is hashed before anybody gets a byte of it."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import IO, NamedTuple

from cid_store.cid import Cid, large_hasher
from cid_store.errors import CorruptObjectError, RedoxaError, UnavailableError
from cid_store.tiers import Rebuild, parse_recipe

_SPOOL_BYTES = 8 << 20  # what is larger waits in a file, not in memory


class _Task(NamedTuple):
    """An object that this thread is rebuilding."""

    cid: Cid
    readable: frozenset[Cid]
    sure: bool  # no copy that happens to be left may stand in for what cannot be rebuilt


class _Tasks(threading.local):
    """The objects that the thread that asks is rebuilding, the innermost last."""

    def __init__(self) -> None:
        self.stack: list[_Task] = []


class Spool:
    """Takes an object's bytes and gives them back once they are known to be its own."""

    def __init__(self, cid: Cid, size: int) -> None:
        import tempfile  # noqa: PLC0415 - only what is rebuilt needs one

        self._cid = cid
        self._size = size
        self._hasher = large_hasher()
        self._written = 0
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 - closed by `close`

    def write(self, data: bytes | memoryview, /) -> None:
        """Take the next bytes. Raises CorruptObjectError where there are more than there were."""
        self._written += len(data)
        # One byte too many is enough to know, and no recipe can fill the disk.
        if self._written > self._size:
            raise CorruptObjectError(f"what was rebuilt is longer than its {self._size:,} bytes")
        self._hasher.update(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise UnavailableError(
                f"the folder for temporary files takes no more ({error.strerror}); make room there"
            ) from error

    def checked(self) -> IO[bytes]:
        """All of it, from its beginning. Raises CorruptObjectError where it is something else."""
        if self._hasher.digest() != self._cid.digest:
            raise CorruptObjectError(
                f"the {self._written:,} bytes that were rebuilt hash to "
                f"{self._hasher.hexdigest()[:8]} instead of {self._cid.digest.hex()[:8]}"
            )
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Let the bytes go."""
        self._file.close()


class Rebuilder:
    """What may be read while an object is rebuilt, and whether what comes of it is that object."""

    def __init__(self, rebuild: Rebuild | None, read: Callable[[Cid], bytes]) -> None:
        self._rebuild = rebuild
        self._read = read
        self._tasks = _Tasks()

    @property
    def is_busy(self) -> bool:
        """Whether this thread is rebuilding something."""
        return bool(self._tasks.stack)

    @property
    def is_sure(self) -> bool:
        """Whether it does so to see that it can be done."""
        return self.is_busy and self._tasks.stack[-1].sure

    def admit(self, cid: Cid) -> None:
        """Let a rebuild read that object. Raises CorruptObjectError where its recipe forbids it."""
        stack = self._tasks.stack
        if not stack:
            return
        self._refuse_circle(cid)
        if cid not in stack[-1].readable:
            raise CorruptObjectError(f"object {cid} is read, and the recipe does not list it")

    def made(self, cid: Cid, recipe: Cid, size: int, *, sure: bool = False) -> IO[bytes]:
        """The object's bytes, rebuilt and checked; the caller closes the file.

        Raises CorruptObjectError where the recipe does not make them, UnavailableError where it
        cannot be followed on this machine.
        """
        if self._rebuild is None:
            raise UnavailableError(
                f"object {cid} is kept as a recipe alone, and this store was opened without what "
                "rebuilds objects; read it through a Redoxa home"
            )
        spool = Spool(cid, size)
        try:
            with self._rebuilding(cid, recipe, sure=sure or self.is_sure):
                self._rebuild(cid, recipe, spool)
            return spool.checked()
        except BaseException as error:
            spool.close()
            if isinstance(error, UnavailableError):
                raise UnavailableError(f"object {cid} cannot be rebuilt now: {error}") from error
            if isinstance(error, RedoxaError):
                raise CorruptObjectError(f"object {cid} cannot be rebuilt: {error}") from error
            raise

    @contextmanager
    def _rebuilding(self, cid: Cid, recipe: Cid, *, sure: bool) -> Generator[None]:
        """Let this thread read what the recipe needs, for the block."""
        self._refuse_circle(cid)
        readable = frozenset([recipe, *parse_recipe(self._read(recipe)).needs])
        self._tasks.stack.append(_Task(cid, readable, sure))
        try:
            yield
        finally:
            self._tasks.stack.pop()

    def _refuse_circle(self, cid: Cid) -> None:
        if any(task.cid == cid for task in self._tasks.stack):
            raise CorruptObjectError(f"object {cid} would be needed to rebuild itself")
