"""Seconds to the first failing test file, in the order of names and likeliest first.

    python bench/first_failure.py replay HISTORY.csv...
    python bench/first_failure.py real FOLDER [--sources GLOB] [--path DIR] [--states N] [--seed N]

`replay` takes recorded states of a project (docs/formats of `redoxa history`): what each test file
took, how it ended, and which of its inputs had changed. Only files of which something changed, or
that failed so before, are run in both orders; nothing later than a state is looked at, and a state
is learned only after all of it was put in order. The constants of the order were chosen on the
first 60 % of each history; the rest stands by itself.

`real` puts one small fault at a time into the sources of FOLDER, a project with a suite, and times
sessions that stop at the first failure: of plain pytest, and of `--redoxa` in both orders, each of
these with a home of its own, so that neither learns from the other. A fault that no test notices
does not count. FOLDER is copied first and not changed.
"""

import argparse
import ast
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from predict import Run, cut_of, read_history

from ring2_orchestrator.ce1.history import History, PastRun
from ring2_orchestrator.ce1.learning.learner import Learner
from ring2_orchestrator.ce1.learning.mind import Mind
from ring2_orchestrator.ce1.outcome import Outcome
from ring2_orchestrator.steering.expectation import LATEST, seconds_of
from ring2_orchestrator.steering.order import first_to_last
from ring2_orchestrator.steering.suspicion import Foreseen, Past

ROOT = Path(__file__).resolve().parent.parent
PLUGIN = ("-p", "ring2_orchestrator.pytest_plugin.entry", "--redoxa")
KINDS: Mapping[str, Sequence[str]] = {
    "plain": (),
    "named": (*PLUGIN, "--redoxa-order", "named"),
    "likely": (*PLUGIN, "--redoxa-order", "likely"),
}
_SWAPS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
          ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn,
          ast.NotIn: ast.In, ast.Add: ast.Sub, ast.Sub: ast.Add}  # fmt: skip


# Replaying what was recorded.


class Told(NamedTuple):
    """Seconds to the first failure, summed over failing states."""

    states: int = 0
    whole: float = 0.0
    named: float = 0.0
    likely: float = 0.0
    best: float = 0.0

    def plus(self, other: "Told") -> "Told":
        """The sums of both."""
        return Told(
            self.states + other.states,
            self.whole + other.whole,
            self.named + other.named,
            self.likely + other.likely,
            self.best + other.best,
        )

    def row(self, name: str) -> str:
        """A row of the table."""
        means = " | ".join(f"{value / (self.states or 1):.2f} s" for value in self[1:])
        ratios = " | ".join(
            f"{self.likely / (value or 1):.3f}" for value in (self.whole, self.named)
        )
        return f"| {name} | {self.states} | {means} | {ratios} |"


class Replay:
    """Walks through the states of one history and keeps what was seen so far."""

    def __init__(self) -> None:
        self.past: dict[str, list[Past]] = defaultdict(list)
        self.runs: dict[str, list[PastRun]] = defaultdict(list)
        self.learner = Learner()
        self.minds: dict[str, Mind] = defaultdict(Mind)

    def step(self, number: int, pairs: Sequence[tuple[Mapping[str, str], Run]]) -> Told:
        """One state: what both orders would have taken; then what it teaches is learned."""
        files = [(self._foreseen(row, run), row) for row, run in pairs if row["ran"] == "1"]
        files.sort(key=lambda each: each[0].name)
        ran = [
            (file, row)
            for file, row in files
            if row["changed_strict"] == "1" or file.failed_so or not file.known
        ]
        told = Told()
        rows = [row for _, row in ran]
        if any(_failed(row) for row in rows):
            order = first_to_last([file for file, _ in ran])
            told = Told(
                1,
                _until([row for _, row in files]),
                _until(rows),
                _until([rows[at] for at in order]),
                min(float(row["wall_s"]) for row in rows if _failed(row)),
            )
        for file, row in ran:
            self.past[file.name].append(Past(file.changed, _failed(row), number))
            self.runs[file.name].append(_past_run(row))
        for _, run in pairs:
            self.minds[run.before.subject].tick(self.learner, run.before, run.after)
        return told

    def _foreseen(self, row: Mapping[str, str], run: Run) -> Foreseen:
        name = row["script"]
        past = tuple(self.past[name])
        changed = tuple(path for path in (row.get("changed_inputs") or "").split(";") if path)
        foreseen = self.learner.forecast(run.before, self.minds[name].subject)
        return Foreseen(
            name,
            past,
            changed,
            known=bool(past),
            failed_so=bool(past) and past[-1].failed and not changed,
            seconds=seconds_of(History(tuple(self.runs[name][-LATEST:])), foreseen),
            learned=foreseen.ends.failure.probability if past else None,
        )


def _past_run(row: Mapping[str, str]) -> PastRun:
    outcome = Outcome.FAILED if _failed(row) else Outcome.RAN
    return PastRun(0, row["script"], outcome, int(_failed(row)), float(row["wall_s"]))


def _failed(row: Mapping[str, str]) -> bool:
    return row["exit_code"] not in ("0", "5")


def _until(rows: Sequence[Mapping[str, str]]) -> float:
    total = 0.0
    for row in rows:
        total += float(row["wall_s"])
        if _failed(row):
            break
    return total


