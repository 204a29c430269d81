"""What it costs to begin: the help and `import redoxa`, beside `python -c pass`, and their limits.

    python bench/startup.py [--rounds N] [--write]

Each job is a process, started in turn, so that a busy machine is busy for all. Beside the time
from its start to its end stands the processor time that it took, which others hardly change. The
limits are for the median on a quiet machine; exit code 1 says that one was passed. `--write` renews
bench/results/startup.md. What a reused run costs is measured by bench/hit_latency.py.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

RESULT = Path(__file__).parent / "results" / "startup.md"
REDOXA = str(Path(sysconfig.get_path("scripts")) / "redoxa")
PYTHON = (sys.executable, "-c")
FLOOR = "`python -c pass`"
WARM_UPS = 2
HEAVY = ("numpy", "wasmtime", "cffi", "rich", "lark", "sqlite3", "cryptography", "json", "asyncio")

PAGE = """\
# What it costs to begin

Measured by `python bench/startup.py --write` on {day}: Python {python}, {system}, {machine},
{cores} cores; load {before:.1f} before, {after:.1f} after.

Milliseconds, the median of {rounds} rounds; each job is one process. Of what is heavy
({heavy}) the last column names what the process had loaded at its end.

| job | from start to end | fastest | processor time | limit | loaded |
|---|---:|---:|---:|---:|---|
{rows}
"""


class Job(NamedTuple):
    """What is started, and how long it may take on a quiet machine."""

    words: tuple[str, ...]
    limit_ms: int | None = None


JOBS = {
    FLOOR: Job((*PYTHON, "pass")),
    "`import redoxa`": Job((*PYTHON, "import redoxa"), 80),
    "`from redoxa import Cid`": Job((*PYTHON, "from redoxa import Cid")),
    "`from redoxa import VM`": Job((*PYTHON, "from redoxa import VM")),
    "`redoxa --help`": Job((REDOXA, "--help"), 60),
    "`redoxa --version`": Job((REDOXA, "--version")),
    "`redoxa pack --help`": Job((REDOXA, "pack", "--help")),
    "`redoxa completion bash`": Job((REDOXA, "completion", "bash")),
}


class Taken(NamedTuple):
    """What one start took, in milliseconds."""

    wall: float
    processor: float


def start(job: Job, env: dict[str, str]) -> Taken:
    """Start it once; ends the bench if it fails."""
    begun = time.perf_counter()
    process = subprocess.Popen(job.words, env=env, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(job.words)} gave {process.returncode}")
    return Taken(1000 * wall, 1000 * (used.ru_utime + used.ru_stime))


def loaded(job: Job, env: dict[str, str]) -> str:
    """Which heavy packages it loads."""
    told = {**env, "PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run(job.words, env=told, capture_output=True, text=True, check=True)
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    return ", ".join(name for name in HEAVY if name in names) or "none"


def main() -> int:
    """Measure, print, and keep the page where asked; 1 where a limit was passed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=31, help="how often each job is started")
    parser.add_argument("--write", action="store_true", help=f"keep the page in {RESULT.name}")
    args = parser.parse_args()
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as home:
        env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        env |= {"REDOXA_HOME": home}
        taken: dict[str, list[Taken]] = {name: [] for name in JOBS}
        for number in range(WARM_UPS + args.rounds):
            for name, job in JOBS.items():
                one = start(job, env)
                if number >= WARM_UPS:
                    taken[name].append(one)
        medians = {name: statistics.median(at.wall for at in all_) for name, all_ in taken.items()}
        rows = [
            f"| {name} | {medians[name]:.1f} | {min(at.wall for at in taken[name]):.1f} "
            f"| {statistics.median(at.processor for at in taken[name]):.1f} "
            f"| {job.limit_ms or ''} | {loaded(job, env)} |"
            for name, job in JOBS.items()
        ]
    page = PAGE.format(
        day=datetime.now(UTC).date(),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        cores=os.cpu_count(),
        before=before,
        after=os.getloadavg()[0],
        rounds=args.rounds,
        heavy=", ".join(HEAVY),
        rows="\n".join(rows),
    )
    print(page)
    if args.write:
        RESULT.write_text(page, encoding="utf-8")
    passed = [name for name, job in JOBS.items() if medians[name] > (job.limit_ms or 1e9)]
    for name in passed:
        print(f"{name} took longer than its limit", file=sys.stderr)
    return bool(passed)


if __name__ == "__main__":
    sys.exit(main())
