"""The store beside the bare thing: what its promises cost over the disk, the hash and SQLite.

    python bench/store_ratios.py [--folder DIR] [--rounds N] [--write]

Each line compares one act of the store with the least that could do the same: an `fdatasync` after
each append, one append of a whole batch, BLAKE3 on one core, a select and a hash. Rounds alternate
between the two, so that a busy machine is busy for both, and the median of the rounds' ratios
counts. `--write` keeps the table in bench/results/store_ratios.md.
"""

import argparse
import os
import platform
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from cid_store.cid import Cid
from cid_store.local import LocalStore
from cid_store.pack import Kind, Record, laid_out

RESULT = Path(__file__).parent / "results" / "store_ratios.md"
SMALL, LARGE = 4096, 64 << 20
SINGLE, BATCH, GETS = 300, 1000, 2000

Act = Callable[[Sequence[bytes]], object]


class Line(NamedTuple):
    """One comparison: the same blobs through the store and through its peer."""

    name: str
    peer: str
    wanted: float
    ours: Act
    bare: Act
    blobs: Callable[[], list[bytes]]


class Appender:
    """A file that grows by what is written, each time on the disk before it returns."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT)
        self._end = 0

    def append(self, parts: Sequence[bytes | memoryview]) -> None:
        """Write at the end and wait for the disk."""
        for at in range(0, len(parts), 1024):
            self._end += os.pwritev(self._fd, parts[at : at + 1024], self._end)
        os.fdatasync(self._fd)

    def one_by_one(self, blobs: Sequence[bytes]) -> None:
        """Each blob durable before the next."""
        for blob in blobs:
            self.append([blob])

    def as_records(self, blobs: Sequence[bytes]) -> None:
        """Named and laid out as in a pack, durable together."""
        self.append(laid_out([Record(Kind.OBJECT, Cid.of(b), b) for b in blobs], 1, 0))


class Writer:
    """A new file for each blob. Files stay, as objects do: pages that were just freed cost less."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = count()
        folder.mkdir()

    def put(self, blobs: Sequence[bytes]) -> None:
        """Each blob as `write` and `fsync` alone keep it."""
        for blob in blobs:
            fd = os.open(self._folder / str(next(self._number)), os.O_WRONLY | os.O_CREAT)
            at = 0
            while at < len(blob):
                at += os.write(fd, memoryview(blob)[at:])
            os.fsync(fd)
            os.close(fd)


class Table:
    """Blobs by digest in SQLite."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE blobs (name BLOB PRIMARY KEY, data BLOB) WITHOUT ROWID"
        )

    def put(self, blobs: Sequence[bytes]) -> None:
        """All of them in one transaction."""
        self._connection.execute("BEGIN")
        rows = ((blake3(blob).digest(), blob) for blob in blobs)
        self._connection.executemany("INSERT OR IGNORE INTO blobs VALUES (?, ?)", rows)
        self._connection.execute("COMMIT")

    def get(self, name: bytes) -> bytes:
        """One of them, checked."""
        sql = "SELECT data FROM blobs WHERE name = ?"
        ((data,),) = self._connection.execute(sql, [name]).fetchall()
        assert blake3(data).digest() == name, "SQLite gave other bytes"
        return data


def lines(folder: Path) -> list[Line]:
    """What is compared."""
    store, table = LocalStore(folder / "store"), Table(folder / "blobs.sqlite")
    singles, batches = (Appender(folder / name) for name in ("singles", "batches"))
    small = [os.urandom(SMALL) for _ in range(10 * GETS)]
    names = store.put_many(small)
    table.put(small)
    large = os.urandom(LARGE)
    large_name = store.put(large)

    def fresh(number: int, size: int) -> Callable[[], list[bytes]]:
        return lambda: [os.urandom(size) for _ in range(number)]

    def some() -> list[bytes]:
        return [cid.digest for cid in names[next(turn) % 10 :: 10]]

    turn = count()
    by_digest = {cid.digest: cid for cid in names}
    return [
        Line(
            "single durable puts of 4 KiB",
            "append and `fdatasync`",
            0.75,
            lambda blobs: [store.put(blob) for blob in blobs],
            singles.one_by_one,
            fresh(SINGLE, SMALL),
        ),
        Line(
            "1,000 durable puts of 4 KiB in a batch",
            "the same records, one append",
            0.75,
            store.put_many,
            batches.as_records,
            fresh(BATCH, SMALL),
        ),
        Line(
            "1,000 durable puts of 4 KiB in a batch",
            "SQLite blobs (WAL, FULL)",
            2.5,
            store.put_many,
            table.put,
            fresh(BATCH, SMALL),
        ),
        Line(
            "checked gets of 4 KiB",
            "SQLite blobs, hashed",
            1.0,
            lambda names: [store.get(by_digest[name]) for name in names],
            lambda names: [table.get(name) for name in names],
            some,
        ),
        Line(
            "put of 64 MiB",
            "`write` and `fsync`",
            0.6,
            store.put_many,
            Writer(folder / "raw").put,
            fresh(1, LARGE),
        ),
        Line(
            "checked get of 64 MiB",
            "BLAKE3 on one core",
            0.5,
            lambda blobs: [store.get(large_name) for _ in blobs],
            lambda blobs: [blake3(blob).digest() for blob in blobs],
            lambda: [large],
        ),
    ]


def seconds(act: Act, blobs: Sequence[bytes]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    act(blobs)
    return time.perf_counter() - start


def compared(line: Line, rounds: int) -> str:
    """The table's line."""
    ours: list[float] = []
    bare: list[float] = []
    for at in range(rounds):
        blobs = line.blobs()
        for act, times in ((line.ours, ours), (line.bare, bare))[:: 1 if at % 2 else -1]:
            times.append(seconds(act, blobs))
    ratios = sorted(theirs / own for own, theirs in zip(ours, bare, strict=True))
    times = f"{statistics.median(ours) * 1e3:,.1f} ms | {statistics.median(bare) * 1e3:,.1f} ms"
    spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    return f"| {line.name} | {line.peer} | {times} | {spread} | {line.wanted:g} |"


def main() -> None:
    """Measure, print, and keep the table where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where to write (default: the system's)")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--write", action="store_true", help=f"keep the table in {RESULT.name}")
    args = parser.parse_args()
    text = [
        "# The store beside the bare thing",
        "",
        "Command: `python bench/store_ratios.py --write`. Times are medians of a round",
        f"({SINGLE} single puts, {GETS:,} gets); a ratio is the peer's time over ours, the median",
        "of the rounds with the lowest and the highest. The load is the one-minute average.",
        "",
        "| act | peer | ours | peer's | ratio | wanted |",
        "|---|---|---|---|---|---|",
    ]
    before = os.getloadavg()[0]
    folder = Path(tempfile.mkdtemp(dir=args.folder))
    try:
        for line in lines(folder):
            text.append(compared(line, args.rounds))
            print(text[-1], flush=True)
    finally:
        shutil.rmtree(folder)
    text += [
        "",
        f"Machine: {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python",
        f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}; load {before:.1f} before,",
        f"{os.getloadavg()[0]:.1f} after.",
    ]
    if args.write:
        RESULT.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
