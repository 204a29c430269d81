"""What stands at a path: the one vocabulary in which traces say what a run saw and left."""

import enum
import errno
import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from blake3 import blake3

from ring2_orchestrator.runs import bytecode, pseudo
from ring2_orchestrator.runs.statcache import (
    Aspect,
    Stamp,
    StatCache,
    UnstableFileError,
    stamp_of,
)

NO_DIGEST = bytes(32)
# Why a path cannot be looked at, other than that nothing stands there: that is told to programs.
_BLOCKS = frozenset({errno.ENOTDIR, errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG})
# Restores write under such names before the rename that makes a file visible.
RESTORE_PREFIX = b".redoxa-restore-"


class What(enum.IntEnum):
    """One kind of statement about a path. The numbers are part of the trace format."""

    MISSING = 0  # nothing stands there
    FILE = 1  # a regular file with this mode and these bytes
    DIR = 2  # a directory
    LINK = 3  # a symbolic link with this target
    NAMES = 4  # a directory with exactly these entries, and this mode where the run did not make it
    OTHER = 5  # a device, socket or pipe of this type
    PRESENT = 6  # a regular file, whatever it holds, of this mode if one is said
    BLANK = 7  # nothing, or an empty file
    BYTECODE = 8  # a Python bytecode cache that is of no effect, or of this effect
    TIMED = 9  # a regular file with this mode, these bytes and this time
    UNREADABLE = 10  # a regular file with this mode that may not be read
    UNKNOWN = 11  # a regular file of which no content was kept: nothing equals it
    SECRET = 12  # a regular file with this mode and bytes that only the home's key can compare


class State(NamedTuple):
    """A statement about one path; `digest` is of the bytes, the link's target or the names.

    Where nothing stands, `mode` is the error that says so, 0 for the plain one (ENOENT).
    """

    what: int
    mode: int = 0
    digest: bytes = NO_DIGEST


MISSING = State(What.MISSING)


def block_of(error: OSError) -> int:
    """The number of an error that says more than that nothing stands there; else 0."""
    return error.errno if error.errno in _BLOCKS else 0


def digest_of(data: bytes) -> bytes:
    """The BLAKE3-256 digest that states carry."""
    return blake3(data).digest()


def timed(digest: bytes, mtime_ns: int) -> bytes:
    """The digest of a content together with its file's time."""
    return digest_of(digest + mtime_ns.to_bytes(16, "big", signed=True))


def names_blob(entries: dict[bytes, bytes]) -> bytes:
    """The entries of a directory (name to type letter) as one sorted byte string."""
    return b"\0".join(entries[name] + name for name in sorted(entries))


def entries_of(blob: bytes) -> dict[bytes, bytes]:
    """The entries in such a byte string."""
    return {entry[1:]: entry[:1] for entry in blob.split(b"\0") if entry}


def is_unfinished(name: bytes) -> bool:
    """Whether a restore uses that name for what is not yet, or no longer, in its place."""
    if not name.startswith(RESTORE_PREFIX):
        return False
    pid, dash, number = name.removeprefix(RESTORE_PREFIX).partition(b"-")
    return bool(dash) and pid.isdigit() and number.isdigit()


def letter_of(mode: int) -> bytes:
    """The type letter of a directory entry."""
    if stat.S_ISREG(mode):
        return b"f"
    if stat.S_ISDIR(mode):
        return b"d"
    return b"l" if stat.S_ISLNK(mode) else b"o"


_NO_CODE = b""


