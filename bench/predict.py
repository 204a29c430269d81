"""How well CE1 predicts recorded runs, beside simple rules.

    python bench/predict.py HISTORY.csv... [--json] [--write]

A history has a row for each run, in the order in which they were made (docs/formats/history.md):
`redoxa history record` writes one. The first 60 % of its steps are fitted, the rest is scored: each
run is predicted from the rows before it alone, and then learned. First runs of a command are not
scored. Given are, for the scored runs:

- the log loss of "must rerun", forecast without what hashes would decide, and of "fails" where it
  was executed, beside each simple rule (bench/predict_rules.py states them);
- the same "asked before the step": nothing of a step is learned before all of it was forecast;
- how many costs fell into their 80 % intervals; wall time with the load at the start known;
- how far CPU time was off, the mean of |expected / measured - 1|, beside simple means;
- a reliability table: forecasts of failure by tenths, with the share that did fail.

`edit_kind` is never read. `--write` renews bench/results/predict.md. The exit code is 1 where a
gate of the last lines is missed.
"""

import argparse
import csv
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from predict_rules import FAILS_RULES, RERUN_RULES, Row, Rule, cost_rules

from ring2_orchestrator.ce1.estimate import Estimate
from ring2_orchestrator.ce1.learning.chances import Chance
from ring2_orchestrator.ce1.learning.happening import After, Before
from ring2_orchestrator.ce1.learning.learner import Ends, Forecast, Learner
from ring2_orchestrator.ce1.learning.mind import Mind

RESULT = Path(__file__).parent / "results" / "predict.md"
FITTED = 0.6
NEEDED = (
    *("step", "script", "first", "changed_strict", "ran", "exit_code", "wall_s", "user_s"),
    *("sys_s", "maxrss_kb", "load1", "script_changed", "hit_any_strict", "commit_lines"),
    "out_hash",
)
HEAD = """\
# How well CE1 predicts

Measured by `python bench/predict.py {names} --write` on {day}. The figures depend on the histories
alone, not on the machine; the script says what each means.

"""
COSTS = ("cpu_s", "wall_s", "max_rss_bytes")


class Run(NamedTuple):
    """One row of a history: what was known before, and what came of it."""

    step: int
    first: bool
    before: Before
    after: After


class Scored(NamedTuple):
    """One run that counts, with all forecasts of it."""

    run: Run
    forecast: Forecast  # made just before it
    ahead: Forecast  # made before its step


