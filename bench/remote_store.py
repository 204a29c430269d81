r"""Push to and pull from a store elsewhere: small objects, one large one, and a kill in the middle.

    python bench/remote_store.py file:///tmp/there
    AWS_ENDPOINT_URL=http://127.0.0.1:PORT AWS_ALLOW_HTTP=true AWS_REGION=us-east-1 \\
    AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... python bench/remote_store.py s3://bucket/there

Every line is one process of `redoxa store`, its wall time and its largest resident size, in MiB the
traffic of the loopback interface meanwhile (both ways are one), and what it said. The places below
the address must be new.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cid_store.local import LocalStore
from cid_store.nodes import put_node

MIB = 1 << 20
FANOUT = 100


def main() -> int:
    """Measure; ends at the first command that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="where to push to")
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--mib", type=int, default=1024, help="size of the large object")
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.fill is not None:
        _fill(args.fill, args.objects, args.mib)
        return 0
    print(f"load {os.getloadavg()[0]:.2f}")
    print(f"{args.objects:,} objects of 1 to 4,096 bytes; one of {args.mib:,} MiB")
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder, "here")
        # In a process of its own: a child's largest size counts from what its parent had.
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--fill", here], check=True)
        for name in ("small", "large"):
            place = f"{args.url}/{name}"
            whole_s = _redoxa(f"push {name}", here, "push", place, name)
            _redoxa(f"push {name} again", here, "push", place, name)
            there = Path(folder, f"{name}-there")
            pull_s = _redoxa(f"pull {name}", there, "pull", place, name)
            place = f"{args.url}/{name}-killed"
            _redoxa(f"push {name}, killed", here, "push", place, name, kill_s=whole_s / 2)
            _redoxa(f"push {name}, resumed", here, "push", place, name)
            there = Path(folder, f"{name}-killed")
            _redoxa(f"pull {name}, killed", there, "pull", place, name, kill_s=pull_s / 2)
            _redoxa(f"pull {name}, resumed", there, "pull", place, name)
            _redoxa(f"verify {name}", there, "verify")
    return 0


def _fill(home: Path, objects: int, mib: int) -> None:
    random = np.random.default_rng(1)
    with LocalStore(home / "store") as store:
        blobs = [random.bytes(size) for size in random.integers(1, 4097, objects)]
        with store.batch():
            names = store.put_many(blobs)
            parts = [put_node(store, names[at : at + FANOUT]) for at in range(0, objects, FANOUT)]
            store.set_root("small", put_node(store, parts))
        store.set_root("large", store.put_stream(_Noise(mib)))


class _Noise:
    """So many MiB that nothing compresses, and that are made as they are read."""

    def __init__(self, mib: int) -> None:
        self._parts: Iterator[bytes] = (os.urandom(MIB) for _ in range(mib))
        self._left = b""

    def read(self, size: int = MIB, /) -> bytes:
        self._left = self._left or next(self._parts, b"")
        part, self._left = self._left[:size], self._left[size:]
        return part


def _redoxa(what: str, home: Path, *words: str, kill_s: float | None = None) -> float:
    """Run one command, and print its figures; how long it took."""
    traffic, begun = _loopback_bytes(), time.perf_counter()
    command = [sys.executable, "-m", "redoxa", "store", *words, "--home", str(home)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if kill_s is not None:
            time.sleep(kill_s)
            process.send_signal(signal.SIGKILL)
        assert process.stderr is not None
        said = process.stderr.read().decode().strip().rpartition(": ")[2]
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took_s = time.perf_counter() - begun
    if kill_s is None and process.returncode:
        raise SystemExit(f"{what} ended with {process.returncode}: {said}")
    moved = (_loopback_bytes() - traffic) / MIB
    size = usage.ru_maxrss / 1024
    print(f"| {what} | {took_s:.2f} | {size:.0f} | {moved:,.0f} | {said} |", flush=True)
    return took_s


def _loopback_bytes() -> int:
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == "lo":
            return int(counts.split()[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
