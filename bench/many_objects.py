"""What a store of many small objects costs to open, to hold, to ask and to look after.

    python bench/many_objects.py [--folder DIR] [--least 5] [--most 7] [--write]

Stores of 10^LEAST to 10^MOST random objects of 100 bytes are filled in forty batches, with nodes
that link to 10,000 objects each, and a root from which all is reached. Then, for each store, a new
process opens it, looks 2,000 of its objects up (`has`), looks for as many that are not there, reads
them (`get`, `get_many`), and says how much memory it took: three times with the files in the
system's memory, three times after the system was asked to drop them. Processes of their own collect
garbage without dropping anything, and verify a sample of a hundredth. Last, more is put, one by one
and in batches. Medians count. Ten million objects (7) take 3 GB. `--write` renews
bench/results/many_objects.md.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from page import load, machine, show

from cid_store.cid import Cid, Codec
from cid_store.encoding import encode
from cid_store.local import LocalStore

RESULT = Path(__file__).parent / "results" / "many_objects.md"
SIZE = 100
BATCHES = 40
LINKS = 10_000
MORE = {1: 200, 1_000: 9, 10_000: 5}  # objects put at once, and how often
ASKED = 2_000
OPENINGS = 3

LOOK = """
import json, os, sys, time
from cid_store.cid import Cid
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
from cid_store.local import LocalStore
before = resident()
clock = getattr(time, sys.argv[2])
start = clock()
store = LocalStore(sys.argv[1])
store.root("none")
opened = clock()
names = [Cid.parse(line) for line in sys.stdin.read().split()]
absent = [Cid.of(b"absent %d" % at) for at in range(len(names))]
def each(ask, cids):
    start = clock()
    for cid in cids:
        ask(cid)
    return (clock() - start) / len(cids) * 1e6
said = {
    "open": (opened - start) * 1e3,
    "has": each(store.has, names),
    "has not": each(store.has, absent),
    "get": each(store.get, names),
}
start = clock()
store.get_many(names)
said["get_many"] = (clock() - start) / len(names) * 1e6
print(json.dumps({**said, "memory": (resident() - before) / 1e6}))
"""

CHORE = """
import json, resource, sys, time
from cid_store.local import LocalStore
with LocalStore(sys.argv[1]) as store:
    start, cpu = time.perf_counter(), time.process_time()
    {call}
    took, busy = time.perf_counter() - start, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps([took, busy, peak / 1e6]))
"""

CHORES = {
    "gc": "store.gc(grace_s=0, dry_run=True)",
    "verify": "store.verify(sample=0.01)",
}

PAGE = """\
# Many small objects

Measured by `python bench/many_objects.py --least {least} --most {most} --write` on {day}: Python
{python}, {system}, {machine}, {cores} cores; load {before:.1f} before, {after:.1f} after.

Objects of 100 bytes, put in forty batches, with nodes that link to 10,000 each. Medians. The last
row of a table is the growth from the last store but one, a tenth as large, to the last.

## Putting

Objects put in a second while the store was filled, and what it takes on the disk. Then how long one
more put takes, of one object and in batches of 1,000 and 10,000, by the clock and in CPU time.

{putting}

## Asking

Opening in milliseconds, one question in microseconds, and the megabytes the process had more at its
end than before it opened the store. First the CPU time with the files in the system's memory, then
the time by the clock after the system was asked to drop them (*cold*): a question waits for the
disk then, unless one before it has brought the page.

{warm}

{cold}

## Looking after

Seconds by the clock and of CPU time, and the megabytes a process of its own had at its peak: a
collection that marks everything and drops nothing, and an examination that reads a hundredth of the
objects and every header.

{chores}
"""


class Filled(NamedTuple):
    """A store, and what became known while it was filled."""

    path: Path
    names: list[str]  # of some objects
    rate: float  # objects put in a second


def blobs(count: int, random: np.random.Generator) -> list[bytes]:
    """That many objects."""
    data = random.bytes(SIZE * count)
    return [data[at : at + SIZE] for at in range(0, len(data), SIZE)]


def fill(path: Path, count: int, random: np.random.Generator) -> Filled:
    """Put that many objects, and nodes that lead to them from one root."""
    names: list[str] = []
    nodes: list[Cid] = []
    seconds = 0.0
    with LocalStore(path) as store:
        for _ in range(BATCHES):
            some = blobs(count // BATCHES, random)
            begun = time.perf_counter()
            cids = store.put_many(some)
            seconds += time.perf_counter() - begun
            parts = (cids[at : at + LINKS] for at in range(0, len(cids), LINKS))
            nodes += store.put_many([encode(part) for part in parts], Codec.NODE)
            names += map(str, cids[:: len(cids) * BATCHES // ASKED])
        store.set_root("all", store.put(encode(nodes), Codec.NODE))
    order = random.permutation(len(names))
    return Filled(path, [names[at] for at in order], count / seconds)


def more(path: Path, random: np.random.Generator) -> dict[str, float]:
    """What putting more costs now: milliseconds, and those of CPU time."""
    said: dict[str, float] = {}
    with LocalStore(path) as store:
        for count, times in MORE.items():
            taken: list[tuple[float, float]] = []
            for _ in range(times):
                some = blobs(count, random)
                begun, cpu = time.perf_counter(), time.process_time()
                store.put_many(some)
                taken.append((time.perf_counter() - begun, time.process_time() - cpu))
            by_clock, busy = (
                1e3 * statistics.median(column) for column in zip(*taken, strict=True)
            )
            said |= {f"{count:,}, ms": by_clock, f"{count:,}, CPU ms": busy}
    return said


def run(program: str, path: Path, *words: str, text: str = "") -> str:
    """What a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), *words],
        input=text,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return done.stdout


