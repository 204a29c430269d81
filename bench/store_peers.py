"""The stores that the benches compare, behind one interface, and the floors below them.

Each keeps a batch so that it outlasts a power cut as far as that store can promise it, and gives
the bytes back by name. Names are made within `put`, so naming is counted in.
"""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import lmdb
from blake3 import blake3

from cid_store import disk
from cid_store.cid import digest_of
from cid_store.local import LocalStore
from cid_store.pack import ALIGN, HEADER_BYTES

_ROOM_BYTES = 16 << 20  # how far a floor's file is preallocated, as the store's packs are
_IOV_MAX = 1024
_LMDB_BYTES = 1 << 36  # of address space; the file is as large as what is in it


class Batch(NamedTuple):
    """What is kept at once: the blobs, and the same as files for those who read files only."""

    blobs: Sequence[bytes]
    folder: Path


class Peer(Protocol):
    """One contender, in a folder of its own."""

    checks: bool  # whether `get` compares what it gives with its name, cryptographically

    def __init__(self, folder: Path, scratch: Path) -> None: ...

    def put(self, batch: Batch) -> Sequence[Any]:
        """Keep the blobs, durably; their names, in order."""
        ...

    def get(self, names: Sequence[Any]) -> Iterable[bytes]:
        """The bytes of each name, in order."""
        ...


class Redoxa:
    """This project's store: `put_many`, and one `get` for each object."""

    checks = True

    def __init__(self, folder: Path, scratch: Path) -> None:
        del scratch
        self.store = LocalStore(folder / "store")

    def put(self, batch: Batch) -> Sequence[Any]:
        """One wait for the disk."""
        if len(batch.blobs) == 1:
            return [self.store.put(batch.blobs[0])]
        return self.store.put_many(batch.blobs)

    def get(self, names: Sequence[Any]) -> Iterable[bytes]:
        """One after another."""
        return map(self.store.get, names)


class Sqlite:
    """One table of names and blobs: write-ahead log, synchronous=FULL."""

    checks = False

    def __init__(self, folder: Path, scratch: Path) -> None:
        del scratch
        self._connection = sqlite3.connect(folder / "blobs.sqlite", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE blobs (name BLOB PRIMARY KEY, data BLOB) WITHOUT ROWID"
        )

    def put(self, batch: Batch) -> Sequence[Any]:
        """One transaction."""
        names = [digest_of(blob) for blob in batch.blobs]
        self._connection.execute("BEGIN")
        self._connection.executemany(
            "INSERT OR IGNORE INTO blobs VALUES (?, ?)", zip(names, batch.blobs, strict=True)
        )
        self._connection.execute("COMMIT")
        return names

    def get(self, names: Sequence[Any]) -> Iterable[bytes]:
        """One SELECT for each."""
        for name in names:
            sql = "SELECT data FROM blobs WHERE name = ?"
            yield self._connection.execute(sql, [name]).fetchone()[0]


class Lmdb:
    """A memory-mapped B+ tree, synced at every commit as it comes."""

    checks = False

    def __init__(self, folder: Path, scratch: Path) -> None:
        del scratch
        self._environment = lmdb.open(str(folder / "lmdb"), map_size=_LMDB_BYTES)

    def put(self, batch: Batch) -> Sequence[Any]:
        """One transaction."""
        names = [digest_of(blob) for blob in batch.blobs]
        with self._environment.begin(write=True) as transaction:
            for name, blob in zip(names, batch.blobs, strict=True):
                transaction.put(name, blob, overwrite=False)
        return names

    def get(self, names: Sequence[Any]) -> Iterable[bytes]:
        """One transaction, and a copy of each value, as its users get it."""
        with self._environment.begin() as transaction:
            for name in names:
                yield transaction.get(name)


class Files:
    """One file an object, in 256 folders: fsync, rename, and an fsync of each folder touched."""

    checks = False

    def __init__(self, folder: Path, scratch: Path) -> None:
        del scratch
        self._root = folder / "files"
        for number in range(256):
            (self._root / f"{number:02x}").mkdir(parents=True)

    def put(self, batch: Batch) -> Sequence[Any]:
        """One wait for each file, and one for each folder at the end."""
        paths: list[Path] = []
        for blob in batch.blobs:
            name = digest_of(blob).hex()
            path = self._root / name[:2] / name
            part = path.with_suffix(".part")
            with part.open("wb") as file:
                file.write(blob)
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
            paths.append(path)
        for place in {path.parent for path in paths}:
            disk.sync_folder(place)
        return paths

    def get(self, names: Sequence[Any]) -> Iterable[bytes]:
        """Opened, read and closed."""
        return (path.read_bytes() for path in names)


class GitLoose:
    """Git's loose objects: `hash-object -w --stdin-paths`, each file synced; compressed."""

    checks = False

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._git = ("git", "-C", str(folder / type(self).__name__), "-c", "core.fsync=all")
        self._asked = scratch / "asked"
        self._marks = scratch / "marks"
        subprocess.run(["git", "init", "-q", "--bare", folder / type(self).__name__], check=True)

    def put(self, batch: Batch) -> Sequence[Any]:
        """One process a batch."""
        paths = "".join(f"{path}\n" for path in sorted(batch.folder.iterdir()))
        words = [*self._git, "hash-object", "-w", "--no-filters", "--stdin-paths"]
        done = subprocess.run(words, input=paths.encode(), capture_output=True, check=True)
        return done.stdout.split()

    def get(self, names: Sequence[Any]) -> Iterator[bytes]:
        """One process, `cat-file --batch`."""
        self._asked.write_bytes(b"\n".join(names) + b"\n")
        words = [*self._git, "cat-file", "--batch"]
        with (
            self._asked.open("rb") as asked,
            subprocess.Popen(
                words, stdin=asked, stdout=subprocess.PIPE, bufsize=1 << 20
            ) as running,
        ):
            out = _stream(running.stdout)
            for _ in names:
                size = int(out.readline().split()[2])
                yield out.read(size)
                out.read(1)


