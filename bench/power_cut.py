"""Acknowledged puts lost in power cuts: the store on a file system whose power is cut.

    sudo python bench/power_cut.py [--cuts N] [--write]

An ext4 file system in a file is mounted; a writer (tests/cid_store/crash_writer.py) puts and says
what is acknowledged; at a random moment the file system is shut down without flushing anything (the
ioctl EXT4_IOC_SHUTDOWN), so only what reached the disk is there after the next mount. After every
second cut the index is deleted too; at every third, two writers are at work. A control follows
whose syncs do nothing: there puts must get lost, or this program measures nothing. Needs root,
for mounting. `--write` keeps the figures in bench/results/power_cut.md.
"""

import argparse
import contextlib
import fcntl
import os
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cid_store.cid import Cid
from cid_store.local import LocalStore

ROOT = Path(__file__).resolve().parent.parent
WRITER = ROOT / "tests" / "cid_store" / "crash_writer.py"
RESULT = Path(__file__).parent / "results" / "power_cut.md"
SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
WITHOUT_LOG_FLUSH = struct.pack("I", 2)
IMAGE_BYTES = 1 << 30
CONTROL_CUTS = range(8)
NO_SYNC = "import os; os.fdatasync = os.fsync = lambda fd: None\n"


@contextlib.contextmanager
def mounted(image: Path, place: Path) -> Iterator[None]:
    """The file system in `image`, mounted for the block."""
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


def cut_power(place: Path) -> None:
    """Stop the file system at once; what was not on the disk is lost."""
    fd = os.open(place, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, SHUTDOWN, WITHOUT_LOG_FLUSH)
    finally:
        os.close(fd)


def start_writer(store: Path, seed: int, *, syncs: bool) -> "subprocess.Popen[bytes]":
    """A process that puts without end."""
    program = ("" if syncs else NO_SYNC) + WRITER.read_text(encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-c", program, str(store), str(seed)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def acknowledged_until_cut(
    place: Path, seeds: list[int], delay_s: float, *, syncs: bool
) -> dict[int, list[str]]:
    """What each writer was promised before the power went."""
    writers = {seed: start_writer(place / "store", seed, syncs=syncs) for seed in seeds}
    time.sleep(delay_s)
    cut_power(place)
    lines: dict[int, list[str]] = {}
    for seed, writer in writers.items():
        writer.kill()
        out, _ = writer.communicate()
        lines[seed] = [
            line.decode() for line in out.splitlines(keepends=True) if line[-1:] == b"\n"
        ]
    return lines


def lost(store: LocalStore, seed: int, lines: list[str]) -> tuple[int, int]:
    """How many puts and roots were acknowledged to this writer, and how many of them are lost."""
    words = [line.split() for line in lines]
    cids = [Cid.parse(word[1]) for word in words if word[0] != "open"]
    missing = sum(not store.has(cid) for cid in cids)
    for cid in cids:
        if store.has(cid):
            store.get(cid)
    rounds = [int(word[2]) for word in words if word[0] == "root"]
    bound = store.root(f"count/{seed}")
    newest = int(store.get(bound)) if bound is not None else -1
    if rounds and newest not in (rounds[-1], rounds[-1] + 1):
        missing += 1
    return len(cids) + len(rounds[-1:]), missing


def run(cuts: range, *, syncs: bool = True) -> tuple[int, int, int]:
    """Cut the power that often: puts acknowledged, puts lost, stores that did not verify."""
    random = np.random.Generator(np.random.PCG64(7))
    folder = Path(tempfile.mkdtemp())
    image, place = folder / "disk.img", folder / "place"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    put, gone, unsound = 0, 0, 0
    try:
        for cut in cuts:
            seeds = [cut * 2, cut * 2 + 1] if cut % 3 == 0 else [cut * 2]
            with mounted(image, place):
                delay_s = 0.3 + float(random.exponential(0.3))
                lines = acknowledged_until_cut(place, seeds, delay_s, syncs=syncs)
            with mounted(image, place):
                if cut % 2 and (place / "store").exists():
                    for index in (place / "store").glob("index*"):
                        index.unlink()
                with LocalStore(place / "store") as store:
                    for seed in seeds:
                        some, missing = lost(store, seed, lines[seed])
                        put, gone = put + some, gone + missing
                    unsound += not store.verify().ok
                    full = store.stat().object_bytes > IMAGE_BYTES // 2
                if full:
                    shutil.rmtree(place / "store")
            print(
                f"cut {cut + 1}: {put:,} acknowledged, {gone} lost, {unsound} unsound", flush=True
            )
    finally:
        shutil.rmtree(folder)
    return put, gone, unsound


def main() -> None:
    """Cut, count, and keep the figures where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--cuts", type=int, default=40, help="how often the power is cut")
    parser.add_argument("--write", action="store_true", help=f"replace {RESULT.name}")
    args = parser.parse_args()
    put, gone, unsound = run(range(args.cuts))
    control = run(CONTROL_CUTS, syncs=False)
    text = (
        "# Power cuts\n\n"
        "Command: `sudo python bench/power_cut.py --write`. An ext4 file system is shut down\n"
        "without a flush while one or two writers put; after every second cut the index is\n"
        "deleted, too. The control is the same with syncs that do nothing.\n\n"
        "| | cuts | puts acknowledged | lost | stores that did not verify |\n"
        "|---|---|---|---|---|\n"
        f"| as it is | {args.cuts} | {put:,} | {gone:,} | {unsound} |\n"
        f"| control | {len(CONTROL_CUTS)} | {control[0]:,} | {control[1]:,} | {control[2]} |\n\n"
        f"Machine: {platform.system()} {platform.release()}, Python {platform.python_version()}.\n"
    )
    print(text)
    if args.write:
        RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