def files(path: Path) -> list[Path]:
    """Every file of a store."""
    return [file for file in path.rglob("*") if file.is_file()]


def drop(path: Path) -> None:
    """Ask the system to forget the store's files, which are read from the disk again then."""
    os.sync()
    for file in files(path):
        with file.open("rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def look(filled: Filled, *, cold: bool) -> dict[str, float]:
    """What processes of their own say of the store, one after another: the medians."""
    # A busy machine stretches CPU time least, but waiting for the disk is none.
    clock = "perf_counter" if cold else "process_time"
    looks: list[dict[str, float]] = []
    for _ in range(OPENINGS):
        if cold:
            drop(filled.path)
        looks.append(json.loads(run(LOOK, filled.path, clock, text="\n".join(filled.names))))
    return {key: statistics.median(one[key] for one in looks) for key in looks[0]}


def measure(folder: Path, power: int) -> dict[str, dict[str, float]]:
    """A row of each table."""
    path = folder / f"{power}"
    random = np.random.Generator(np.random.PCG64(power))
    filled = fill(path, 10**power, random)
    sizes = {
        f"{name}, MB": sum(file.stat().st_blocks * 512 for file in path.glob(pattern)) / 1e6
        for name, pattern in (("packs", "packs/*"), ("index", "index*"))
    }
    said: dict[str, dict[str, float]] = {
        "putting": {"a second": filled.rate, **sizes},
        "warm": look(filled, cold=False),
        "cold": look(filled, cold=True),
    }
    print(power, said, flush=True)
    said["chores"] = {}
    for name, call in CHORES.items():
        took, busy, peak = json.loads(run(CHORE.format(call=call), path))
        said["chores"] |= {f"{name}, s": took, f"{name}, CPU s": busy, f"{name}, MB": peak}
    print(power, said["chores"], flush=True)
    said["putting"] |= more(path, random)
    print(power, said["putting"], flush=True)
    shutil.rmtree(path)
    return said


def table(rows: Mapping[int, Mapping[str, float]], *, title: str = "objects") -> str:
    """The figures, and how much the last are above those before them."""
    columns = list(next(iter(rows.values())))
    lines = [f"| {title} | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    lines += [
        f"| {10**power:,} | {' | '.join(cells(row.values()))} |" for power, row in rows.items()
    ]
    if len(rows) > 1:
        before, last = list(rows.values())[-2:]
        growth = [f"x {last[column] / before[column]:.2f}" for column in columns]
        lines.append(f"| growth | {' | '.join(growth)} |")
    return "\n".join(lines)


def cells(values: Iterable[float]) -> list[str]:
    """Numbers as people read them."""
    return [f"{value:,.0f}" if value >= 20 else f"{value:.1f}" for value in values]


def main() -> None:
    """Measure, print, and keep the page where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, help="where to write (default: the system's)")
    powers = range(5, 9)
    parser.add_argument("--least", type=int, default=5, choices=powers, help="as a power of ten")
    parser.add_argument("--most", type=int, default=7, choices=powers, help="as a power of ten")
    parser.add_argument("--write", action="store_true", help=f"keep the page in {RESULT.name}")
    args = parser.parse_args()
    before = load()
    under: Path | None = args.folder
    folder = Path(tempfile.mkdtemp(dir=under))
    said: dict[int, dict[str, dict[str, float]]] = {}
    try:
        for power in range(args.least, args.most + 1):
            said[power] = measure(folder, power)
    finally:
        shutil.rmtree(folder)
    text = PAGE.format(
        least=args.least,
        most=args.most,
        **machine(before),
        putting=table({power: row["putting"] for power, row in said.items()}),
        warm=table({power: row["warm"] for power, row in said.items()}),
        cold=table({power: row["cold"] for power, row in said.items()}, title="objects, cold"),
        chores=table({power: row["chores"] for power, row in said.items()}),
    )
    show(text, RESULT, write=args.write)


if __name__ == "__main__":
    main()
