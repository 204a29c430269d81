"""The files of one store that several processes share: the lock, the packs, the index in force."""

import os
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import TypeGuard, TypeVar

from cid_store import disk, recovery
from cid_store.cid import Cid
from cid_store.errors import (
    DamageError,
    InputError,
    StoreLockedError,
    StoreStoppedError,
    UnavailableError,
    UsageError,
)
from cid_store.folder import PackFolder, Place, Tail, unreadable
from cid_store.index import Index, IndexDamagedError, PackEnd
from cid_store.late import LateIndex, merged
from cid_store.pack import HEADER_BYTES
from cid_store.standing import files_mark, stand_in
from cid_store.unheard import Unheard

_TOGETHER = 64  # appends for which somebody who met another writer keeps the index up to date
_ROOM = bytes(HEADER_BYTES)  # what stands where the next record will
_Answer = TypeVar("_Answer")


class SharedFiles:
    """Who may write, which index is believed, and whether this store may be used at all."""

    def __init__(self, path: Path, *, read_only: bool, lock_timeout_s: float) -> None:
        self.path = path
        self.read_only = read_only
        self.packs = PackFolder(path / "packs")
        self._index_path = path / "index.sqlite"
        self._index_name = str(self._index_path)  # asked for at every put
        self._index_id: tuple[int, int] | None = None
        self._turn = threading.RLock()  # one thread of this process writes, or changes the index
        self._process = os.getpid()
        self._closed = False
        self._stopped: str | None = None
        self._last_tail: Tail | None = None
        self._heard: Tail | None = None  # up to here index and `_unheard` know the packs
        self._unheard: Unheard | None = None  # what others wrote beyond the index
        self._is_writing = False  # the lock is held, and the index knows all there is
        self._doubted: Tail | None = None  # where it stopped writing
        self._together = 0
        self._wants_whole = False  # a reader was asked about the whole store
        self._stand_in_mark: object = None  # the files that an index in memory was made from
        self._spoilt_id: tuple[int, int] | None = None  # the damaged index it stands in for
        self._prepare_folder()
        self._lock = None if read_only else disk.WriterLock(path / "lock", timeout_s=lock_timeout_s)
        try:
            self._index = self._opened_index()
        except BaseException:
            # At once: whoever unmounts the disk must not wait for a collector of cycles.
            if hasattr(self, "_index"):
                self._index.close()
            self.packs.close()
            if self._lock is not None:
                self._lock.close()
            raise

    # Asking

    def ask(self, question: Callable[[LateIndex], _Answer]) -> _Answer:
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

    def places(self, cids: Sequence[Cid]) -> dict[Cid, Place]:
        """Where each of the objects can be read that any process was told to be durable."""
        if self._index.waits(cids):
            self.listen()  # what was dropped since must not be found in what waits to be written
        found = self.ask(lambda index: index.places(cids))
        if len(found) == len(cids):
            return found
        self.listen()
        unheard = self._unheard
        missing = [cid for cid in cids if cid not in found]
        found |= self.ask(lambda index: index.places(missing))
        if unheard is not None:
            found |= {cid: unheard.objects[cid] for cid in missing if cid in unheard.objects}
        return found

    def root(self, name: str) -> Cid | None:
        """The CID bound to a name, by whichever process."""
        self.listen()
        unheard = self._unheard
        if unheard is not None and name in unheard.roots:
            return unheard.roots[name]
        return self.ask(lambda index: index.root(name))

    def roots(self, prefix: str) -> dict[str, Cid]:
        """Every bound name with that prefix, in order."""
        self.listen()
        unheard = self._unheard
        bound = self.ask(lambda index: index.roots(prefix))
        return merged(bound, unheard.roots if unheard is not None else {}, prefix)

    # Hearing of what others wrote and did not index yet

    def listen(self) -> None:
        """Hear of everything that other processes were told to be durable."""
        self.check_open()
        if self._stand_in_mark is not None:
            self._renew_stand_in()
        if not (self._is_writing or self._stand_in_mark is not None or self._is_quiet()):
            self._hear()

    def _is_quiet(self) -> bool:
        """Whether nobody wrote since: there are zeros where the next record would be.

        A pack that was left for the next one ends there, so that is no such place.
        """
        heard = self._heard
        if heard is None:
            return False
        pack = self.packs.pack(heard.pack)
        return pack is not None and pack.read(heard.end, HEADER_BYTES) == _ROOM

    def _hear(self, *, closely: bool = False) -> None:
        with self._turn:
            if self._is_writing or (self._is_quiet() and not closely):
                return
            self._reopened()
            known = self.ask(lambda index: index.last_pack())
            if known is None:
                self._heard = self._unheard = None
                return
            if self._is_doubtful(known):
                return
            if self._unheard is None or not self._unheard.continues(known):
                self._unheard = Unheard(known)
            try:
                self._unheard.listen(self.packs, closely=closely)
            except OSError as error:
                raise unreadable(self.packs.path, error) from error
            reached = self._unheard.reached
            self._heard = reached if reached.fit else None

    def _is_doubtful(self, known: PackEnd) -> bool:
        """Whether this process failed to sync what stands there, and nobody has seen to it since.

        The system may show what it will never write, and sync the rest without a word about it.
        """
        doubted = self._doubted
        if self._stopped is None:
            return False
        return doubted is None or (known.number, known.end) <= (doubted.pack, doubted.end)

    def stop(self, reason: Exception) -> None:
        """Write nothing more, because nobody knows what is on the disk."""
        self._stopped = str(reason)
        self._doubted = self._heard

    def settle(self) -> None:
        """Let the index know all there is, for questions about the whole store."""
        self.listen()
        if self._unheard is None or self._unheard.is_empty or self._stopped is not None:
            return
        if not self.read_only:
            with suppress(StoreLockedError), self.exclusive():
                self.followed()
        elif self._stand_in_mark is None:
            with self._turn:
                self._wants_whole = True
                old, self._index = self._index, self._opened_index()
                old.close()

    @contextmanager
    def locked(self, *, by_writer: bool = False) -> Generator[None]:
        """Hold the store's lock among threads and processes; a thread may hold it twice.

        A writer needs the index that is now in force, and the right to write.
        """
        lock = self._lock
        assert lock is not None, "only a store opened for writing takes the lock"
        with self._turn:
            depth = lock.depth
            try:
                lock.take()
                if by_writer:
                    self.check_writable()
                    self._reopened()
                yield
            finally:
                self._is_writing = False
                lock.release(depth)

    def exclusive(self) -> AbstractContextManager[None]:
        """Be the store's one writer for the block, with the index that is now in force."""
        return self.locked(by_writer=True)

    def followed(self) -> Tail:
        """The place for the next record, after whatever a crashed writer left is in order."""
        try:
            last = self._last_tail
            if last is not None and last == self._heard and self._is_quiet():
                tail = last
            else:
                tail = self._follow(last)
                if last is not None:
                    self._together = _TOGETHER
        except StoreStoppedError as error:
            self.stop(error)
            raise
        except OSError as error:
            raise unreadable(self.packs.path, error) from error
        self._unheard = None
        self._heard = tail if tail.fit else None
        self._is_writing = True
        return tail

    def _follow(self, last: Tail | None) -> Tail:
        try:
            return recovery.follow(self.packs, self._index, last)
        except IndexDamagedError:
            self._replace_index()
            return recovery.follow(self.packs, self._index)

    # The index file

    def _opened_index(self) -> LateIndex:
        self._stand_in_mark = None
        mark = self._files_mark() if self.read_only else None
        try:
            index, behind = self._compared(self._existing_index())
        except (FileNotFoundError, IndexDamagedError):
            index, behind = None, True
        except UnavailableError:
            if not self.read_only:
                raise
            index, behind = self._still_index()
            self._stand_in_mark = mark  # of an index that must be looked at anew when it changes
        if index is not None and not behind:
            return index
        if self._is_enough_to_read(index):
            self._index = index
            self._hear(closely=True)
            return self._index
        if self.read_only:
            return self._stand_in(index, mark)
        if index is not None:
            index.close()
        with self.locked():
            try:
                self._index = self._existing_index()
            except (FileNotFoundError, IndexDamagedError):
                self._replace_index()
            self.followed()
        return self._index

    def _still_index(self) -> tuple[LateIndex | None, bool]:
        """The index where nothing can be written, so that SQLite cannot, and whether it is behind.

        None where only the packs say what there is.
        """
        with suppress(FileNotFoundError, IndexDamagedError, UnavailableError):
            return self._compared(LateIndex.open(self._index_path, read_only=True, still=True))
        return None, True

    def _compared(self, index: LateIndex) -> tuple[LateIndex, bool]:
        """The index, and whether it is behind; closed where that cannot be found out."""
        try:
            return index, recovery.is_behind(self.packs, index)
        except BaseException:
            index.close()
            raise

    def _is_enough_to_read(self, behind: LateIndex | None) -> TypeGuard[LateIndex]:
        """Whether a reader may use the index that is behind, and hear of the rest."""
        if not self.read_only or self._wants_whole or behind is None:
            return False
        return behind.last_pack() is not None

    def _existing_index(self) -> LateIndex:
        # Its identity first: if it is replaced in between, we reopen once too often.
        self._index_id = self._current_index_id()
        # How far another index knows the packs is to be found out.
        self._last_tail = self._heard = self._unheard = None
        if self._index_id is not None and self._index_id == self._spoilt_id:
            raise IndexDamagedError  # it opens as if nothing were wrong
        return LateIndex.open(self._index_path, read_only=self.read_only)

    def _stand_in(self, behind: LateIndex | None, mark: object) -> LateIndex:
        index, self._stand_in_mark = stand_in(self.packs, behind, mark)
        self._unheard = None  # it knows that, or that it is gone
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
        return files_mark(self.packs, self._index_path)

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
        try:
            with closing(Index.create(fresh)) as index:
                recovery.rebuild(self.packs, index, writable=True)
                index.seal()
        except BaseException:
            with suppress(OSError):  # half of it would only take room on a full disk
                _remove_database(fresh)
            raise
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

    def _mend_index(self, damaged: LateIndex) -> None:
        with self._turn:
            if self._index is not damaged or self._reopened():
                return  # another thread or process has replaced it
            if self.read_only:
                self._spoilt_id = self._index_id
                self._index = self._stand_in(None, self._files_mark())
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
            status = os.lstat(self._index_name)
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
        if self._closed or os.getpid() != self._process:  # else not worth a call at every put
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
        is_filled = self.path.is_dir() and any(self.path.iterdir())
        # Asked again, because another process may be making this very store: its packs come first.
        if is_filled and not disk.is_folder(self.packs.path):
            raise InputError(
                f"{self.path} is a folder of other things, not a store; name an empty folder or a "
                "new one"
            )
        disk.make_folder(self.packs.path)


def _remove_database(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        disk.remove(path.with_name(path.name + suffix))
