"""What a cold `redoxa jit hint` costs, beside bare Python: 4,000 inputs, 10,000 past runs.

    python bench/hint.py [--inputs N] [--runs N] [--rounds N] [--folder DIR] [--write]

Builds a home with so many past runs in its ledger, of 40 commands, a quarter of them of the script
that is asked about; that script reads so many files, and was recorded. Then hints are timed, one
process each, in turn with `python -c pass`: with nothing changed, where the front end says again
what was said; the same with that taken away before each; and with one input changed, which is
decided anew each time. Processor time counts what a busy machine does to it less than seconds do;
instructions, where `perf` can count them, not at all. Before the first, one hint learns the newest
runs, and is shown alone. `--write` renews bench/results/hint.md.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from page import load, machine, show

from cid_store.encoding import NodeLike
from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger import Draft
from ring2_orchestrator.runs.memo import weak_key

ROOT = Path(__file__).resolve().parent.parent
RESULT = Path(__file__).parent / "results" / "hint.md"
COMMANDS = 40
REDOXA = (sys.executable, "-m", "redoxa")
BARE = "`python -c pass`"
PAGE = """\
# What a cold hint costs

Measured by `python bench/hint.py --write` on {day}: Python {python}, {system}, {machine}, {cores}
cores; load {before:.1f} before, {after:.1f} after. {inputs:,} inputs, {runs:,} past runs; medians
of {rounds} rounds. The first hint, which learned the newest runs, took {first:.0f} ms.

| process | ms | processor ms | million instructions |
|---|---:|---:|---:|
{rows}
"""


class Cost(NamedTuple):
    """What one process took."""

    wall_ms: float
    cpu_ms: float


def build(folder: Path, inputs: int, runs: int, env: Mapping[str, str]) -> Path:
    """The project and the home; the project."""
    project = folder / "project"
    (project / "data").mkdir(parents=True)
    for number in range(inputs):
        (project / "data" / f"{number:05}.txt").write_text(f"{number}\n")
    (project / "work.py").write_text(
        "import os\nprint(sum(len(open(f'data/{name}').read()) for name in os.listdir('data')))\n"
    )
    ours = weak_key([sys.executable, "work.py"], project)
    drafts: list[Draft] = []
    for number in range(runs):
        mine = number % 4 == 0
        subject = ours if mine else weak_key([f"other{number % (COMMANDS - 1)}"], project)
        ended = "reused" if number % 3 else "failed" if number % 7 == 0 else "ran"
        executed = ended != "reused"
        entry: dict[str, NodeLike] = {
            "verdict": ended,
            "exit_code": int(ended == "failed"),
            "wall_s": 2.0 + 0.01 * (number % 13) if executed else 0.05,
            "cpu_s": 1.0 + 0.01 * (number % 11) if executed else 0.0,
            "max_rss_bytes": 30_000_000 if executed else 0,
            "saved_s": 0.0 if executed else 1.95,
            "inputs_changed": int(executed),
        }
        drafts.append(Draft([entry], "run", subject, number))
    with Home(folder / "home") as home:
        home.ledger.append_all(drafts)
    run = (*REDOXA, "run", "--", sys.executable, "work.py")
    for _ in range(2):
        subprocess.run(run, cwd=project, env=env, check=True, capture_output=True)
    return project


def cost(words: Sequence[str], project: Path, env: Mapping[str, str], says: str) -> Cost:
    """What a process takes. Ends the bench where it did something else."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, cwd=project, env=env, capture_output=True, check=False, text=True)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode or says not in done.stdout:
        sys.exit(f"{' '.join(words)} did not do what is timed here: {done.stdout}{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(1000 * wall, 1000 * cpu)


def instructions(words: Sequence[str], project: Path, env: Mapping[str, str]) -> float | None:
    """Millions of instructions, as `perf` counts them; None where it cannot."""
    perf = shutil.which("perf")
    if perf is None:
        return None
    counted = (perf, "stat", "-x,", "-e", "instructions:u", "--", *words)
    done = subprocess.run(
        counted, cwd=project, env=env, capture_output=True, check=False, text=True
    )
    for line in done.stderr.splitlines():
        number, _, rest = line.partition(",")
        if "instructions" in rest and number.isdigit():
            return int(number) / 1e6
    return None


def measure(
    project: Path, home: Path, env: Mapping[str, str], rounds: int
) -> Iterator[tuple[str, list[Cost], float | None]]:
    """Every process with its costs."""
    hint = (*REDOXA, "jit", "hint", "--json", "--", sys.executable, "work.py")
    bare = (sys.executable, "-c", "pass")

    def forget() -> None:
        for kept in (home / "shortcuts").glob("*.hint"):
            kept.unlink()

    def change() -> None:
        (project / "data" / "00000.txt").write_text("changed\n")

    for name, says, once, each in (
        ("the hint, nothing changed", '"reuse": true', None, None),
        ("the same, with nothing kept of the last one", '"reuse": true', None, forget),
        ("the hint, one input changed", '"reuse": false', change, None),
    ):
        if once is not None:
            once()
        cost(hint, project, env, says)
        time.sleep(0.2)
        ours: list[Cost] = []
        floor: list[Cost] = []
        for _ in range(rounds):
            floor.append(cost(bare, project, env, ""))
            if each is not None:
                each()
            ours.append(cost(hint, project, env, says))
        if name == "the hint, nothing changed":
            yield BARE, floor, instructions(bare, project, env)
        if each is not None:
            each()
        yield name, ours, instructions(hint, project, env)


def main() -> None:
    """Build, measure, print, and keep the page where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=4000)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--folder", type=Path, help="where to work (default: the system's)")
    parser.add_argument("--keep", action="store_true", help="leave the folder, and say where")
    parser.add_argument("--write", action="store_true", help=f"keep the page in {RESULT.name}")
    args = parser.parse_args()
    before = load()
    under: Path | None = args.folder
    folder = Path(tempfile.mkdtemp(dir=under)).resolve()
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | {
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "REDOXA_HOME": str(folder / "home"),
    }
    try:
        project = build(folder, args.inputs, args.runs, env)
        hint = (*REDOXA, "jit", "hint", "--json", "--", sys.executable, "work.py")
        first = cost(hint, project, env, "{")
        found = list(measure(project, folder / "home", env, args.rounds))
    finally:
        if args.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder)
    rows: list[str] = []
    for name, costs, counted in found:
        wall = statistics.median(each.wall_ms for each in costs)
        cpu = statistics.median(each.cpu_ms for each in costs)
        spelled = "-" if counted is None else f"{counted:.0f}"
        rows.append(f"| {name} | {wall:.1f} | {cpu:.1f} | {spelled} |")
    page = PAGE.format(
        **machine(before),
        inputs=args.inputs,
        runs=args.runs,
        rounds=args.rounds,
        first=first.wall_ms,
        rows="\n".join(rows),
    )
    show(page, RESULT, write=args.write)


if __name__ == "__main__":
    main()