def replay(paths: Sequence[Path]) -> None:
    """Rows for each history: all of it, the part the constants were chosen on, and the rest."""
    print("| history | failing states | all, as named | changed, as named | likely | ideal "
          "| likely / all | likely / changed |")  # fmt: skip
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    sums = [Told(), Told()]
    for path in paths:
        runs = read_history(path)
        cut = cut_of(runs)
        with path.open(encoding="utf-8", newline="") as file:
            pairs = list(zip(csv.DictReader(file), runs, strict=True))
        seen = Replay()
        parts = [Told(), Told()]
        for number, group in groupby(pairs, key=lambda pair: pair[1].step):
            late = number >= cut
            parts[late] = parts[late].plus(seen.step(number, list(group)))
        sums = [all_.plus(part) for all_, part in zip(sums, parts, strict=True)]
        _print(path.name, parts)
    if len(paths) > 1:
        _print("all of them", sums)


def _print(name: str, parts: Sequence[Told]) -> None:
    fitted, rest = parts
    print(fitted.plus(rest).row(name))
    print(fitted.row("its first 60 %"))
    print(rest.row("the rest"))


# Real sessions.


class _Fault(ast.NodeTransformer):
    """Swaps the operator at one place."""

    def __init__(self, at: int) -> None:
        self.at, self.seen = at, -1

    def _swapped(self, operator: ast.AST) -> ast.AST:
        if (other := _SWAPS.get(type(operator))) is None:  # pyright: ignore[reportArgumentType]
            return operator
        self.seen += 1
        return other() if self.seen == self.at else operator

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        node.ops = [self._swapped(each) for each in node.ops]  # pyright: ignore[reportAttributeAccessIssue]
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        node.op = self._swapped(node.op)  # pyright: ignore[reportAttributeAccessIssue]
        return node


def faults(sources: Sequence[Path], seed: int) -> Iterator[tuple[Path, str]]:
    """Sources with one fault each, without end, the same for the same seed."""
    draw = np.random.default_rng(seed)
    while True:
        path = sources[int(draw.integers(len(sources)))]
        tree = ast.parse(path.read_text(encoding="utf-8"))
        counter = _Fault(-1)
        counter.visit(tree)
        if counter.seen >= 0:
            changed = _Fault(int(draw.integers(counter.seen + 1))).visit(tree)
            yield path, ast.unparse(ast.fix_missing_locations(changed)) + "\n"


def session(kind: str, folder: Path, state: Path, path: str) -> tuple[int, float]:
    """The exit code of one session that stops at the first failure, and its seconds."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", *KINDS[kind]],
        cwd=folder,
        env={
            **os.environ,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": os.pathsep.join([str(folder / path), str(ROOT)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "REDOXA_HOME": str(state / kind),
            "TMPDIR": str(state),
        },
        capture_output=True,
        check=False,
    )
    if done.returncode not in (0, 1, 2):
        raise SystemExit(f"{kind}: {done.stdout.decode()}{done.stderr.decode()}")
    return done.returncode, time.perf_counter() - begun


def real(args: argparse.Namespace) -> None:
    """A row for each fault that a test notices, then the sums."""
    with tempfile.TemporaryDirectory() as name:
        folder, state = Path(name) / "project", Path(name) / "state"
        state.mkdir()
        shutil.copytree(args.folder, folder, ignore=shutil.ignore_patterns(".git", "__pycache__"))
        for kind in KINDS:
            code, took = session(kind, folder, state, args.path)
            print(f"nothing changed, {kind}: {took:.1f} s", flush=True)
            if code:
                raise SystemExit(f"{args.folder}: its tests fail as they are")
        sums = dict.fromkeys(KINDS, 0.0)
        count = 0
        for source, text in faults(sorted(folder.glob(args.sources)), args.seed):
            kept = source.read_text(encoding="utf-8")
            source.write_text(text, encoding="utf-8")
            taken = {kind: session(kind, folder, state, args.path) for kind in KINDS}
            source.write_text(kept, encoding="utf-8")
            codes = {kind: code for kind, (code, _) in taken.items()}
            if len({bool(code) for code in codes.values()}) > 1:
                raise SystemExit(f"{source.name}: the sessions disagree, {codes}")
            if not codes["plain"]:
                continue
            count += 1
            for kind, (_, seconds) in taken.items():
                sums[kind] += seconds
            shown = ", ".join(f"{kind} {seconds:.2f} s" for kind, (_, seconds) in taken.items())
            print(f"{count} {source.relative_to(folder)}: {shown}", flush=True)
            if count >= args.states:
                break
    for kind, seconds in sums.items():
        shares = f"{seconds / sums['plain']:.3f} of plain, {seconds / sums['named']:.3f} of named"
        print(f"{kind}: {seconds / count:.2f} s in the mean, {shares}")
    print(f"load {os.getloadavg()[0]:.1f}")


def main() -> None:
    """Replay or run."""
    parser = argparse.ArgumentParser(description=__doc__)
    ways = parser.add_subparsers(dest="way", required=True)
    told = ways.add_parser("replay")
    told.add_argument("history", type=Path, nargs="+")
    run = ways.add_parser("real")
    run.add_argument("folder", type=Path)
    run.add_argument("--sources", default="src/**/*.py")
    run.add_argument("--path", default="src")
    run.add_argument("--states", type=int, default=50)
    run.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    replay(args.history) if args.way == "replay" else real(args)


if __name__ == "__main__":
    main()
