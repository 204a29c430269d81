"""Where each object lies, in SQLite: a cache of what the packs say, rebuilt when it is in doubt."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self, cast

from cid_store import disk
from cid_store.census import Census, PackFill, Totals
from cid_store.cid import Cid, Codec
from cid_store.errors import UnavailableError
from cid_store.folder import Place
from cid_store.index_rows import (
    IndexDamagedError,
    PackEnd,
    bound_in,
    cid_in,
    pack_end_in,
    place_in,
    text_in,
)
from cid_store.pack import HEADER_BYTES, Kind
from cid_store.tiers import Account, Books

VERSION = 3

_APPLICATION = 0x52445849  # "RDXI": what the `file` command shows
_SHORT_LOG_BYTES = 512 << 10  # read again by the next process in less than a millisecond
_PLACE = "pack, offset, length, kind, size, cost"
_FIND = f"SELECT digest, codec, {_PLACE} FROM objects WHERE digest = ?"  # noqa: S608 - our own columns
# All digests come as one value, and are looked for in turn: a mark for each costs two fifths more.
_FIND_MANY = (
    "WITH RECURSIVE asked (at) AS "  # noqa: S608 - as above
    "(SELECT 1 UNION ALL SELECT at + 32 FROM asked WHERE at + 32 < length(?1)) "
    f"SELECT digest, codec, {_PLACE} FROM asked CROSS JOIN objects ON digest = substr(?1, at, 32)"
)
_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {VERSION};
CREATE TABLE objects (
    digest BLOB NOT NULL, codec INTEGER NOT NULL,
    pack INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
    kind INTEGER NOT NULL, size INTEGER NOT NULL, cost INTEGER NOT NULL,
    PRIMARY KEY (digest, codec)
) WITHOUT ROWID;
CREATE TABLE roots (name BLOB PRIMARY KEY, cid BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE packs (number INTEGER PRIMARY KEY, identity BLOB NOT NULL, end INTEGER NOT NULL);
"""
# The SQLite codes that mean "this file is not the index it should be", not "try again".
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}

# A damaged file can make SQLite complain in bytes that Python cannot read as text.
_TROUBLE = (sqlite3.Error, UnicodeDecodeError)


