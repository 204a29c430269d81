"""Throughput of stores against the size of their objects: durable puts and verified gets.

    python bench/store_sizes.py [--folder DIR] [--rounds N] [--only NAME]... [--write]

Objects are random, of 64 bytes to 256 MiB; a batch holds 1,000 of them, or as many as make 32 MiB.
In every round each contender keeps the same batch, durably, and gives it back in another order; the
order of the contenders turns from round to round, and what others left to be written is waited for
before each puts. LMDB and matplotlib come with the extras `bench` and `plot`; git and restic
(Debian: `apt install restic`) are timed where they are installed. `--write` renews
bench/results/store_sizes.md and the curves beside it.
"""

import argparse
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import lmdb
import numpy as np
from curves import Curve, draw
from store_peers import FLOORS, NEEDS, PEERS, Batch, Peer

from cid_store.cid import digest_of

RESULTS = Path(__file__).parent / "results"
MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory
SIZES = [4**power for power in range(3, 15)]
BATCH, BATCH_BYTES = 1000, 32 << 20
SINGLES = 100
SMALL = 4096
SINGLE_PEERS = ("Redoxa", "SQLite", "LMDB", "plain files", "bare append")

Values = tuple[float, float, float]


class Times(NamedTuple):
    """Seconds of one contender in each round."""

    put: list[float]
    get: list[float]  # the bytes returned, checked only by those who do so anyway
    checked: list[float]  # the bytes returned and compared with their BLAKE3


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """How long it took, and what came of it."""
    start = time.perf_counter()
    done = work()
    return time.perf_counter() - start, done


def passed_over(blobs: Iterable[bytes]) -> int:
    """Take the bytes and look at their number only."""
    return sum(map(len, blobs))


def compared(name: str, blobs: Iterable[bytes], digests: Sequence[bytes]) -> int:
    """Take the bytes and hash them. Stops the bench where they are not those that were put."""
    size = 0
    for blob, digest in zip(blobs, digests, strict=True):
        size += len(blob)
        if digest_of(blob) != digest:
            sys.exit(f"{name} gave other bytes than it was given")
    return size


def turned(names: Iterable[str], by: int) -> list[str]:
    """The same names, beginning with another one."""
    listed = list(names)
    by %= len(listed)
    return listed[by:] + listed[:by]


def one_round(
    peers: Mapping[str, Peer], batch: Batch, number: int, random: np.random.Generator
) -> Iterator[tuple[str, float, float, float]]:
    """Every contender puts the batch, then every contender gives it back."""
    order = random.permutation(len(batch.blobs))
    digests = [digest_of(batch.blobs[at]) for at in order]
    size = sum(map(len, batch.blobs))
    puts: dict[str, tuple[float, list[Any]]] = {}
    for name in turned(peers, number):
        os.sync()
        took, names = seconds(lambda name=name: peers[name].put(batch))
        puts[name] = took, [names[at] for at in order]
    for name in turned(peers, number):
        put, names = puts[name]
        plain, got = seconds(lambda name=name, names=names: passed_over(peers[name].get(names)))
        assert got == size, "every contender gives back as many bytes as it was given"
        checked = plain
        if not peers[name].checks:
            checked, _ = seconds(
                lambda name=name, names=names: compared(name, peers[name].get(names), digests)
            )
        yield name, put, plain, checked


def measure(
    size: int, folder: Path, scratch: Path, chosen: Sequence[str], rounds: int
) -> dict[str, Times]:
    """The times of all contenders with objects of one size."""
    random = np.random.Generator(np.random.PCG64(size))
    folder.mkdir()
    peers = {name: (PEERS | FLOORS)[name](folder, scratch) for name in chosen}
    times = {name: Times([], [], []) for name in peers}
    for number in range(-1, rounds):  # the first one makes files and starts threads: not counted
        batch = batch_of(size, scratch, random)
        for name, *taken in one_round(peers, batch, number, random):
            if number >= 0:
                for values, value in zip(times[name], taken, strict=True):
                    values.append(value)
        shutil.rmtree(batch.folder)
    shutil.rmtree(folder)
    return times


