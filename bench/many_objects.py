"""What a store of many small objects costs to open, to hold and to ask.

    python bench/many_objects.py [--folder DIR] [--most 7] [--write]

Stores of 10^4 to 10^MOST random objects of 100 bytes are filled in batches of 10,000. Then, for
each, a fresh process opens the store, looks 2,000 of its objects up (`has`), reads them (`get`),
looks for as many that are not there, and says how much memory it took. That is done three times,
each in a process of its own; the medians count. Whether the files are in the system's memory is
not controlled: a store that was just written mostly is. Ten million objects (7) take 2 GB of packs.
`--write` keeps the table in bench/results/many_objects.md.
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
from pathlib import Path

import numpy as np

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
before = resident()
start = time.perf_counter()
from cid_store.local import LocalStore
imported = time.perf_counter()
store = LocalStore(sys.argv[1])
store.root("none")
opened = time.perf_counter()
names = [Cid.parse(line) for line in sys.stdin.read().split()]
absent = [Cid.of(b"absent %d" % at) for at in range(len(names))]
def each(ask, cids):
    start = time.perf_counter()
    for cid in cids:
        ask(cid)
    return (time.perf_counter() - start) / len(cids)
seconds = {
    "open": opened - imported,
    "has": each(store.has, names),
    "absent": each(store.has, absent),
    "get": each(store.get, names),
}
start = time.perf_counter()
store.get_many(names)
seconds["get_many"] = (time.perf_counter() - start) / len(names)
print(json.dumps({**seconds, "memory": resident() - before}))
"""


def fill(path: Path, count: int, random: np.random.Generator) -> tuple[float, list[str]]:
    """Put that many objects; the seconds it took, and the names of some of them."""
    names: list[str] = []
    every = max(1, count // ASKED)
    took = 0.0
    with LocalStore(path) as store:
        for start in range(0, count, BATCH):
            data = random.bytes(SIZE * BATCH)
            blobs = [data[at : at + SIZE] for at in range(0, len(data), SIZE)]
            begun = time.perf_counter()
            cids = store.put_many(blobs)
            took += time.perf_counter() - begun
            names += [str(cid) for at, cid in enumerate(cids, start) if at % every == 0]
    order = random.permutation(len(names))[:ASKED]
    return took, [names[at] for at in order]


def look(path: Path, names: list[str]) -> dict[str, float]:
    """What a process of its own says of the store."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(path)],
        input="\n".join(names),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
        capture_output=True,
        check=True,
        text=True,
    )
    return json.loads(done.stdout)


def measure(folder: Path, power: int) -> str:
    """One row of the table."""
    count = 10**power
    path = folder / f"{power}"
    took, names = fill(path, count, np.random.Generator(np.random.PCG64(power)))
    looks = [look(path, names) for _ in range(OPENINGS)]
    middle = {key: statistics.median(one[key] for one in looks) for key in looks[0]}
    index = sum(file.stat().st_size for file in path.glob("index*"))
    shutil.rmtree(path)
    micro = " | ".join(f"{middle[key] * 1e6:.0f}" for key in ("has", "absent", "get", "get_many"))
    return (
        f"| {count:,} | {count / took:,.0f} | {middle['open'] * 1e3:.1f} | {micro} | "
        f"{middle['memory'] / 1e6:.0f} | {index / 1e6:,.0f} |"
    )


def main() -> None:
    """Measure, print, and keep the table where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, help="where to write (default: the system's)")
    parser.add_argument("--most", type=int, default=7, help="the largest power of ten")
    parser.add_argument("--write", action="store_true", help=f"keep the table in {RESULT.name}")
    args = parser.parse_args()
    before = os.getloadavg()[0]
    folder = Path(tempfile.mkdtemp(dir=args.folder))
    rows: list[str] = []
    try:
        for power in range(4, args.most + 1):
            rows.append(measure(folder, power))
            print(rows[-1], flush=True)
    finally:
        shutil.rmtree(folder)
    text = f"""# Many small objects

Command: `python bench/many_objects.py --most {args.most} --write`. Objects of 100 bytes, put in
batches of 10,000; medians of three processes. Times of one question are in microseconds; memory is
what the process had more at its end than before it imported the store, mapped files included.

| objects | puts a second | open, ms | has | has not | get | get_many | memory, MB | index, MB |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}

Machine: {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python
{platform.python_version()}; load {before:.1f} before, {os.getloadavg()[0]:.1f} after.
"""
    print(text)
    if args.write:
        RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
