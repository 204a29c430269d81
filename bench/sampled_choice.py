"""How near the plan that is chosen on a sample comes to the best of all that were proposed.

    REDOXA_SHARED=/path/to/shared python bench/sampled_choice.py [--files NAME...]
        [--profile balanced] [--first BYTES] [--write]

Sampled is what `redoxa pack` makes of a file. Exhaustive is the smallest container among every
candidate of the search's beam and every gene's plan that the profile allows, each tried on the
whole file until it is longer than the best, and what `pack` chose. Files are those of numbers,
packed as one. Each has a process of its own. `--write` renews bench/results/sampled_choice.md; with
1 as exit code, a choice was more than 1 % larger.
"""

import argparse
import io
import json
import os
import platform
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ring2_orchestrator.container import (
    BLOCK_BYTES,
    MAX_BLOCK,
    BytesSource,
    Original,
    write_planned,
)
from ring2_orchestrator.packing import pack
from ring2_orchestrator.planner import FALLBACK, PROFILES, Profile, find_profile, library, propose
from ring2_orchestrator.toolbox import open_toolbox

REPORT = Path(__file__).resolve().parent / "results" / "sampled_choice.md"
NUMBERS = ("f32", "f64", "grid", "img", "int", "nn", "pcm", "rec")
ALL = 1 << 20
TIMEOUT_S = 3600
# What the sampled choice may be larger by.
_PART = 100


class Row(NamedTuple):
    """What came of one file: bytes, and who made them."""

    name: str
    total: int
    sampled: int
    chosen: str
    exhaustive: int
    best: str
    candidates: int


def main() -> int:
    """Measure what was asked for; 1 where a choice was not near enough."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--files", nargs="*", default=[*NUMBERS], help="names or their beginnings")
    parser.add_argument("--profile", choices=PROFILES, default="balanced")
    parser.add_argument(
        "--first", type=int, metavar="BYTES", help="take only the files' beginnings"
    )
    parser.add_argument("--write", action="store_true", help="renew the report")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        data = Path(args.one).read_bytes()[: args.first]
        print(json.dumps(measured(Path(args.one).name, data, find_profile(args.profile))))
        return 0
    if "REDOXA_SHARED" not in os.environ:
        print("set REDOXA_SHARED to the folder that holds data/")
        return 2
    rows: list[Row] = []
    for path in sorted((Path(os.environ["REDOXA_SHARED"]) / "data").iterdir()):
        if path.name.startswith(tuple(args.files)):
            rows.append(_apart(path, args.profile, args.first))
            print(rows[-1], flush=True)
    lines = report(rows, args.profile, args.first)
    print("\n".join(lines))
    if args.write:
        REPORT.write_text("\n".join(lines) + "\n")
    return 0 if all(map(_is_near, rows)) else 1


def _apart(path: Path, profile: str, first: int | None) -> Row:
    command = [sys.executable, __file__, "--one", str(path), "--profile", profile]
    command += [] if first is None else ["--first", str(first)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=TIMEOUT_S)
    return Row(*json.loads(done.stdout))


def measured(name: str, data: bytes, profile: Profile) -> Row:
    """The choice that is made on a sample of some bytes, and the best of all."""
    source = BytesSource(data, name)
    with open_toolbox() as tools:
        genes = library(tools.palette)
        packed = pack(source, io.BytesIO(), genes, tools, profile=profile, in_parts=False)
        found = propose(
            source,
            genes,
            tools.packer,
            tools.kernels,
            replace(profile, judged=ALL),
            sketcher=tools.sketcher,
        )
        original = Original.of(source)
        least, best = packed.container_bytes, packed.gene
        with Path(os.devnull).open("wb") as nowhere:
            for each in found:
                block = MAX_BLOCK if each.gene == FALLBACK else BLOCK_BYTES
                header = original.header(each.plan, block_bytes=block)
                size = write_planned(
                    nowhere, original, header, tools.packer, tools.kernels, below=least
                )
                if size is not None and size < least:
                    least, best = size, each.gene
    return Row(name, len(data), packed.container_bytes, packed.gene, least, best, len(found))


def _is_near(row: Row) -> bool:
    return (row.sampled - row.exhaustive) * _PART <= row.exhaustive


def report(rows: list[Row], profile: str, first: int | None) -> list[str]:
    """The table, as Markdown."""
    made = f"`REDOXA_SHARED=... python bench/sampled_choice.py --profile {profile}"
    made += "" if first is None else f" --first {first}"
    machine = f"Python {platform.python_version()}, {platform.machine()}"
    lines = [
        "# The plan chosen on a sample, beside the best of all",
        "",
        f"Made by {made} --write`",
        f"on {datetime.now(UTC).date()}, {machine}. Sizes are exact and the same everywhere.",
        "`exhaustive` is the smallest container of all candidates, each tried on "
        + ("the whole file." if first is None else f"the file's first {first:,} bytes."),
        "",
        "| file | bytes | sampled | its gene | exhaustive | its gene | candidates | larger |",
        "|---|--:|--:|---|--:|---|--:|--:|",
    ]
    lines += [
        f"| {row.name} | {row.total:,} | {row.sampled:,} | {row.chosen} | {row.exhaustive:,} "
        f"| {row.best} | {row.candidates} | {row.sampled / row.exhaustive - 1:.2%} |"
        for row in rows
    ]
    far = [row.name for row in rows if not _is_near(row)]
    verdict = f"more than 1 % larger: {', '.join(far)}" if far else "all within 1 %"
    return [*lines, "", f"Sampled choices: {verdict}."]


if __name__ == "__main__":
    sys.exit(main())