def batch_of(size: int, scratch: Path, random: np.random.Generator) -> Batch:
    """Fresh blobs of that size, and the same as files in memory."""
    blobs = [random.bytes(size) for _ in range(objects(size))]
    folder = scratch / "batch"
    folder.mkdir()
    for number, blob in enumerate(blobs):
        (folder / f"{number:04}").write_bytes(blob)
    return Batch(blobs, folder)


def objects(size: int) -> int:
    """How many objects of that size are a batch."""
    return max(1, min(BATCH, BATCH_BYTES // size))


def singles(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of one durable put of 4 KiB, by contender: the mean of each round."""
    folder.mkdir()
    random = np.random.Generator(np.random.PCG64(1))
    peers = {name: (PEERS | FLOORS)[name](folder, folder) for name in SINGLE_PEERS}
    times: dict[str, list[float]] = {name: [] for name in peers}
    for number in range(-1, rounds):
        batches = [Batch([random.bytes(SMALL)], folder) for _ in range(SINGLES)]
        for name in turned(peers, number):
            os.sync()
            took, _ = seconds(
                lambda name=name, some=batches: [peers[name].put(one) for one in some]
            )
            if number >= 0:
                times[name].append(took / SINGLES)
    shutil.rmtree(folder)
    return times


# The page


def middle(values: Sequence[float]) -> Values:
    """The median, the lowest and the highest."""
    return statistics.median(values), min(values), max(values)


def speeds(size: int, taken: Sequence[float]) -> Values:
    """Megabytes a second of a batch."""
    return middle([size * objects(size) / 1e6 / second for second in taken])


def cell(values: Values) -> str:
    """Three digits of each."""
    best, low, high = (f"{v:,.0f}" if v >= 100 else f"{v:.3g}" for v in values)
    return f"{best} ({low} to {high})"


def label(size: int) -> str:
    """A size for people."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size // unit} {name}"
    return f"{size} B"


def table(
    times: Mapping[int, Mapping[str, Times]],
    names: Sequence[str],
    part: Callable[[Times], list[float]],
) -> str:
    """Megabytes a second: a row for each size, a column for each name."""
    lines = [
        f"| size | {' | '.join(names)} |",
        "|---|" + "---:|" * len(names),
    ]
    for size, row in times.items():
        cells = [cell(speeds(size, part(row[name]))) for name in names]
        lines.append(f"| {label(size)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def alone_table(alone: Mapping[str, list[float]]) -> str:
    """Single puts, in milliseconds."""
    lines = ["| contender | ms a put |", "|---|---:|"]
    for name, taken in alone.items():
        lines.append(f"| {name} | {cell(middle([1000 * second for second in taken]))} |")
    return "\n".join(lines)


def drawn(
    name: str,
    title: str,
    times: Mapping[int, Mapping[str, Times]],
    chosen: Sequence[str],
    part: Callable[[Times], list[float]],
) -> None:
    """One of the page's pictures."""
    curves = {
        contender: Curve(
            [speeds(size, part(row[contender])) for size, row in times.items()],
            is_floor=contender in FLOORS,
        )
        for contender in chosen
    }
    sizes = {size: label(size) for size in times}
    draw(RESULTS / name, title, "MB/s", sizes, curves)


def versions() -> str:
    """What was compared."""
    said = [f"Python {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}"]
    said.append(f"LMDB {'.'.join(map(str, lmdb.version()))}")
    for words in (("git", "--version"), ("restic", "version")):
        if shutil.which(words[0]):
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            number = next(word for word in done.stdout.split() if word[0].isdigit())
            said.append(f"{words[0]} {number}")
    return ", ".join(said)


PAGE = """\
# Stores against the size of their objects

Measured by `python bench/store_sizes.py --rounds {rounds} --write` on {day}: {versions};
{system}, {machine}, {cores} cores; load {before:.1f} before, {after:.1f} after.

Megabytes (10^6 bytes) a second: the median of the {rounds} rounds (a third of them beyond 1 MiB),
with the slowest and the fastest. Objects are random bytes, so nobody can compress them or find them
twice; a batch holds 1,000, or as many as make 32 MiB. Every contender gets the same batch in each
round, and what is read back is in the system's memory. {missing}

![Durable puts](store_sizes_put.svg)

![Verified gets](store_sizes_get.svg)

## Durable puts

Naming is counted in.

| contender | how a batch is kept |
|---|---|
| Redoxa | `put_many`: one append, one wait for the disk |
| SQLite | one transaction; WAL, synchronous=FULL, one table without rowids |
| LMDB | one transaction, synced as it comes |
| plain files | each file synced and renamed, then each folder synced |
| git, loose | one process, `hash-object -w --stdin-paths`; each file synced, no folder |
| git, packs | one process, `fast-import`: one pack, synced at its end |
| restic | one process, `backup` of a folder: packs of its own choice, synced; encrypted |
| bare append | a floor: the bytes into a preallocated file, one wait; nothing is named |
| bare pack | a floor: the same with each blob named by BLAKE3 behind a header of 64 bytes |
| BLAKE3 | a floor: hashing in memory on one core, nothing is kept |

Git (core.fsync=all) and restic compress as they come; each process of restic derives its key anew.

{puts}

### Single puts of 4 KiB

Each durable before the next; {singles} in a round. The bare append writes into preallocated room,
which is faster than a file that grows.

{alone}

## Verified gets

The bytes returned, hashed and compared with their name, one by one in random order: Redoxa and
restic (`restore` of the whole folder, read back; its files are not synced) do that themselves, and
what the others return is hashed with BLAKE3 here. SQLite answers a SELECT for each object, LMDB
looks all up in one transaction, git is one `cat-file --batch`.

{checked}

## The same, unchecked

What those that do not verify return without the hashing: git looks at zlib's checksum of 32 bits,
the others at nothing.

{plain}
"""


def page(
    times: Mapping[int, Mapping[str, Times]],
    alone: Mapping[str, list[float]],
    rounds: int,
    before: float,
) -> str:
    """The published text."""
    names = list(next(iter(times.values())))
    missing = [name for name in PEERS if name not in names]
    return PAGE.format(
        day=datetime.now(UTC).date(),
        versions=versions(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        cores=os.cpu_count(),
        before=before,
        after=os.getloadavg()[0],
        missing=f"Left out here: {', '.join(missing)}." if missing else "",
        rounds=rounds,
        singles=SINGLES,
        puts=table(times, names, lambda one: one.put),
        alone=alone_table(alone),
        checked=table(times, names, lambda one: one.checked),
        plain=table(
            times,
            [name for name in names if not (PEERS | FLOORS)[name].checks],
            lambda one: one.get,
        ),
    )


def main() -> None:
    """Measure, print, and keep the page where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, help="where to write (default: the system's)")
    parser.add_argument("--rounds", type=int, default=7, help="a third of it beyond 1 MiB")
    parser.add_argument("--only", action="append", default=[], help="leave the other peers out")
    parser.add_argument("--write", action="store_true", help=f"keep page and curves in {RESULTS}")
    args = parser.parse_args()
    wanted = args.only or list(PEERS)
    chosen = [name for name in PEERS if name in wanted and shutil.which(NEEDS.get(name, "sh"))]
    chosen += FLOORS
    before = os.getloadavg()[0]
    folder = Path(tempfile.mkdtemp(dir=args.folder))
    scratch = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else args.folder))
    times: dict[int, dict[str, Times]] = {}
    try:
        alone = singles(folder / "singles", args.rounds)
        for size in SIZES:
            rounds = args.rounds if size <= 1 << 20 else -(-args.rounds // 3)
            times[size] = measure(size, folder / "sized", scratch, chosen, rounds)
            said = {
                name: f"{speeds(size, one.put)[0]:.3g}/{speeds(size, one.checked)[0]:.3g}"
                for name, one in times[size].items()
            }
            print(label(size), said, flush=True)
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(scratch)
    text = page(times, alone, args.rounds, before)
    print(text)
    if args.write:
        RESULTS.joinpath("store_sizes.md").write_text(text, encoding="utf-8")
        drawn("store_sizes_put.svg", "Durable puts", times, chosen, lambda one: one.put)
        shown = [name for name in chosen if name != "bare append"]
        drawn("store_sizes_get.svg", "Verified gets", times, shown, lambda one: one.checked)


if __name__ == "__main__":
    main()
