"""What recording costs, beside other programs that tell which files a command uses.

    python bench/overhead.py [--rounds N] [--only NAME...] [--peers DIR] [--write]

Four programs, each in turn under each tool in every round, so that a busy machine is busy for all:
a make (Lua as Debian ships it, from a fresh copy each time), a script that imports much, a script
that does nothing but open files, and a shell that does nothing but start processes. "recorder" is
`record` alone, called in a process that runs already: what the program itself is slowed down by.
"redoxa run" is what a person types: with the start of Python, the hashing of every input and the
keeping of every output; `-f` makes it run although it could be reused. "ratio" is to the plain run
of the same round. Peers are used where they are found on PATH or in DIR: `strace` with its filter,
`reprozip` (`pip install reprozip`) and `fsatrace` (a preloaded library: it sees no static program).
`--write` renews bench/results/overhead.md.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from page import load, machine, show
from program_set import PROGRAMS, lay_out, surroundings

from ring2_orchestrator.recorder.record import record

ROOT = Path(__file__).resolve().parent.parent
RESULT = Path(__file__).parent / "results" / "overhead.md"
FILES, PROCESSES = 2000, 500
GATES = {"make": 1.05, "imports": 1.05, "opens": 1.5, "processes": 1.5}
IMPORTS = "import json, sqlite3, asyncio, xml.dom.minidom, pandas, sklearn.linear_model\n"
OPENS = f"for name in range({FILES}):\n    open(f'data/{{name}}').close()\n"
STARTS = f"i=0; while [ $i -lt {PROCESSES} ]; do /bin/true; i=$((i+1)); done"

PAGE = """\
# What recording costs

Measured by `python bench/overhead.py --write` on {day}: Python {python},
{system}, {machine}, {cores} cores; load {before:.1f} before, {after:.1f} after.

Seconds are medians of {rounds} rounds; the ratio is the median of each round's ratio to the plain
run of that round, and the smallest and largest. `recorder` is the recorder alone, called in a
process that runs already; `redoxa run -f` is as typed: with the start of Python, the hashing of all
inputs and the keeping of what comes out. {missing}
Programs: `make` of Lua 5.4; a script that imports pandas and scikit-learn; a script that opens
{files:,} files and nothing else; a shell that starts {processes} processes one after the other.

| program | tool | seconds | ratio | smallest to largest |
|---|---|--:|--:|---|
{rows}
"""


class Job(NamedTuple):
    """A program: its words, the folder where it stands, and how that is made fresh."""

    words: Sequence[str]
    folder: Path
    fresh: Callable[[], None]


Tool = Callable[[Job, Mapping[str, str], Path], float]


def timed(words: Sequence[str], job: Job, env: Mapping[str, str]) -> float:
    """Seconds of a command as a process; what it prints goes nowhere."""
    begun = time.perf_counter()
    done = subprocess.run(
        words, cwd=job.folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    taken = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed: {done.stderr.decode('utf-8', 'replace')[-2000:]}")
    return taken


def plain(job: Job, env: Mapping[str, str], _: Path) -> float:
    """The program as it is."""
    return timed(job.words, job, env)


def recorder(job: Job, env: Mapping[str, str], scratch: Path) -> float:
    """The recorder's part, events read."""
    recording = record(job.words, cwd=job.folder, env=env, scratch=scratch, forward=False)
    if recording.exit.code or not recording.complete:
        sys.exit(f"{' '.join(job.words)} was not recorded")
    return recording.wall_s


def redoxa_run(job: Job, env: Mapping[str, str], _: Path) -> float:
    """All of it, as typed."""
    return timed([sys.executable, "-m", "redoxa", "run", "-f", "--", *job.words], job, env)


def strace(job: Job, env: Mapping[str, str], scratch: Path) -> float:
    """strace, stopped at calls with file names and at processes alone."""
    seen = "trace=%file,%process"
    words = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", seen, "-o", str(scratch / "log")]
    return timed([*words, *job.words], job, env)


def reprozip(job: Job, env: Mapping[str, str], scratch: Path) -> float:
    """Reprozip's trace, without its look for packages of the system."""
    found = {**env, "REPROZIP_USAGE_STATS": "off"}
    words = ["reprozip", "trace", "--dont-identify-packages", "--dont-find-inputs-outputs"]
    return timed([*words, "-d", str(scratch / "trace"), *job.words], job, found)


