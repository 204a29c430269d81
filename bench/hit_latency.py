"""What a short command costs: a reused run, the help, the status, beside bare Python and peers.

    python bench/hit_latency.py [--rounds N] [--folder DIR] [--write]

Each job is one process, timed from its start to its end. In every round each job runs once, so a
busy machine is busy for all, and the last column compares a job with the bare `python -c pass` of
the same round: no Python program can start faster. Bytecode caches are warm and lie in a folder of
their own, whatever this environment says of them. The peers are `make` with nothing to do and, if
it is there, `ccache` giving back an object file. `--write` renews bench/results/hit_latency.md.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from page import load, machine, show

ROOT = Path(__file__).resolve().parent.parent
RESULT = Path(__file__).parent / "results" / "hit_latency.md"
INPUTS = 4000
WARM_UPS = 4  # one records, and what it wrote must have stood a moment before a shortcut is left
FLOOR = "`python -c pass`"
REDOXA = (sys.executable, "-m", "redoxa")
FRONT_END = Path(sys.executable).with_name("redoxa-run")

PAGE = """\
# What a short command costs

Measured by `python bench/hit_latency.py --write` on {day}: Python {python},
{system}, {machine}, {cores} cores; load {before:.1f} before, {after:.1f} after.

Milliseconds from a process's start to its end: the median of {rounds} rounds, the fastest and the
slowest. The ratio is the median of each round's ratio to the bare Python of that round. The small
script reads itself and prints a line; the other one reads {inputs:,} files in one folder. A reused
run looks at every input, prints what the script printed, and is on the disk when it ends: in the
ledger, or in the spool that whoever opens the ledger enters there. `redoxa run` asks `redoxa-run`
first, unless an option says more than the command; then Python answers alone.

| job | median | fastest to slowest | ratio to bare Python |
|---|---:|---:|---:|
{rows}
"""


class Job(NamedTuple):
    """One process to time. `says` must be in what it prints on standard error, if given."""

    words: tuple[str, ...]
    folder: Path
    says: str = ""


def jobs_in(folder: Path) -> Iterator[tuple[str, Job]]:
    """The jobs, each with what it needs in a folder of its own."""
    small = folder / "small"
    small.mkdir()
    (small / "work.py").write_text("print(len(open(__file__).read()))\n")
    many = folder / "many"
    (many / "data").mkdir(parents=True)
    for number in range(INPUTS):
        (many / "data" / f"{number:04}.txt").write_text(f"{number}\n")
    (many / "work.py").write_text(
        "import os\nprint(sum(len(open(f'data/{name}').read()) for name in os.listdir('data')))\n"
    )
    script = (sys.executable, "work.py")
    yield FLOOR, Job((sys.executable, "-c", "pass"), small)
    yield "the small script, plain", Job(script, small)
    yield "the small script, reused", Job((*REDOXA, "run", "--", *script), small, "reused: ")
    # A home named by an option is no question for `redoxa-run`.
    alone = (*REDOXA, "--home", str(folder / "alone"), "run", "--", *script)
    yield "the small script, reused by Python alone", Job(alone, small, "reused: ")
    yield f"the script of {INPUTS:,} inputs, plain", Job(script, many)
    yield (
        f"the script of {INPUTS:,} inputs, reused",
        Job((*REDOXA, "run", "--", *script), many, "reused: "),
    )
    yield f"the {INPUTS:,} inputs, reused by Python alone", Job(alone, many, "reused: ")
    if FRONT_END.exists():
        front = (str(FRONT_END), "--", *script)
        yield "the small script, reused by `redoxa-run`", Job(front, small, "reused: ")
        yield f"the {INPUTS:,} inputs, reused by `redoxa-run`", Job(front, many, "reused: ")
    yield "`import redoxa`", Job((sys.executable, "-c", "import redoxa"), small)
    yield "`redoxa --help`", Job((*REDOXA, "--help"), small)
    yield "`redoxa jit status`", Job((*REDOXA, "jit", "status"), small)
    yield from peers_in(folder)


def peers_in(folder: Path) -> Iterator[tuple[str, Job]]:
    """What compilers' users have instead, as far as this machine has it."""
    compiler = shutil.which("cc")
    if compiler is None:
        return
    source = folder / "c"
    source.mkdir()
    (source / "one.c").write_text('#include <stdio.h>\nint main(void) { return puts("one"); }\n')
    compile_it = (compiler, "-O2", "-c", "one.c", "-o", "one.o")
    yield "`cc -O2 -c one.c`, plain", Job(compile_it, source)
    if FRONT_END.exists():
        shutil.copytree(source, folder / "apart")  # the others write the object file anew
        front = (str(FRONT_END), "--", *compile_it)
        yield "the same through `redoxa-run`, a hit", Job(front, folder / "apart", "reused: ")
    if ccache := shutil.which("ccache"):
        yield "the same through `ccache`, a hit", Job((ccache, *compile_it), source)
    if make := shutil.which("make"):
        (source / "Makefile").write_text("one: one.c\n\tcc -O2 -o one one.c\n")
        yield "`make` with nothing to do", Job((make, "--silent", "one"), source)


def seconds(job: Job, env: Mapping[str, str], *, warm: bool = True) -> float:
    """How long the job takes. Stops the bench when it fails or did something else."""
    begun = time.perf_counter()
    done = subprocess.run(
        job.words, cwd=job.folder, env=env, stdin=subprocess.DEVNULL, capture_output=True,
        check=False,
    )  # fmt: skip
    taken = time.perf_counter() - begun
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode != 0 or (warm and job.says not in said):
        sys.exit(f"{' '.join(job.words)} did not do what is timed here: {said.strip()}")
    return taken


def measure(jobs: Mapping[str, Job], env: Mapping[str, str], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each job, round by round."""
    for _ in range(WARM_UPS):
        for job in jobs.values():
            seconds(job, env, warm=False)
        time.sleep(0.2)  # a file is believed to be settled a tenth of a second after a change
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            times[name].append(1000 * seconds(job, env))
    return times


def environment(folder: Path) -> dict[str, str]:
    """Ours, with caches and state in a folder that goes with the measurement."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return env | {
        "CCACHE_DIR": str(folder / "ccache"),
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "REDOXA_HOME": str(folder / "home"),
    }


def rows(times: Mapping[str, list[float]]) -> Iterator[str]:
    """The table's lines."""
    floor = times[FLOOR]
    for name, values in times.items():
        ratio = statistics.median(value / bare for value, bare in zip(values, floor, strict=True))
        yield (
            f"| {name} | {statistics.median(values):.1f} | {min(values):.1f} to {max(values):.1f} "
            f"| {ratio:.1f} |"
        )


def main() -> None:
    """Measure, print, and keep the page where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=31, help="how often each job is timed")
    parser.add_argument("--folder", type=Path, help="where to work (default: the system's)")
    parser.add_argument("--write", action="store_true", help=f"keep the page in {RESULT.name}")
    args = parser.parse_args()
    before = load()
    under: Path | None = args.folder
    folder = Path(tempfile.mkdtemp(dir=under)).resolve()
    try:
        times = measure(dict(jobs_in(folder)), environment(folder), args.rounds)
    finally:
        shutil.rmtree(folder)
    page = PAGE.format(
        **machine(before),
        rounds=args.rounds,
        inputs=INPUTS,
        rows="\n".join(rows(times)),
    )
    show(page, RESULT, write=args.write)


if __name__ == "__main__":
    main()