def read_history(path: Path) -> list[Run]:
    """The runs of a history. Ends the program with a sentence where it is none."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SystemExit(f"{path} cannot be read as a history: {reason}") from error
    if not rows:
        raise SystemExit(f"{path} has no runs; `redoxa history record` makes a history")
    if missing := [name for name in NEEDED if name not in rows[0]]:
        raise SystemExit(f"{path} is no history: it has no column {', '.join(missing)}")
    last: dict[str, str] = {}
    runs: list[Run] = []
    for number, row in enumerate(rows, 2):
        try:
            runs.append(_run_of(row, last))
        except ValueError as error:
            raise SystemExit(f"{path}, line {number}: {error}") from error
    return runs


def _run_of(row: Mapping[str, str | None], last: dict[str, str]) -> Run:
    """The run of a row. Raises ValueError where it is none."""
    text = {name: row[name] or "" for name in NEEDED}
    executed = text["ran"] != "0"
    first = text["first"] == "1"
    changed = first or text["changed_strict"] == "1"
    paths = [path for path in (row.get("changed_inputs") or "").split(";") if path and changed]
    before = Before(
        subject=text["script"],
        name=text["script"],
        changed=changed,
        paths=tuple(paths),
        own_changed=text["script_changed"] == "1",
        returned=changed and text["hit_any_strict"] == "1",
        lines=int(_number(text, "commit_lines")) if text["commit_lines"] else 0,
        load=_number(text, "load1") if text["load1"] else None,
    )
    drifted = executed and not changed and text["out_hash"] != last.get(text["script"])
    if executed:
        last[text["script"]] = text["out_hash"]
    after = After(
        must_rerun=changed,
        executed=executed,
        failed=executed and int(text["exit_code"]) != 0,
        drifted=drifted,
        cpu_s=_number(text, "user_s") + _number(text, "sys_s") if executed else None,
        wall_s=_number(text, "wall_s") if executed else None,
        max_rss_bytes=_number(text, "maxrss_kb") * 1024 if executed else None,
    )
    return Run(int(text["step"]), first, before, after)


def _number(row: Mapping[str, str], name: str) -> float:
    value = float(row[name])
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} is {row[name]}, and no cost is less than nothing or endless")
    return value


def cut_of(runs: Sequence[Run]) -> int:
    """The first step that is scored."""
    steps = sorted({run.step for run in runs})
    return steps[min(int(len(steps) * FITTED), len(steps) - 1)]


def predict(runs: Sequence[Run]) -> list[Scored]:
    """Forecast and learn every run in its order; those to be scored."""
    learner, minds, cut = Learner(), dict[str, Mind](), cut_of(runs)
    scored: list[Scored] = []
    for step, group in groupby(runs, key=lambda run: run.step):
        together = list(group)
        ahead = [_forecast(learner, minds, run) for run in together]
        for run, early in zip(together, ahead, strict=True):
            if step >= cut and not run.first:
                scored.append(Scored(run, _forecast(learner, minds, run), early))
            minds[run.before.subject].tick(learner, run.before, run.after)
    return scored


def _forecast(learner: Learner, minds: dict[str, Mind], run: Run) -> Forecast:
    return learner.forecast(run.before, minds.setdefault(run.before.subject, Mind()).subject)


def log_loss(said: Iterable[tuple[float, bool]]) -> float:
    """The mean of what each outcome cost: -log of the probability it was given."""
    return _mean([-math.log(p if happened else 1 - p) for p, happened in said])


def report(path: Path) -> dict[str, object]:
    """Everything that is measured on one history."""
    runs = read_history(path)
    scored = predict(runs)
    executed = [one for one in scored if one.run.after.executed]
    if not executed:
        raise SystemExit(f"{path} has no executed run after its first {FITTED:.0%} of steps")
    rules = {
        "must rerun": _rule_losses(_rows(runs, fails=False), RERUN_RULES),
        "fails": _rule_losses(_rows(runs, fails=True), FAILS_RULES),
    }
    ours = {
        "must rerun": _losses(scored, lambda ends: ends.must_rerun, lambda run: run.must_rerun),
        "fails": _losses(executed, lambda ends: ends.failure, lambda run: run.failed),
    }
    return {
        "history": path.name,
        "runs": len(runs),
        "scored": len(scored),
        "executed": len(executed),
        "failures": sum(run.after.failed for run in runs),
        "failures_scored": sum(one.run.after.failed for one in executed),
        "log_loss": {name: {**ours[name], "rules": rules[name]} for name in ours},
        "coverage": {kind: _coverage(executed, kind) for kind in COSTS},
        "cpu_error": _cpu_errors(runs, executed),
        "reliability": _reliability(executed),
    }


def _losses(
    scored: Sequence[Scored], chance: Callable[[Ends], Chance], outcome: Callable[[After], bool]
) -> dict[str, float]:
    happened = [outcome(one.run.after) for one in scored]
    said = {
        "CE1": [one.forecast for one in scored],
        "CE1, asked before the step": [one.ahead for one in scored],
    }
    return {
        name: log_loss(zip((chance(each.ends).probability for each in all_), happened, strict=True))
        for name, all_ in said.items()
    }


def _rows(runs: Sequence[Run], *, fails: bool) -> list[Row]:
    cut, failed = cut_of(runs), dict[str, bool]()
    rows: list[Row] = []
    for run in runs:
        if fails and not run.after.executed:
            continue
        command = run.before.subject
        rows.append(
            Row(
                command=command,
                fitted=run.step < cut,
                first=run.first,
                happened=run.after.failed if fails else run.after.must_rerun,
                changed=run.after.must_rerun,
                failed_last=failed.get(command, False),
            )
        )
        failed[command] = run.after.failed
    return rows


def _rule_losses(rows: Sequence[Row], rules: Mapping[str, Rule]) -> dict[str, float]:
    return {
        name: log_loss(
            (p, row.happened)
            for p, row in zip(rule(rows), rows, strict=True)
            if not row.fitted and not row.first
        )
        for name, rule in rules.items()
    }


def _coverage(executed: Sequence[Scored], kind: str) -> float:
    inside: list[bool] = []
    for one in executed:
        interval: Estimate = getattr(one.forecast, kind)
        if interval.low is not None and interval.high is not None:
            inside.append(interval.low <= getattr(one.run.after, kind) <= interval.high)
    return _mean(inside)


def _cpu_errors(runs: Sequence[Run], executed: Sequence[Scored]) -> dict[str, object]:
    measured = [run for run in runs if run.after.cpu_s]
    said = cost_rules([(run.before.subject, run.after.cpu_s or 0.0) for run in measured])
    cut = cut_of(runs)
    rules = {
        name: _mean(
            abs(value / (run.after.cpu_s or 1.0) - 1)
            for value, run in zip(values, measured, strict=True)
            if value is not None and run.step >= cut and not run.first
        )
        for name, values in said.items()
    }
    ours = [
        abs(one.forecast.cpu_s.value / one.run.after.cpu_s - 1)
        for one in executed
        if one.forecast.cpu_s.value is not None and one.run.after.cpu_s
    ]
    return {"CE1": _mean(ours), "rules": rules}


def _reliability(executed: Sequence[Scored]) -> list[dict[str, float]]:
    tenths: dict[int, list[tuple[float, bool]]] = {}
    for one in executed:
        p = one.forecast.ends.failure.probability
        tenths.setdefault(min(int(p * 10), 9), []).append((p, one.run.after.failed))
    return [
        {
            "from": tenth / 10,
            "runs": len(pairs),
            "forecast": _mean(p for p, _ in pairs),
            "failed": _mean(failed for _, failed in pairs),
        }
        for tenth, pairs in sorted(tenths.items())
    ]


def _mean(values: Iterable[float]) -> float:
    held = list(values)
    return math.fsum(held) / max(len(held), 1)


def gates(found: Mapping[str, object]) -> list[tuple[str, bool]]:
    """What is asked of a predictor, in words with figures, and whether it holds."""
    losses, coverage, cpu = found["log_loss"], found["coverage"], found["cpu_error"]
    rerun, fails = losses["must rerun"], losses["fails"]
    best_rerun, best_fails = min(rerun["rules"].values()), min(fails["rules"].values())
    best_cpu = min(cpu["rules"].values())
    held = [
        (
            f"must rerun: {rerun['CE1']:.3f}, at most 1 % over the best rule's {best_rerun:.3f}",
            rerun["CE1"] <= 1.01 * best_rerun,
        ),
        (
            f"fails: {fails['CE1']:.3f}, at least 5 % under the best rule's {best_fails:.3f}",
            fails["CE1"] <= 0.95 * best_fails,
        ),
        (
            f"CPU error: {cpu['CE1']:.1%}, at most the best rule's {best_cpu:.1%}",
            cpu["CE1"] <= best_cpu,
        ),
    ]
    for kind, share in coverage.items():
        held.append((f"{kind} in its interval: {share:.1%}, 77 to 83 %", 0.77 <= share <= 0.83))
    return held


def page(reports: Sequence[Mapping[str, object]]) -> list[str]:
    """The results as a page."""
    lines: list[str] = []
    for found in reports:
        counts = (
            f"{found['runs']} runs, {found['failures']} failures; scored {found['scored']} runs, "
            f"{found['executed']} of them executed, {found['failures_scored']} failures."
        )
        lines += [f"## {found['history']}", "", counts, ""]
        for question, losses in found["log_loss"].items():
            ours = {name: value for name, value in losses.items() if name != "rules"}
            lines += [f'| log loss of "{question}" | |', "|---|---|"]
            lines += [f"| **{name}** | **{value:.4f}** |" for name, value in ours.items()]
            lines += [f"| {name} | {value:.4f} |" for name, value in losses["rules"].items()]
            lines.append("")
        lines += ["| CPU time, mean error | |", "|---|---|"]
        lines.append(f"| **CE1** | **{found['cpu_error']['CE1']:.2%}** |")
        lines += [f"| {name} | {v:.2%} |" for name, v in found["cpu_error"]["rules"].items()]
        lines += [
            "",
            "| forecast of failure | runs | mean forecast | failed |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {row['from']:.0%} and more | {row['runs']} | {row['forecast']:.1%} "
            f"| {row['failed']:.1%} |"
            for row in found["reliability"]
        ]
        lines += ["", "| gate | |", "|---|---|"]
        lines += [f"| {text} | {'met' if met else 'MISSED'} |" for text, met in gates(found)]
        lines.append("")
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("histories", nargs="+", type=Path, metavar="HISTORY.csv")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--write", action="store_true", help=f"keep the page in {RESULT.name}")
    args = parser.parse_args()
    reports = [report(path) for path in args.histories]
    lines = page(reports)
    if args.json:
        held = [dict(gates(found)) for found in reports]
        print(json.dumps({"histories": reports, "gates": held}, indent=1))
    else:
        print("\n".join(lines))
    if args.write:
        names = " ".join(path.name for path in args.histories)
        head = HEAD.format(names=names, day=datetime.now(UTC).date())
        RESULT.write_text(head + "\n".join(lines), encoding="utf-8")
    raise SystemExit(0 if all(met for found in reports for _, met in gates(found)) else 1)


if __name__ == "__main__":
    main()