def fsatrace(job: Job, env: Mapping[str, str], scratch: Path) -> float:
    """A preloaded library that writes down every call with a file name."""
    return timed(["fsatrace", "erwmdtq", str(scratch / "log"), "--", *job.words], job, env)


TOOLS: Mapping[str, Tool] = {
    "plain": plain,
    "recorder": recorder,
    "redoxa run -f": redoxa_run,
    "strace": strace,
    "reprozip": reprozip,
    "fsatrace": fsatrace,
}
OURS = ("plain", "recorder", "redoxa run -f")


def jobs_in(folder: Path, env: Mapping[str, str], names: Sequence[str]) -> dict[str, Job]:
    """The programs, each in a folder of its own."""
    jobs = dict[str, Job]()
    if "make" in names:
        lua = next(program for program in PROGRAMS if program.name == "lua")
        lay_out(lua, folder / "lua", env)
        shutil.copytree(folder / "lua", folder / "clean", symlinks=True)
        jobs["make"] = Job(["make"], folder / "lua", lambda: _copied(folder))
    python = str(folder / "python" / "bin" / "python")
    for name, text in (("imports", IMPORTS), ("opens", OPENS)):
        where = folder / name
        where.mkdir()
        (where / "script.py").write_text(text)
        jobs[name] = Job([python, "script.py"], where, _nothing)
    (folder / "opens" / "data").mkdir()
    for number in range(FILES):
        (folder / "opens" / "data" / str(number)).write_text(f"{number}\n")
    (folder / "processes").mkdir()
    jobs["processes"] = Job(["sh", "-c", STARTS], folder / "processes", _nothing)
    return {name: job for name, job in jobs.items() if name in names}


def _nothing() -> None:
    pass


def _copied(folder: Path) -> None:
    shutil.rmtree(folder / "lua")
    shutil.copytree(folder / "clean", folder / "lua", symlinks=True)


def measure(
    jobs: Mapping[str, Job], tools: Mapping[str, Tool], env: Mapping[str, str], rounds: int
) -> dict[tuple[str, str], list[float]]:
    """Seconds of each program under each tool; the first round warms up and does not count."""
    times: dict[tuple[str, str], list[float]] = {}
    for at in range(rounds + 1):
        for name, job in jobs.items():
            for tool, run in tools.items():
                with tempfile.TemporaryDirectory() as scratch:
                    job.fresh()
                    taken = run(job, env, Path(scratch))
                if at:
                    times.setdefault((name, tool), []).append(taken)
        print(f"round {at} of {rounds}", file=sys.stderr, flush=True)
    return times


def rows(times: Mapping[tuple[str, str], list[float]]) -> list[str]:
    """The table's lines."""
    lines = list[str]()
    for (name, tool), values in times.items():
        ratios = [it / bare for it, bare in zip(values, times[name, "plain"], strict=True)]
        middle = f"{statistics.median(values):.3f} | {statistics.median(ratios):.2f}"
        lines.append(f"| {name} | {tool} | {middle} | {min(ratios):.2f} to {max(ratios):.2f} |")
    return lines


def main() -> None:
    """Measure, print, and keep the page where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=7, help="how often each is timed")
    parser.add_argument("--only", nargs="*", default=[*GATES], choices=[*GATES])
    parser.add_argument("--peers", type=Path, help="a folder with reprozip or fsatrace")
    parser.add_argument("--write", action="store_true", help=f"keep the page in {RESULT.name}")
    args = parser.parse_args()
    before = load()
    if args.peers:
        os.environ["PATH"] = f"{os.environ['PATH']}:{args.peers}"
    folder = Path(tempfile.mkdtemp()).resolve()
    try:
        env = {**surroundings(folder, ("pandas", "scikit-learn")), "PYTHONPATH": str(ROOT)}
        tools = {name: run for name, run in TOOLS.items() if name in OURS or shutil.which(name)}
        times = measure(jobs_in(folder, env, args.only), tools, env, args.rounds)
    finally:
        shutil.rmtree(folder)
    missing = [name for name in TOOLS if name not in tools]
    page = PAGE.format(
        **machine(before),
        rounds=args.rounds,
        missing=f"Not found here: {', '.join(missing)}." if missing else "",
        files=FILES,
        processes=PROCESSES,
        rows="\n".join(rows(times)),
    )
    show(page, RESULT, write=args.write)


if __name__ == "__main__":
    main()