class GitPacks(GitLoose):
    """Git's packs: `fast-import` makes one of a batch, synced at its end; compressed."""

    def put(self, batch: Batch) -> Sequence[Any]:
        """One process a batch."""
        words = [*self._git, "-c", "fastimport.unpackLimit=0", "fast-import", "--quiet", "--done"]
        words.append(f"--export-marks={self._marks}")
        with subprocess.Popen(words, stdin=subprocess.PIPE, bufsize=1 << 20) as running:
            into = _stream(running.stdin)
            for number, blob in enumerate(batch.blobs, 1):
                into.write(b"blob\nmark :%d\ndata %d\n" % (number, len(blob)))
                into.write(blob)
                into.write(b"\n")
            into.write(b"done\n")
            into.flush()
        if running.returncode:
            raise SystemExit("git fast-import failed")
        marks = sorted(line.split() for line in self._marks.read_bytes().splitlines())
        by_number = {int(mark[1:]): name for mark, name in marks}
        return [by_number[number] for number in range(1, len(batch.blobs) + 1)]


class Restic:
    """`restic backup` of a folder, and `restic restore` of it; encrypted, deduplicated, checked."""

    checks = True

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._scratch = scratch
        self._rounds = count()
        self._environment = {
            **os.environ,
            "RESTIC_REPOSITORY": str(folder / "restic"),
            "RESTIC_PASSWORD": "bench",
            "RESTIC_CACHE_DIR": str(folder / "cache"),
        }
        self._run("init", "--quiet")

    def _run(self, *words: str, folder: Path | None = None) -> None:
        subprocess.run(
            ["restic", *words], cwd=folder, env=self._environment, check=True, capture_output=True
        )

    def put(self, batch: Batch) -> Sequence[Any]:
        """One process a batch."""
        self._run("backup", "--quiet", ".", folder=batch.folder)
        return [path.name for path in sorted(batch.folder.iterdir())]

    def get(self, names: Sequence[Any]) -> Iterator[bytes]:
        """One process for the whole folder, which is then read."""
        target = self._scratch / f"restored-{next(self._rounds)}"
        self._run("restore", "latest", "--quiet", "--target", str(target))
        for name in names:
            yield (target / name).read_bytes()
        shutil.rmtree(target)


class BareAppend:
    """The floor: blobs appended to a preallocated file, one fdatasync; no names, nothing found."""

    checks = False

    def __init__(self, folder: Path, scratch: Path) -> None:
        del scratch
        self._fd = os.open(folder / type(self).__name__, os.O_RDWR | os.O_CREAT)
        self._end = self._room = 0

    def put(self, batch: Batch) -> Sequence[Any]:
        """The bytes alone."""
        places, at = [], self._end
        for blob in batch.blobs:
            places.append((at, len(blob)))
            at += len(blob)
        self._append(batch.blobs, at)
        return places

    def _append(self, parts: Sequence[bytes], stop: int) -> None:
        if stop > self._room:
            os.posix_fallocate(self._fd, self._room, stop + _ROOM_BYTES - self._room)
            self._room = stop + _ROOM_BYTES
        disk.write_all(self._fd, parts, self._end)
        os.fdatasync(self._fd)
        self._end = stop

    def get(self, names: Sequence[Any]) -> Iterable[bytes]:
        """One pread for each."""
        return (disk.read_at(self._fd, length, offset) for offset, length in names)


class BarePack(BareAppend):
    """The floor of packs: each blob named by BLAKE3 behind a header of 64 bytes; no index."""

    def put(self, batch: Batch) -> Sequence[Any]:
        """What any pack has to do, and nothing more."""
        places: list[tuple[int, int]] = []
        parts: list[bytes] = []
        at = self._end
        for blob in batch.blobs:
            length = len(blob)
            places.append((at + HEADER_BYTES, length))
            parts += [digest_of(blob).ljust(HEADER_BYTES), blob]
            if length % ALIGN:
                parts.append(bytes(-length % ALIGN))
            at += HEADER_BYTES + length + -length % ALIGN
        self._append(parts, at)
        return places


class Hashing:
    """BLAKE3 of bytes in memory on one core: nothing is kept."""

    checks = True

    def __init__(self, folder: Path, scratch: Path) -> None:
        del folder, scratch

    def put(self, batch: Batch) -> Sequence[Any]:
        """The digests."""
        for blob in batch.blobs:
            blake3(blob).digest()
        return batch.blobs

    def get(self, names: Sequence[Any]) -> Iterable[bytes]:
        """The same bytes, hashed again."""
        for blob in names:
            blake3(blob).digest()
            yield blob


def _stream(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "asked for when the process was started"
    return pipe


PEERS: Mapping[str, type[Peer]] = {
    "Redoxa": Redoxa,
    "SQLite": Sqlite,
    "LMDB": Lmdb,
    "plain files": Files,
    "git, loose": GitLoose,
    "git, packs": GitPacks,
    "restic": Restic,
}
FLOORS: Mapping[str, type[Peer]] = {
    "bare append": BareAppend,
    "bare pack": BarePack,
    "BLAKE3": Hashing,
}
NEEDS = {"git, loose": "git", "git, packs": "git", "restic": "restic"}  # programs
