"""Rebuilding demoted objects: what a recipe writes is hashed before anybody gets a byte of it."""

import io
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

from cid_store.cid import Cid, large_hasher
from cid_store.errors import CorruptObjectError, RedoxaError, UnavailableError
from cid_store.tiers import Rebuild, Writable, parse_recipe

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_SPOOL_BYTES = 8 << 20  # what is larger waits in a file, not in memory


class _Task(NamedTuple):
    """An object that this thread is rebuilding."""

    cid: Cid
    readable: frozenset[Cid]
    sure: bool  # no copy that happens to be left may stand in for what cannot be rebuilt


class _Tasks(threading.local):
    """The objects that the thread that asks is rebuilding, the innermost last.

    `ready` is what was rebuilt for them in advance, or why it could not be.
    """

    def __init__(self) -> None:
        self.stack: list[_Task] = []
        self.ready: dict[Cid, IO[bytes] | RedoxaError] = {}


class _FailedError(RedoxaError):
    """A rebuild that failed; `lowest` says so of the lowest object of which that is true."""

    lowest = ""


class _NotRebuiltError(_FailedError, CorruptObjectError):
    """It gave other bytes, or what it takes is lost."""


class _NotNowError(_FailedError, UnavailableError):
    """This machine could not do it."""


def _failure(cid: Cid, error: RedoxaError) -> _FailedError:
    """The failure of an object to be rebuilt; those between it and the lowest are not named."""
    below = error.lowest if isinstance(error, _FailedError) else ""
    if isinstance(error, UnavailableError):
        failure = _NotNowError(f"object {cid} cannot be rebuilt now: {below or error}")
    else:
        failure = _NotRebuiltError(f"object {cid} cannot be rebuilt: {below or error}")
    failure.lowest = below or str(failure)
    return failure


class Underneath(Protocol):
    """Where a rebuilder learns what it rests on: the reader of its store."""

    def get(self, cid: Cid) -> bytes:
        """The bytes of that name."""
        ...

    def demoted_under(self, cid: Cid, reads: Iterable[Cid]) -> dict[Cid, list[Cid]]:
        """Every demoted object to be rebuilt for this one, which reads these, and it as the last.

        Each stands after those that it reads itself, which are named with it.
        """
        ...

    def remade(self, cid: Cid) -> IO[bytes]:
        """A demoted object's bytes, checked, in a file for the caller to close."""
        ...


class _Shared(io.RawIOBase):
    """One of several readers of a file, each at its own place. Closing it leaves the file open."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}
        self._at = base[whence] + offset if whence in base else self._file.seek(offset, whence)
        return self._at

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        room = memoryview(buffer).cast("B")
        self._file.seek(self._at)
        data = self._file.read(len(room))
        room[: len(data)] = data
        self._at += len(data)
        return len(data)


def spool(file: Writable, data: bytes | memoryview) -> None:
    """Write to a temporary file. Raises UnavailableError where its folder takes no more."""
    try:
        file.write(data)
    except OSError as error:
        raise UnavailableError(
            f"the folder for temporary files takes no more ({error.strerror}); make room there"
        ) from error


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
        spool(self._file, data)

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
    """What may be read while an object is rebuilt, and whether what comes of it is that object.

    What it needs may be demoted, too, from what is demoted, and so on for long. What takes several
    steps is therefore rebuilt first, each once, from the bottom up, and let go when nothing above
    needs it any more.
    """

    def __init__(self, rebuild: Rebuild | None, store: Underneath) -> None:
        self._rebuild = rebuild
        self._store = store
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
        ready = self._tasks.ready.get(cid)
        if isinstance(ready, RedoxaError):
            raise ready
        if ready is not None:
            return io.BufferedReader(_Shared(ready))
        spool = Spool(cid, size)
        try:
            with self._rebuilding(cid, recipe, sure=sure or self.is_sure):
                self._rebuild(cid, recipe, spool)
            return spool.checked()
        except BaseException as error:
            spool.close()
            if isinstance(error, RedoxaError):
                raise _failure(cid, error) from error
            raise

    @contextmanager
    def _rebuilding(self, cid: Cid, recipe: Cid, *, sure: bool) -> Generator[None]:
        """Let this thread read what the recipe needs, for the block."""
        self._refuse_circle(cid)
        readable = frozenset([recipe, *parse_recipe(self._store.get(recipe)).needs])
        tasks = self._tasks
        outermost = not tasks.stack
        task = _Task(cid, readable, sure)
        tasks.stack.append(task)
        try:
            if outermost:
                self._make_ready(task)
            yield
        finally:
            tasks.stack.pop()
            if outermost:
                self._let_go(list(tasks.ready))

    def _make_ready(self, task: _Task) -> None:
        """Rebuild what the task rests on and takes several steps, from the bottom up."""
        under = self._store.demoted_under(task.cid, task.readable)
        last = {need: cid for cid, needs in under.items() for need in needs}
        del under[task.cid]
        for cid, needs in under.items():
            if not needs:
                continue  # one step, taken when it is read
            try:
                self._tasks.ready[cid] = self._store.remade(cid)
            except RedoxaError as error:
                self._tasks.ready[cid] = error  # said where it is read
            self._let_go(need for need in needs if last[need] == cid)

    def _let_go(self, cids: Iterable[Cid]) -> None:
        for cid in cids:
            ready = self._tasks.ready.pop(cid, None)
            if ready is not None and not isinstance(ready, RedoxaError):
                ready.close()

    def _refuse_circle(self, cid: Cid) -> None:
        if any(task.cid == cid for task in self._tasks.stack):
            raise CorruptObjectError(f"object {cid} would be needed to rebuild itself")