class Index:
    """One connection to an index; its methods may be called from any thread."""

    def __init__(self, connection: sqlite3.Connection, path: Path | None = None) -> None:
        self._connection = connection
        self._path = path  # of an index in force; None while it is being made, or in memory
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False, still: bool = False) -> Self:
        """An index that exists. Raises FileNotFoundError or IndexDamagedError.

        A `still` one is read without the files beside it, which SQLite must make where they are
        missing; nobody may write to it meanwhile. Raises UnavailableError where a log has rows.
        """
        # SQLite follows links and creates files; descriptors of ours say first what is there.
        os.close(disk.open_file(path, os.O_RDONLY))
        for beside in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.close(disk.open_file(path.with_name(path.name + beside), os.O_RDONLY))
        if still:
            _refuse_log(path)
        options = "?immutable=1" if still else "?mode=ro" if read_only else "?mode=rw"
        try:
            connection = _connect(path.as_uri() + options)
        except _TROUBLE as error:
            raise _translated(error) from error
        index = cls(connection, None if read_only else path)
        try:
            index.check(writable=not read_only)
        except BaseException:
            index.close()
            raise
        return index

    @classmethod
    def create(cls, path: Path | None) -> Self:
        """An empty index in a new file (None: in memory) that nobody else opens yet.

        Raises UnavailableError where the disk does not take it.
        """
        if path is not None:
            os.close(disk.open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
        with contextlib.ExitStack() as unless_made:
            try:
                connection = _connect(
                    "file::memory:" if path is None else path.as_uri() + "?mode=rw"
                )
                unless_made.callback(connection.close)
                # It gets its name when it is whole, so until then nothing of it needs to last.
                connection.execute("PRAGMA synchronous = OFF")
                connection.executescript(_SCHEMA)
            except sqlite3.Error as error:
                raise UnavailableError(
                    f"the index {path} cannot be made ({error}); make room on its disk"
                ) from error
            unless_made.pop_all()
        return cls(connection)

    def check(self, *, writable: bool) -> None:
        """Raise IndexDamagedError unless this is an index of this version."""
        marks = (self._ask("PRAGMA application_id"), self._ask("PRAGMA user_version"))
        if marks != ([(_APPLICATION,)], [(VERSION,)]):
            raise IndexDamagedError
        self._ask("SELECT max(number) FROM packs")
        if writable:
            self._ask("PRAGMA journal_mode = WAL")
            # A power cut may lose the newest rows, never the file; the packs have them (NORMAL).
            self._ask("PRAGMA synchronous = NORMAL")

    def seal(self) -> None:
        """Make a new index ready for its place: write-ahead mode, everything on the disk."""
        self._ask("PRAGMA synchronous = FULL")
        self._ask("PRAGMA journal_mode = WAL")
        self.close()

    def places(self, cids: Sequence[Cid]) -> dict[Cid, Place]:
        """Where each of the objects lies that the index knows."""
        digests = b"".join([cid.digest for cid in cids])
        rows = self._ask(_FIND if len(cids) == 1 else _FIND_MANY, [digests])
        found: dict[Cid, Place] = {}
        wanted = {(cid.digest, cid.codec): cid for cid in cids} if rows else {}
        for digest, codec, *place in rows:
            cid = wanted.get((cast("bytes", digest), cast("Codec", codec)))
            if cid is not None:
                found[cid] = place_in(place)
        return found

    def rows(self) -> Iterator[tuple[Cid, Place]]:
        """Every object and its place, in the order of the places."""
        # The order needs a sort, so SQLite holds all rows from the first fetch on (on the disk when
        # they are many), and what is written meanwhile does not show.
        sql = f"SELECT {_PLACE}, digest, codec FROM objects ORDER BY pack, offset"  # noqa: S608 - our own columns
        return ((cid_in(row[-2:]), place_in(row[:-2])) for row in self._stream(sql))

    def sealed(self) -> list[tuple[Cid, int]]:
        """The objects that are kept in chunks or were demoted, each with its record's kind."""
        rows = self._ask("SELECT kind, digest, codec FROM objects WHERE kind > 1")
        return [(cid_in(row[1:]), cast("int", row[0])) for row in rows]

    def whole(self, least_bytes: int) -> list[tuple[Cid, Place]]:
        """The plain bytes of at least that size that are not demoted, and where they lie."""
        rows = self._ask(
            f"SELECT {_PLACE}, digest, codec FROM objects "  # noqa: S608 - columns are put in
            "WHERE codec = ? AND kind <= ? AND size >= ? ORDER BY pack, offset",
            [int(Codec.RAW), int(Kind.CHUNKS), least_bytes],
        )
        return [(cid_in(row[-2:]), place_in(row[:-2])) for row in rows]

    def _stream(self, sql: str) -> Iterator[tuple[object, ...]]:
        try:
            cursor = self._connection.execute(sql)
            while True:
                with self._lock:
                    some = cursor.fetchmany(10_000)
                if not some:
                    return
                yield from some
        except _TROUBLE as error:
            raise _translated(error) from error

    def root(self, name: str) -> Cid | None:
        """The CID bound to a name."""
        rows = self._ask("SELECT cid FROM roots WHERE name = ?", [name.encode()])
        return bound_in(rows[0][0]) if rows else None

    def roots(self, prefix: str) -> dict[str, Cid]:
        """Every bound name with that prefix, in order."""
        low = prefix.encode()
        # UTF-8 never has the byte ff, so this is past every name with the prefix.
        rows = self._ask(
            "SELECT name, cid FROM roots WHERE name >= ? AND name < ? ORDER BY name",
            [low, low + b"\xff"],
        )
        return {text_in(name): bound_in(cid) for name, cid in rows}

    def snapshot(self) -> tuple[list[PackEnd], dict[str, Cid]]:
        """How far each pack is known and what every name is bound to, at one moment."""
        with self._lock:
            self._ask("BEGIN")
            try:
                return self.packs(), self.roots("")
            finally:
                self._ask("COMMIT")

    def packs(self) -> list[PackEnd]:
        """How far each pack is known, in order."""
        rows = self._ask("SELECT number, identity, end FROM packs ORDER BY number")
        return [pack_end_in(row) for row in rows]

    def last_pack(self) -> PackEnd | None:
        """How far the newest known pack is known."""
        rows = self._ask("SELECT number, identity, end FROM packs ORDER BY number DESC LIMIT 1")
        return pack_end_in(rows[0]) if rows else None

    def is_sound(self) -> bool:
        """Whether SQLite finds its own file in order: else a row may be there and never found."""
        return self._ask("PRAGMA quick_check(1)") == [("ok",)]

    def totals(self) -> Totals:
        """How many objects, bytes and roots the index names."""
        (objects, size), *_ = self._ask("SELECT count(*), coalesce(sum(length), 0) FROM objects")
        ((roots,), *_) = self._ask("SELECT count(*) FROM roots")
        return Totals(cast("int", objects), cast("int", size), cast("int", roots))

    def census(self) -> Census:
        """What there is, counted."""
        codecs: dict[Codec, tuple[int, int]] = {}
        for codec, count, size in self._ask(
            "SELECT codec, count(*), sum(length) FROM objects GROUP BY codec ORDER BY codec"
        ):
            codecs[Codec(cast("int", codec))] = (cast("int", count), cast("int", size))
        ((in_chunks,),) = self._ask(
            "SELECT count(*) FROM objects WHERE kind = ?", [int(Kind.CHUNKS)]
        )
        # The room of a record: its header, its payload, and zeros up to a multiple of 64.
        rows = self._ask(
            "SELECT number, coalesce(count, 0), end, coalesce(room, 0) FROM packs LEFT JOIN ("
            "SELECT pack, count(*) AS count, sum(64 + (length + 63) / 64 * 64) AS room "
            "FROM objects GROUP BY pack) ON pack = number ORDER BY number"
        )
        fills = [
            PackFill(number, objects, end - HEADER_BYTES, end - HEADER_BYTES - room)
            for number, objects, end, room in cast("list[tuple[int, int, int, int]]", rows)
        ]
        return Census(codecs, cast("int", in_chunks), tuple(fills))

    def books(self, packs: Sequence[int] = ()) -> Books:
        """Every object, or every object in these packs, in the account of its tier."""
        where = f"WHERE pack IN ({', '.join('?' * len(packs))})" if packs else ""
        # Objects and lists of chunks are whole, so they make one row. Room as in the census.
        rows = self._ask(
            "SELECT max(kind, 3), count(*), sum(size), sum(64 + (length + 63) / 64 * 64), "  # noqa: S608 - marks are put in
            f"sum(cost) FROM objects {where} GROUP BY 1",
            packs,
        )
        accounts: dict[int, Account] = {}
        for kind, *sums, debt_us in cast("list[tuple[int, int, int, int, int]]", rows):
            accounts[kind] = Account(*sums, debt_s=debt_us / 1e6)
        kinds = (Kind.CHUNKS, Kind.PENUMBRA, Kind.UMBRA)
        return Books(*(accounts.get(kind, Account()) for kind in kinds))

    def apply(
        self,
        objects: Iterable[tuple[Cid, Place]],
        roots: Mapping[str, Cid | None],
        end: PackEnd,
    ) -> None:
        """Learn what was appended to one pack, all of it or nothing."""
        self._apply(objects, roots, end, where=lambda _known: True)

    def _apply(
        self,
        objects: Iterable[tuple[Cid, Place]],
        roots: Mapping[str, Cid | None],
        end: PackEnd,
        *,
        where: Callable[[PackEnd | None], bool],
    ) -> None:
        """The same; `where` is told how far the packs are known, and may refuse."""
        # In the order of the index, neighbours share a leaf; of one object, the later place stands.
        rows = sorted((cid.digest, int(cid.codec), *place) for cid, place in objects)
        with self._lock:
            try:
                with self._connection:  # commits, or rolls back when an error passes
                    self._connection.execute("BEGIN IMMEDIATE")
                    if not where(Index.last_pack(self)):
                        return
                    self._connection.executemany(
                        "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows
                    )
                    for name, cid in roots.items():
                        self._bind(name, cid)
                    self._connection.execute("INSERT OR REPLACE INTO packs VALUES (?, ?, ?)", end)
            except _TROUBLE as error:
                raise _translated(error) from error

    def drop(self, numbers: Sequence[int]) -> None:
        """Forget these packs and everything in them; durable."""
        rows = [[number] for number in numbers]
        with self._lock:
            # The files go next. An index that lost this would miss what it never should have had.
            self._ask("PRAGMA synchronous = FULL")
            try:
                with self._connection:
                    self._connection.execute("BEGIN IMMEDIATE")
                    self._connection.executemany("DELETE FROM objects WHERE pack = ?", rows)
                    self._connection.executemany("DELETE FROM packs WHERE number = ?", rows)
            except _TROUBLE as error:
                raise _translated(error) from error
            finally:
                self._ask("PRAGMA synchronous = NORMAL")

    def adopt(self, objects: Iterable[tuple[Cid, Place]], end: PackEnd) -> None:
        """Learn a forgotten pack again; what is known to stand elsewhere is left there."""
        rows = [(cid.digest, int(cid.codec), *place) for cid, place in objects]
        with self._lock:
            try:
                with self._connection:
                    self._connection.execute("BEGIN IMMEDIATE")
                    self._connection.executemany(
                        "INSERT OR IGNORE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows
                    )
                    self._connection.execute("INSERT OR REPLACE INTO packs VALUES (?, ?, ?)", end)
            except _TROUBLE as error:
                raise _translated(error) from error

    def repoint(self, cid: Cid, place: Place) -> None:
        """Learn that an object stands elsewhere."""
        self._ask(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [cid.digest, int(cid.codec), *place],
        )

    def _bind(self, name: str, cid: Cid | None) -> None:
        if cid is None:
            self._connection.execute("DELETE FROM roots WHERE name = ?", [name.encode()])
        else:
            self._connection.execute(
                "INSERT OR REPLACE INTO roots VALUES (?, ?)", [name.encode(), cid.to_bytes()]
            )

    def _ask(self, sql: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with self._lock:
            try:
                return self._connection.execute(sql, values).fetchall()
            except _TROUBLE as error:
                raise _translated(error) from error

    def copy(self) -> Self:
        """The same index in memory."""
        connection = _connect("file::memory:")
        with self._lock:
            try:
                self._connection.backup(connection)
            except _TROUBLE as error:
                connection.close()
                raise _translated(error) from error
        return type(self)(connection)

    def close(self) -> None:
        """Let the connection go; closing twice is harmless."""
        with self._lock:
            reader = self._last_reader()
            self._connection.close()
            if reader is not None:
                reader.close()

    def _last_reader(self) -> sqlite3.Connection | None:
        """A connection that, closed last, leaves a short log for later.

        The last writer to close folds the log into the file and waits for the disk twice, which
        is most of what a short command would wait for; a reader cannot. A long log is folded.
        """
        path, self._path = self._path, None
        if path is None:
            return None
        try:
            log_bytes = path.with_name(path.name + "-wal").stat().st_size
            if not 0 < log_bytes < _SHORT_LOG_BYTES:
                return None
            reader = _connect(path.as_uri() + "?mode=ro")
            reader.execute("SELECT max(number) FROM packs").fetchall()
        except (OSError, *_TROUBLE):
            return None  # closing the plain way is as safe
        return reader


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri, uri=True, timeout=30, isolation_level=None, check_same_thread=False
    )
    try:
        # A foreign file's views and triggers stay put.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cache_size = -16384")
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_log(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if path.with_name(path.name + "-wal").stat().st_size:
            raise UnavailableError(f"the index {path} cannot be read without its log")


def _translated(error: Exception) -> Exception:
    """Doubt about the file becomes IndexDamagedError, trouble of the machine UnavailableError."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _DAMAGE:
        return IndexDamagedError()
    return UnavailableError(
        f"the store's index could not be used ({error}); nothing is lost: make room or repair the "
        "disk, then open the store again"
    )
