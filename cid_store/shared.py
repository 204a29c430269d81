"""The files of one store that several processes share: the lock, the packs, the index in force."""

import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from cid_store import disk, recovery
from cid_store.errors import (
    DamageError,
    InputError,
    StoreStoppedError,
    UnavailableError,
    UsageError,
)
from cid_store.folder import PackFolder, Tail, unreadable
from cid_store.index import Index, IndexDamagedError

_CLOCK_TICK_NS = 20_000_000  # two writes of one file within a tick may bear the same time
_Answer = TypeVar("_Answer")


class SharedFiles:
    """Who may write, which index is believed, and whether this store may be used at all."""

    def __init__(self, path: Path, *, read_only: bool, lock_timeout_s: float) -> None:
        self.path = path
        self.read_only = read_only
        self.packs = PackFolder(path / "packs")
        self._index_path = path / "index.sqlite"
        self._index_id: tuple[int, int] | None = None
        self._turn = threading.RLock()  # one thread of this process writes, or changes the index
        self._process = os.getpid()
        self._closed = False
        self._stopped: str | None = None
        self._last_tail: Tail | None = None
        self._stand_in_mark: object = None  # the files that an index in memory was made from
        self._prepare_folder()
        self._lock = None if read_only else disk.WriterLock(path / "lock", timeout_s=lock_timeout_s)
        try:
            self._index = self._opened_index()
        except BaseException:
            if self._lock is not None:
                self._lock.close()
            raise

    # Asking

    def ask(self, question: Callable[[Index], _Answer]) -> _Answer:
        """The index's answer; an index that turns out damaged is rebuilt first."""
        self.check_open()
        if self._stand_in_mark is not None:
            self._renew_stand_in()
        for _ in range(2):
            index = self._index
            try:
                return question(index)
            except IndexDamagedError:
                self._mend_index(index)
        try:
            return question(self._index)
        except IndexDamagedError as error:
            raise self._never_sound() from error

    def _never_sound(self) -> DamageError:
        return DamageError(
            f"the index {self._index_path} does not stay sound; check the disk and the memory "
            "of this machine"
        )

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold the store's lock among threads and processes; a thread may hold it twice."""
        assert self._lock is not None, "only a store opened for writing takes the lock"
        with self._turn, self._lock.held():
            yield

    @contextmanager
    def exclusive(self) -> Generator[None]:
        """Be the store's one writer for the block, with the index that is now in force."""
        with self.locked():
            self.check_writable()
            self._reopened()
            yield

    def followed(self) -> Tail:
        """The place for the next record, after whatever a crashed writer left is in order."""
        try:
            try:
                return recovery.follow(self.packs, self._index, self._last_tail)
            except IndexDamagedError:
                self._replace_index()
                return recovery.follow(self.packs, self._index)
        except StoreStoppedError as error:
            self._stopped = str(error)
            raise
        except OSError as error:
            raise unreadable(self.packs.path, error) from error

    # The index file

    def _opened_index(self) -> Index:
        self._stand_in_mark = None
        mark = self._files_mark() if self.read_only else None
        try:
            index = self._existing_index()
            behind = recovery.is_behind(self.packs, index)
        except (FileNotFoundError, IndexDamagedError):
            index, behind = None, True
        except UnavailableError:
            if not self.read_only:
                raise
            index, behind = None, True
        if index is not None and not behind:
            return index
        if self.read_only:
            self._stand_in_mark = mark
            return self._index_in_memory(index)
        if index is not None:
            index.close()
        with self.locked():
            try:
                self._index = self._existing_index()
            except (FileNotFoundError, IndexDamagedError):
                self._replace_index()
            self.followed()
        return self._index

    def _existing_index(self) -> Index:
        # Its identity first: if it is replaced in between, we reopen once too often.
        self._index_id = self._current_index_id()
        return Index.open(self._index_path, read_only=self.read_only)

    def _index_in_memory(self, behind: Index | None) -> Index:
        """What the index would say if this process were allowed to bring it up to date."""
        if behind is not None:
            try:
                copy = behind.copy()
                recovery.learn_unfinished(self.packs, copy)
            except IndexDamagedError:
                pass
            else:
                return copy
            finally:
                behind.close()
        index = Index.create(None)
        recovery.rebuild(self.packs, index, writable=False)
        return index

    def _renew_stand_in(self) -> None:
        """Look again at the files, if they changed since an index in memory was made of them.

        A reader that came while a writer was at work must not stay at that moment for ever.
        """
        with self._turn:
            mark = self._stand_in_mark
            if mark is None or mark == self._files_mark():
                return
            old = self._index
            self._index = self._opened_index()
            old.close()

    def _files_mark(self) -> object:
        """A value that differs whenever a writer has been at the packs or the index since."""
        numbers = self.packs.numbers()
        paths = [self._index_path, self._index_path.with_name(self._index_path.name + "-wal")]
        paths += [self.packs.file(number) for number in numbers[-1:]]
        found: list[tuple[int, int, int]] = []
        for path in paths:
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        newest = max((mtime for *_, mtime in found), default=0)
        if time.time_ns() - newest < _CLOCK_TICK_NS:
            return object()  # too fresh to tell from the next write: equal to nothing
        return len(numbers), found

    def _replace_index(self) -> None:
        """Build the index anew from the packs and give it its name when it is whole.

        Raises UnavailableError where the disk does not take it, DamageError where it spoils it.
        """
        try:
            self._build_index()
        except IndexDamagedError as error:
            raise self._never_sound() from error
        except OSError as error:
            raise unreadable(self._index_path, error) from error

    def _build_index(self) -> None:
        if hasattr(self, "_index"):
            self._index.close()
        fresh = self.path / "index.new"
        _remove_database(fresh)
        index = Index.create(fresh)
        try:
            recovery.rebuild(self.packs, index, writable=True)
            index.seal()
        finally:
            index.close()
        # A log of the old file must never be taken for the new one's.
        _remove_database(self._index_path)
        fresh.rename(self._index_path)
        disk.sync_folder(self.path)
        self._index = self._existing_index()

    def rebuild_index(self) -> None:
        """Throw the index away and build it anew."""
        with self.locked():
            self._replace_index()
            self.followed()

    def _mend_index(self, damaged: Index) -> None:
        with self._turn:
            if self._index is not damaged or self._reopened():
                return  # another thread or process has replaced it
            if self.read_only:
                self._stand_in_mark = self._files_mark()
                self._index = self._index_in_memory(None)
                damaged.close()
            else:
                self.rebuild_index()

    def _reopened(self) -> bool:
        """Open the index again where another process has replaced it; whether it had."""
        if self._index_id == self._current_index_id():
            return False
        with self._turn:
            old = self._index
            try:
                self._index = self._existing_index()
            except (FileNotFoundError, IndexDamagedError):
                if self.read_only:
                    return False
                self.rebuild_index()
            except OSError as error:
                raise unreadable(self._index_path, error) from error
            old.close()
        return True

    def _current_index_id(self) -> tuple[int, int] | None:
        try:
            status = self._index_path.lstat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    # The state of this value

    def check_open(self) -> None:
        """Raise UsageError where this store cannot be used any more."""
        if self._closed:
            raise UsageError(f"the store at {self.path} is closed; open it again")
        if os.getpid() != self._process:
            raise UsageError(
                f"the store at {self.path} was opened before this process was forked; open it "
                "again in the child"
            )

    def check_writable(self) -> None:
        """Raise UsageError or StoreStoppedError where nothing may be written."""
        self.check_open()
        if self.read_only:
            raise UsageError(f"the store at {self.path} was opened for reading only")
        if self._stopped is not None:
            raise StoreStoppedError(self._stopped)

    def close(self) -> None:
        """Let files and locks go; closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        if os.getpid() == self._process:  # SQLite forbids using a connection after a fork
            self._index.close()
        self.packs.close()
        if self._lock is not None:
            self._lock.close()

    def _prepare_folder(self) -> None:
        if disk.is_folder(self.packs.path):
            return
        if self.read_only:
            raise InputError(f"there is no store at {self.path}; name the folder of one")
        if self.path.is_dir() and any(self.path.iterdir()):
            raise InputError(
                f"{self.path} is a folder of other things, not a store; name an empty folder or a "
                "new one"
            )
        disk.make_folder(self.packs.path)


def _remove_database(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
