"""What `redoxa pack --learned` saves: CPU seconds and sizes of first and second searches.

    REDOXA_SHARED=/path/to/shared python bench/second_search.py [--files NAME...]
        [--profile balanced] [--write]

Of every file the first half is packed with an empty memory of winners, then the second half:
without it, and with what the first half left. Then the whole file is packed twice, with an empty
memory and with what that left, so the second time these very bytes are known. Everything that is
packed is decoded and compared as part of it. Each file has a process of its own; times are CPU
seconds of all of packing in it, start-up apart. `--write` renews bench/results/second_search.md.
"""

import argparse
import io
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ring2_orchestrator.container import BytesSource
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.packing import pack
from ring2_orchestrator.planner import PROFILES, Profile, find_profile, library
from ring2_orchestrator.planner.sample import ALIGNMENT
from ring2_orchestrator.toolbox import Toolbox, open_toolbox
from ring2_orchestrator.winners import Winners

REPORT = Path(__file__).resolve().parent / "results" / "second_search.md"
SKIPPED = {".tsv", ".md"}
TIMEOUT_S = 3600


class Once(NamedTuple):
    """One packing: CPU seconds, the container's bytes, and whether it was searched for."""

    cpu_s: float
    size: int
    searched: bool


class Row(NamedTuple):
    """What came of one file."""

    name: str
    first_half: Once
    second_half: Once
    second_learned: Once
    whole: Once
    again: Once


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--files", nargs="*", default=[""], help="names or their beginnings")
    parser.add_argument("--profile", choices=PROFILES, default="balanced")
    parser.add_argument("--write", action="store_true", help="renew the report")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measured(Path(args.one), find_profile(args.profile))))
        return 0
    if "REDOXA_SHARED" not in os.environ:
        print("set REDOXA_SHARED to the folder that holds data/")
        return 2
    data = Path(os.environ["REDOXA_SHARED"]) / "data"
    loads = [os.getloadavg()[0]]
    rows: list[Row] = []
    for path in sorted(each for each in data.iterdir() if each.suffix not in SKIPPED):
        if any(path.name.startswith(name) for name in args.files):
            rows.append(_apart(path, args.profile))
            loads.append(os.getloadavg()[0])
            print(rows[-1], flush=True)
    lines = report(rows, args.profile, loads)
    print("\n".join(lines))
    if args.write:
        REPORT.write_text("\n".join(lines) + "\n")
    return 0


def _apart(path: Path, profile: str) -> Row:
    command = [sys.executable, __file__, "--one", str(path), "--profile", profile]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=TIMEOUT_S)
    name, *packings = json.loads(done.stdout)
    return Row(name, *(Once(*each) for each in packings))


def measured(path: Path, profile: Profile) -> Row:
    """The five packings of one file."""
    data = path.read_bytes()
    middle = len(data) // 2 // ALIGNMENT * ALIGNMENT
    with open_toolbox() as tools:
        genes = library(tools.palette)
        # Kernels are compiled, or their code is loaded, before anything is timed.
        _once(data[: 4 * ALIGNMENT], genes, tools, profile)
        memory = Winners(tools, genes, profile, in_parts=True)
        halves = (
            _once(data[:middle], genes, tools, profile, memory),
            _once(data[middle:], genes, tools, profile),
            _once(data[middle:], genes, tools, profile, memory),
        )
        memory = Winners(tools, genes, profile, in_parts=True)
        whole = (
            _once(data, genes, tools, profile, memory),
            _once(data, genes, tools, profile, memory),
        )
    return Row(path.name, *halves, *whole)


def _once(
    data: bytes, genes: list[Gene], tools: Toolbox, profile: Profile, memory: Winners | None = None
) -> Once:
    before = 0 if memory is None else memory.searched
    begin = time.process_time()
    packed = pack(BytesSource(data), io.BytesIO(), genes, tools, profile=profile, winners=memory)
    spent = time.process_time() - begin
    return Once(spent, packed.container_bytes, memory is None or memory.searched > before)


def report(rows: list[Row], profile: str, loads: list[float]) -> list[str]:
    """The tables, as Markdown."""
    made = f"`REDOXA_SHARED=... python bench/second_search.py --profile {profile} --write`"
    machine = f"Python {platform.python_version()}, {platform.machine()}"
    load = f"loads of {min(loads):.1f} to {max(loads):.1f}"
    columns = "| file | first half, bytes | s | second half, bytes | s | with winners, bytes | s |"
    lines = [
        "# A second search, with what won before",
        "",
        f"Made by {made}",
        f"on {datetime.now(UTC).date()}, {machine}, at {load}.",
        "Sizes are exact; times are CPU seconds of all of `pack`, decoding to verify included,",
        "measured once, on a shared machine: +-40 %.",
        "",
        "## The second half of a file, after the first",
        "",
        "`searched` says that what won on the first half did not do as well, so that a search",
        "was made all the same.",
        "",
        f"{columns} times as quick | larger | |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        first, plain, learned = row.first_half, row.second_half, row.second_learned
        lines.append(
            f"| {row.name} | {first.size:,} | {first.cpu_s:.2f} | {plain.size:,} "
            f"| {plain.cpu_s:.2f} | {learned.size:,} | {learned.cpu_s:.2f} "
            f"| {plain.cpu_s / learned.cpu_s:.1f} | {learned.size / plain.size - 1:+.2%} "
            f"| {'searched' if learned.searched else ''} |"
        )
    plain_s = sum(row.second_half.cpu_s for row in rows)
    learned_s = sum(row.second_learned.cpu_s for row in rows)
    lines += [
        "",
        f"All together: {plain_s:.1f} s without, {learned_s:.1f} s with winners.",
        "",
        "## The same file again",
        "",
        "| file | first, bytes | s | again, bytes | s | times as quick |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        lines.append(
            f"| {row.name} | {row.whole.size:,} | {row.whole.cpu_s:.2f} | {row.again.size:,} "
            f"| {row.again.cpu_s:.2f} | {row.whole.cpu_s / row.again.cpu_s:.1f} |"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
