"""What a store of many small objects costs to open, to hold, to ask and to look after.

    python bench/many_objects.py [--folder DIR] [--least 5] [--most 7] [--write]

Stores of 10^LEAST to 10^MOST random objects of 100 bytes are filled in batches of 10,000, each with
a node that links to the batch, and a root from which all is reached. Then, for each store, a fresh
process opens it, looks 2,000 of its objects up (`has`), looks for as many that are not there, reads
them (`get`, `get_many`), and says how much memory it took: three times with the files in the
system's memory, three times after the system was asked to drop them. Last, processes of their own
collect garbage without dropping anything, and verify a sample of a hundredth.
Medians count. Ten million objects (7) take 3 GB. `--write` renews bench/results/many_objects.md.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cid_store.cid import Codec
from cid_store.encoding import encode
from cid_store.local import LocalStore

RESULT = Path(__file__).parent / "results" / "many_objects.md"
SIZE = 100
BATCH = 10_000
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
start = time.perf_counter()
store = LocalStore(sys.argv[1])
store.root("none")
opened = time.perf_counter()
names = [Cid.parse(line) for line in sys.stdin.read().split()]
absent = [Cid.of(b"absent %d" % at) for at in range(len(names))]
def each(ask, cids):
    start = time.perf_counter()
    for cid in cids:
        ask(cid)
    return (time.perf_counter() - start) / len(cids) * 1e6
said = {
    "open": (opened - start) * 1e3,
    "has": each(store.has, names),
    "has not": each(store.has, absent),
    "get": each(store.get, names),
}
start = time.perf_counter()
store.get_many(names)
said["get_many"] = (time.perf_counter() - start) / len(names) * 1e6
print(json.dumps({**said, "memory": (resident() - before) / 1e6}))
"""

CHORE = """
import json, resource, sys, time
from cid_store.local import LocalStore
with LocalStore(sys.argv[1]) as store:
    start = time.perf_counter()
    {call}
    took = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps([took, peak / 1e6]))
"""

CHORES = {
    "gc": "store.gc(grace_s=0, dry_run=True)",
    "verify": "store.verify(sample=0.01)",
}

PAGE = """\
# Many small objects

Measured by `python bench/many_objects.py --least {least} --most {most} --write` on {day}: Python
{python}, {system}, {machine}, {cores} cores; load {before:.1f} before, {after:.1f} after.

Objects of 100 bytes, put in batches of 10,000, each batch with a node that links to it. Medians of
three processes. The last row of a table is the growth from the last store but one, a tenth as
large, to the last.

## Putting

Objects a second in the first, the middle and the last tenth of each store; megabytes on the disk.

{putting}

## Asking

Opening in milliseconds, one question in microseconds, and the megabytes the process had more at its
end than before it opened the store. *Cold* is after the system was asked to drop the store's files
from its memory.

{warm}

{cold}

## Looking after

Seconds, and the megabytes a process of its own had at its peak: a collection that marks everything
and drops nothing, and an examination that reads a hundredth of the objects and every header.

{chores}
"""


class Filled(NamedTuple):
    """A store, and what became known while it was filled."""

    path: Path
    names: list[str]  # of some objects
    rates: list[float]  # objects put in a second, a tenth of the store each


def fill(path: Path, count: int, random: np.random.Generator) -> Filled:
    """Put that many objects, and nodes that lead to them from one root."""
    names: list[str] = []
    nodes = []
    seconds = np.zeros(10)
    with LocalStore(path) as store:
        for start in range(0, count, BATCH):
            data = random.bytes(SIZE * BATCH)
            blobs = [data[at : at + SIZE] for at in range(0, len(data), SIZE)]
            begun = time.perf_counter()
            cids = store.put_many(blobs)
            seconds[start * 10 // count] += time.perf_counter() - begun
            nodes.append(store.put(encode(cids), Codec.NODE))
            names += [str(cids[at]) for at in random.choice(BATCH, 20, replace=False)]
        store.set_root("all", store.put(encode(nodes), Codec.NODE))
    order = random.permutation(len(names))[:ASKED]
    return Filled(path, [names[at] for at in order], [count / 10 / tenth for tenth in seconds])


def run(program: str, path: Path, text: str = "") -> str:
    """What a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
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
    looks: list[dict[str, float]] = []
    for _ in range(OPENINGS):
        if cold:
            drop(filled.path)
        looks.append(json.loads(run(LOOK, filled.path, "\n".join(filled.names))))
    return {key: statistics.median(one[key] for one in looks) for key in looks[0]}


def measure(folder: Path, power: int) -> dict[str, dict[str, float]]:
    """A row of each table."""
    path = folder / f"{power}"
    filled = fill(path, 10**power, np.random.Generator(np.random.PCG64(power)))
    rates = filled.rates
    said = {
        "putting": {"first": rates[0], "middle": rates[5], "last": rates[9]},
        "warm": look(filled, cold=False),
        "cold": look(filled, cold=True),
        "chores": {},
    }
    for name, call in CHORES.items():
        took, peak = json.loads(run(CHORE.format(call=call), path))
        said["chores"] |= {f"{name}, s": took, f"{name}, MB": peak}
    for name, pattern in (("packs, MB", "packs/*"), ("index, MB", "index*")):
        taken = sum(file.stat().st_blocks * 512 for file in path.glob(pattern))
        said["putting"][name] = taken / 1e6
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
    before = os.getloadavg()[0]
    folder = Path(tempfile.mkdtemp(dir=args.folder))
    said: dict[int, dict[str, dict[str, float]]] = {}
    try:
        for power in range(args.least, args.most + 1):
            said[power] = measure(folder, power)
            print(power, said[power], flush=True)
    finally:
        shutil.rmtree(folder)
    text = PAGE.format(
        least=args.least,
        most=args.most,
        day=datetime.now(UTC).date(),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        cores=os.cpu_count(),
        before=before,
        after=os.getloadavg()[0],
        putting=table({power: row["putting"] for power, row in said.items()}),
        warm=table({power: row["warm"] for power, row in said.items()}),
        cold=table({power: row["cold"] for power, row in said.items()}, title="objects, cold"),
        chores=table({power: row["chores"] for power, row in said.items()}),
    )
    print(text)
    if args.write:
        RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
