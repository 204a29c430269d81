"""Durable puts a second: our store beside SQLite blobs and plain files.

    python bench/store_put.py [--folder DIR] [--blobs N] [--write]

Every contender keeps the same random blobs under the same names (the naming is counted in) and has
them on the disk before a batch of 1,000 counts as done: SQLite with synchronous=FULL, files with
fsync of each file, rename, and one fsync of the folder. Rounds alternate between the contenders, so
that a busy machine is busy for all; the median round counts. `--write` keeps the table in
bench/results/store_put.md.
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
from pathlib import Path

from cid_store.cid import Cid
from cid_store.local import LocalStore

RESULT = Path(__file__).parent / "results" / "store_put.md"
BATCH = 1000
ROUNDS = 7

Put = Callable[[Sequence[bytes]], object]


def our_store(folder: Path) -> Put:
    """What the project uses."""
    return LocalStore(folder / "store").put_many


def sqlite_blobs(folder: Path) -> Put:
    """One table of names and blobs."""
    connection = sqlite3.connect(folder / "blobs.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE blobs (name BLOB PRIMARY KEY, data BLOB) WITHOUT ROWID")

    def put(blobs: Sequence[bytes]) -> None:
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT OR IGNORE INTO blobs VALUES (?, ?)",
            ((Cid.of(blob).digest, blob) for blob in blobs),
        )
        connection.execute("COMMIT")

    return put


def plain_files(folder: Path) -> Put:
    """One file an object, in 256 folders."""
    root = folder / "files"
    for number in range(256):
        (root / f"{number:02x}").mkdir(parents=True)

    def put(blobs: Sequence[bytes]) -> None:
        touched: set[Path] = set()
        for blob in blobs:
            name = Cid.of(blob).digest.hex()
            path = root / name[:2] / name
            part = path.with_suffix(".part")
            with part.open("wb") as file:
                file.write(blob)
                file.flush()
                os.fdatasync(file.fileno())
            part.rename(path)
            touched.add(path.parent)
        for place in touched:
            fd = os.open(place, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)

    return put


CONTENDERS: dict[str, Callable[[Path], Put]] = {
    "our store": our_store,
    "SQLite blobs (WAL, FULL)": sqlite_blobs,
    "plain files (fsync, rename)": plain_files,
}


def seconds(put: Put, blobs: Sequence[bytes]) -> float:
    """How long the batches take, one after another."""
    start = time.perf_counter()
    for at in range(0, len(blobs), BATCH):
        put(blobs[at : at + BATCH])
    return time.perf_counter() - start


def measure(folder: Path, size: int, count: int, rounds: int) -> dict[str, list[float]]:
    """For each contender the seconds of each round."""
    folder.mkdir()
    puts = {name: make(folder) for name, make in CONTENDERS.items()}
    times: dict[str, list[float]] = {name: [] for name in puts}
    for _ in range(rounds):
        blobs = [os.urandom(size) for _ in range(count)]
        for name, put in puts.items():
            few = blobs[: max(1, count // 5)] if "plain" in name else blobs
            times[name].append(seconds(put, few) * len(blobs) / len(few))
    return times


def main() -> None:
    """Measure, print, and keep the table where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where to write (default: the system's)")
    parser.add_argument("--blobs", type=int, default=5000, help="4 KiB blobs a round")
    parser.add_argument("--write", action="store_true", help=f"keep the table in {RESULT.name}")
    args = parser.parse_args()
    lines = [
        "# Durable puts: our store beside SQLite blobs and plain files",
        "",
        "Command: `python bench/store_put.py --write`. Figures are medians of the rounds, with the",
        "slowest and the fastest; blobs are random, batches hold 1,000. The load is the machine's",
        "one-minute average before and after.",
        "",
        "| contender | 4 KiB blobs a second | 16 MiB blobs, MB/s |",
        "|---|---|---|",
    ]
    before = os.getloadavg()[0]
    folder = Path(tempfile.mkdtemp(dir=args.folder))
    try:
        small = measure(folder / "small", 4096, args.blobs, ROUNDS)
        large = measure(folder / "large", 16 << 20, 5, 3)
    finally:
        shutil.rmtree(folder)
    for name in CONTENDERS:
        rates = [args.blobs / second for second in small[name]]
        speeds = [5 * (16 << 20) / 1e6 / second for second in large[name]]
        lines.append(f"| {name} | {spread(rates)} | {spread(speeds)} |")
    lines += [
        "",
        f"Machine: {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python",
        f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}; load {before:.1f} before,",
        f"{os.getloadavg()[0]:.1f} after.",
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if args.write:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(text, encoding="utf-8")


def spread(values: list[float]) -> str:
    """The median, and how far the rounds lay apart."""
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


if __name__ == "__main__":
    main()
