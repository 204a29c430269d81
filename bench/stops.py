"""What it costs to stop a call and look at it, and what a report from inside would cost instead.

    python bench/stops.py [--rounds N] [--write]

One program opens a file 20,000 times (bench/stops.c): as it is; stopped at each opening by a second
process that looks at nothing; recorded; and with a note of each opening that the program itself
writes into shared memory. Counted is the processor time of all processes together, per opening: a
busy machine hardly changes it. The least of all rounds counts. `--write` replaces
bench/results/stops.md.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from ring2_orchestrator.recorder.compile import system_compiler
from ring2_orchestrator.recorder.record import record

RESULT = Path(__file__).parent / "results" / "stops.md"
SOURCE = Path(__file__).with_suffix(".c")
OPENINGS = 20_000
WAYS = {
    "plain": "as it is",
    "stopped": "stopped, and looked at by nobody",
    "recorder": "recorded",
    "inside": "reported by the program itself",
}

PAGE = """\
# What a stopped call costs

Measured by `python bench/stops.py --write` on {day}: {system}, {machine}, {cores} cores,
load {load:.1f}.

Processor time of all processes together, in microseconds for one opening of a file; the least of
{rounds} rounds of {openings:,} openings. The ratio is to the program as it is.

| opening | us | ratio |
|---|--:|--:|
{rows}
"""


def built(folder: Path) -> Path:
    """The program."""
    words = system_compiler()
    if words is None:
        sys.exit("no C compiler is on PATH; install one")
    program = folder / "stops"
    subprocess.run([*words, "-O2", str(SOURCE), "-o", str(program)], check=True)
    return program


def opened(program: Path, way: str, file: Path) -> float:
    """Microseconds of one opening."""
    words = [str(program), "plain" if way == "recorder" else way, str(OPENINGS), str(file)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if way == "recorder":
        with tempfile.TemporaryDirectory() as scratch:
            recording = record(
                words, cwd=file.parent, env=dict(os.environ), scratch=Path(scratch), forward=False
            )
            if recording.exit.code or not recording.complete:
                sys.exit("the program was not recorded")
    else:
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent_s * 1e6 / OPENINGS


def main() -> None:
    """Measure, print, and keep the page where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=9, help="how often each is timed")
    parser.add_argument("--write", action="store_true", help=f"keep the page in {RESULT.name}")
    args = parser.parse_args()
    least = dict.fromkeys(WAYS, float("inf"))
    with tempfile.TemporaryDirectory() as scratch:
        program, file = built(Path(scratch)), Path(scratch) / "file"
        file.write_text("to be opened\n")
        for _ in range(args.rounds):
            for way in WAYS:
                least[way] = min(least[way], opened(program, way, file))
    rows = [
        f"| {WAYS[way]} | {spent:.2f} | {spent / least['plain']:.2f} |"
        for way, spent in least.items()
    ]
    page = PAGE.format(
        day=datetime.now(UTC).date(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        cores=os.cpu_count(),
        load=os.getloadavg()[0],
        rounds=args.rounds,
        openings=OPENINGS,
        rows="\n".join(rows),
    )
    print(page)
    if args.write:
        RESULT.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
