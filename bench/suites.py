"""A second session of pytest over an unchanged suite: plain, with pytest-testmon, with --redoxa.

    python bench/suites.py FOLDER [--rounds N]

FOLDER is a project with a suite, such as an unpacked source archive; the Python that runs this has
pytest and Redoxa, and may have pytest-testmon. Each kind of session is measured in turn, round by
round, after two that are not counted; caches, home and temporary folder are apart. Given are the
fastest and the middle wall time, and the processor time of the middle one.
"""

import argparse
import importlib.util
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KINDS = {
    "plain": (),
    "recorded whole": (),
    "testmon": ("-p", "testmon.pytest_testmon", "--testmon"),
    "redoxa": ("-p", "ring2_orchestrator.pytest_plugin.entry", "--redoxa"),
}


def session(kind: str, folder: Path, state: Path) -> tuple[float, float]:
    """Wall and processor seconds of one session."""
    words = [sys.executable, "-m", "pytest", "-q", *KINDS[kind]]
    if kind == "recorded whole":
        words = [sys.executable, "-m", "redoxa", "run", "--no-reuse", "--", *words]
        words.append(f"--basetemp={state / 'whole'}")
    env = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "REDOXA_HOME": str(state / "home"),
        "TESTMON_DATAFILE": str(state / "testmondata"),
        "TMPDIR": str(state),
    }
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, check=False)
    wall_s = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 5):
        raise SystemExit(f"{kind}: {done.stdout.decode()}{done.stderr.decode()}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall_s, cpu_s


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    kinds = [kind for kind in KINDS if kind != "testmon" or importlib.util.find_spec("testmon")]
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        firsts = {kind: session(kind, args.folder, state) for kind in kinds}
        for kind in kinds:
            session(kind, args.folder, state)
        taken: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
        for _ in range(args.rounds):
            for kind in kinds:
                taken[kind].append(session(kind, args.folder, state))
    print(f"load {os.getloadavg()[0]:.1f}, {args.rounds} rounds")
    print("| session | first | again, fastest | again, middle | processor, middle |")
    print("|---|---:|---:|---:|---:|")
    for kind in kinds:
        walls, cpus = zip(*taken[kind], strict=True)
        print(
            f"| {kind} | {firsts[kind][0]:.2f} s | {min(walls):.2f} s "
            f"| {statistics.median(walls):.2f} s | {statistics.median(cpus):.2f} s |"
        )


if __name__ == "__main__":
    main()