class Present:
    """The file system as it is during one look-up: each path is asked at most once.

    `seal` makes of a digest what is kept of it where the file is secret.
    """

    def __init__(self, cache: StatCache, seal: Callable[[bytes], bytes]) -> None:
        self._cache = cache
        self._seal = seal
        self._status: dict[bytes, os.stat_result | None] = {}
        self._blocked: dict[bytes, int] = {}
        self._content: dict[bytes, bytes | None] = {}
        self._entries: dict[bytes, dict[bytes, bytes] | None] = {}
        self._code: dict[bytes, bytes | None] = {}

    def status(self, path: bytes) -> os.stat_result | None:
        """What lstat says; None where nothing stands, or nothing may be seen."""
        try:
            return self._status[path]
        except KeyError:
            pass
        try:
            found = os.lstat(path)
        except OSError as error:
            found = None
            if block := block_of(error):
                self._blocked[path] = block
        except ValueError:
            found = None
        self._status[path] = found
        return found

    def blocked(self, path: bytes) -> int:
        """The error that keeps anything from being looked at there; 0 where none does."""
        self.status(path)
        return self._blocked.get(path, 0)

    def now(self, path: bytes) -> State:
        """What stands there now, in the plainest words: MISSING, FILE, DIR, LINK or OTHER."""
        status = self.status(path)
        if status is None:
            return MISSING
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISREG(status.st_mode):
            digest = self.content(path)
            if digest is None:
                return State(What.UNREADABLE, mode)
            return State(What.FILE, mode, digest)
        if stat.S_ISDIR(status.st_mode):
            return State(What.DIR, mode)
        if stat.S_ISLNK(status.st_mode):
            target = self.target(path)
            return State(What.LINK, 0, digest_of(target or b""))
        return State(What.OTHER, stat.S_IFMT(status.st_mode))

    def content(self, path: bytes) -> bytes | None:
        """The digest of the file's bytes; None where they cannot be read or keep changing."""
        try:
            return self._content[path]
        except KeyError:
            pass
        digest: bytes | None
        try:
            if (special := pseudo.content(path)) is not None:
                digest = digest_of(special)
            else:
                digest = self._cache.content(path, self.status(path))
        except (OSError, UnstableFileError):
            digest = None
        self._content[path] = digest
        return digest

    def target(self, path: bytes) -> bytes | None:
        """Where the symbolic link points; None where there is none."""
        try:
            return os.readlink(path)  # noqa: PTH115 - a bytes path
        except (OSError, ValueError):
            return None

    def entries(self, path: bytes) -> dict[bytes, bytes] | None:
        """Name to type letter of everything in the directory but unfinished restores."""
        if path not in self._entries:
            self._entries[path] = read_entries(path)
        return self._entries[path]

    def names_digest(self, path: bytes) -> bytes | None:
        """The digest of the directory's entries, from the cache where it stood still."""
        status = self.status(path)
        if status is None or not stat.S_ISDIR(status.st_mode):
            return None
        stamp = stamp_of(status)
        found = self._cache.find(Aspect.NAMES, path, stamp)
        if found is not None:
            return found
        entries = self.entries(path)
        if entries is None:
            return None
        digest = digest_of(names_blob(entries))
        # Asked again after reading: an entry that came meanwhile must not hide behind the stamp.
        if not pseudo.is_pseudo(path) and _stands_still(path, stamp):
            self._cache.remember(Aspect.NAMES, path, stamp, digest)
        return digest

    def holds(self, path: bytes, state: State) -> bool:
        """Whether the statement is true now."""
        status = self.status(path)
        what = state.what
        if what == What.FILE:  # first, because most statements are of this kind
            return (
                status is not None
                and status.st_mode == stat.S_IFREG | state.mode
                and self.content(path) == state.digest
            )
        if what in (What.MISSING, What.BLANK) and status is None:
            return self._blocked.get(path, 0) == state.mode
        if what == What.MISSING:
            return False
        if what == What.BLANK:
            assert status is not None, "what is not there was asked about before"
            return stat.S_ISREG(status.st_mode) and status.st_size == 0
        if what == What.BYTECODE:
            return self._bytecode_harmless(path, status, state.digest)
        return status is not None and self._holds_rare(path, status, state)

    def _holds_rare(self, path: bytes, status: os.stat_result, state: State) -> bool:
        what, mode = state.what, status.st_mode
        if what == What.DIR:
            return stat.S_ISDIR(mode) and stat.S_IMODE(mode) == state.mode
        if what == What.LINK:
            target = self.target(path) if stat.S_ISLNK(mode) else None
            return target is not None and digest_of(target) == state.digest
        if what == What.NAMES:
            return state.mode in (0, mode) and self.names_digest(path) == state.digest
        if what == What.OTHER:
            return stat.S_IFMT(mode) == state.mode
        return stat.S_ISREG(mode) and self._holds_of_file(path, status, state)

    def _holds_of_file(self, path: bytes, status: os.stat_result, state: State) -> bool:
        if state.what in (What.PRESENT, What.UNKNOWN):
            return state.what == What.PRESENT and state.mode in (0, status.st_mode)
        if stat.S_IMODE(status.st_mode) != state.mode:
            return False
        digest = self.content(path)
        if state.what == What.UNREADABLE:
            return digest is None
        if digest is None:
            return False
        with_time = timed(digest, status.st_mtime_ns)
        if state.what == What.SECRET:
            return state.digest in (self._seal(digest), self._seal(with_time))
        assert state.what == What.TIMED, "every kind of statement is decided"
        return with_time == state.digest

    def _bytecode_harmless(self, path: bytes, status: os.stat_result | None, digest: bytes) -> bool:
        if status is None:
            return True
        if path not in self._code:
            self._code[path] = self._code_used(path, status)
        return self._code[path] in (_NO_CODE, digest)

    def _code_used(self, path: bytes, status: os.stat_result) -> bytes | None:
        """The digest of the code that Python would take from a cache; None where none can be said.

        `_NO_CODE` where it would compile the source anew, whose content is an input of its own.
        """
        source = bytecode.source_of(path)
        assert source is not None, "only bytecode caches are kept as such"
        if not stat.S_ISREG(status.st_mode):
            return None
        source_status = self.status(source)
        header = bytecode.read_header(path)
        if header is None or source_status is None:
            return None
        if not header.fits(source_status):
            return _NO_CODE
        return used_code(self._cache, path, stamp_of(status))


def used_code(cache: StatCache, path: bytes, stamp: Stamp) -> bytes | None:
    """The digest of the code in a bytecode cache that has that stamp; None if it cannot be read."""
    code = cache.find(Aspect.BYTECODE, path, stamp)
    if code is None:
        code = bytecode.code_digest(path)
        if code is not None and _stands_still(path, stamp):
            cache.remember(Aspect.BYTECODE, path, stamp, code)
    return code


def read_entries(path: bytes) -> dict[bytes, bytes] | None:
    """Name to type letter of a directory's entries now; None where it cannot be listed."""
    entries: dict[bytes, bytes] = {}
    try:
        with os.scandir(path) as found:
            for entry in found:
                if not is_unfinished(entry.name):
                    entries[entry.name] = _entry_letter(entry)
    except (OSError, ValueError):
        return None
    return entries


def _entry_letter(entry: "os.DirEntry[bytes]") -> bytes:
    if entry.is_symlink():
        return b"l"
    if entry.is_dir(follow_symlinks=False):
        return b"d"
    return b"f" if entry.is_file(follow_symlinks=False) else b"o"


def _stands_still(path: bytes, stamp: Stamp) -> bool:
    try:
        return stamp_of(os.lstat(path)) == stamp
    except OSError:
        return False
