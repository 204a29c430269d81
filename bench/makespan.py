"""How long a folder of scripts takes on N cores, beside the best order known afterwards.

    python bench/makespan.py [--rounds N] [--jobs N]

The folder is that of bench/script_set.py; the Python that runs this has Redoxa, numpy, pandas and
scikit-learn. The first round knows neither lengths nor who reads what whom wrote. Then all is run
again by force, once steered and once as named in turn. What a script took is from when it was
started to when its results were kept. The best order is searched for with the lengths of that very
round: no order goes below the longest chain, nor below all work shared among the cores.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ring2_orchestrator.steering.schedule import lower_bound, makespan, simulate, urgency

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.script_set import write  # noqa: E402

SEARCHED = 3000


class Seen(NamedTuple):
    """One round: what each script waited for and took, and when the last one ended."""

    before: list[set[int]]
    took: list[float]
    lasted: float
    command_s: float
    reruns: int

    def best(self, jobs: int) -> float:
        """The shortest that was found, by changing places in the order of the longest chain."""
        draw = np.random.default_rng(0)
        ranks = urgency(self.before, self.took)
        least = self._with(ranks, jobs)
        bound = lower_bound(self.before, self.took, width=jobs)
        for _ in range(SEARCHED):
            if least <= bound * 1.0005:
                break
            tried = list(ranks)
            one, other = draw.choice(len(tried), 2, replace=False)
            tried[one], tried[other] = tried[other], tried[one]
            if (lasts := self._with(tried, jobs)) <= least:
                ranks, least = tried, lasts
        return least

    def _with(self, ranks: Sequence[float], jobs: int) -> float:
        return makespan(simulate(self.before, self.took, ranks, width=jobs))

    def as_named(self, jobs: int) -> float:
        """As long as it would have taken in the order of the names."""
        return self._with([0.0] * len(self.took), jobs)

    def at_random(self, jobs: int) -> list[float]:
        """As long as a hundred random orders would have taken, shortest first."""
        draw = np.random.default_rng(1)
        return sorted(self._with([draw.random() for _ in self.took], jobs) for _ in range(100))


def go(folder: Path, home: Path, *options: str) -> Seen:
    """One round as a person types it."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "redoxa", "run", "--json", *options, "--scripts", "work"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "REDOXA_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    command_s = time.perf_counter() - begun
    answer = json.loads(done.stderr.splitlines()[-1])
    if done.returncode:
        raise SystemExit("\n".join(str(each) for each in answer["scripts"] if each["exit_code"]))
    scripts = answer["scripts"]
    places = {script["name"]: at for at, script in enumerate(scripts)}
    return Seen(
        before=[{places[name] for name in script["after"]} for script in scripts],
        took=[script["ended_s"] - script["began_s"] for script in scripts],
        lasted=max(script["ended_s"] for script in scripts),
        command_s=command_s,
        reruns=sum(script["runs"] - 1 for script in scripts),
    )


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    jobs = ("-j", str(args.jobs))
    print("| round | lasted | no order below | best found | lasted / best | named / best "
          "| random: best, middle, worst / best | run twice | whole command | load |")  # fmt: skip
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder, home = Path(name) / "project", Path(name) / "home"
        count = write(folder / "work")
        show("first", go(folder, home, *jobs), args.jobs)
        for _ in range(args.rounds):
            show("steered", go(folder, home, "--force", *jobs), args.jobs)
            show("as named", go(folder, home, "--force", "--as-named", *jobs), args.jobs)
    print(f"\n{count} scripts, {args.jobs} at a time, {os.cpu_count()} cores")


def show(label: str, seen: Seen, jobs: int) -> None:
    """One row of the table."""
    best = seen.best(jobs)
    orders, bound = seen.at_random(jobs), lower_bound(seen.before, seen.took, width=jobs)
    shares = ", ".join(f"{orders[at] / best:.3f}" for at in (0, 50, 99))
    print(
        f"| {label} | {seen.lasted:.2f} s | {bound:.2f} s "
        f"| {best:.2f} s | {seen.lasted / best:.3f} | {seen.as_named(jobs) / best:.3f} | {shares} "
        f"| {seen.reruns} | {seen.command_s:.2f} s | {os.getloadavg()[0]:.1f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
