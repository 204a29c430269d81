"""Draw a run: what went in, which process did what to which file, what came out.

The tree of processes is told as they were started, each with what it took. Files of the system, and
many in one folder, are told together.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import InputError, UsageError
from ring2_orchestrator.commands import Context
from ring2_orchestrator.commands._files import STREAM, open_output
from ring2_orchestrator.commands._runs import (
    RUN_HELP,
    command_text,
    outcome_part,
    run_json,
    signed_seconds,
)
from ring2_orchestrator.commands.ledger.words import time_text
from ring2_orchestrator.report import size_text

if TYPE_CHECKING:
    from ring2_orchestrator.report import Report
    from ring2_orchestrator.runs.graph import Graph, Step
    from ring2_orchestrator.runs.past import Run

EXAMPLES: Sequence[str] = (
    "redoxa graph @",
    "redoxa graph --all 5f3a09",
    "redoxa graph @ --svg run.svg",
    "redoxa graph @~1 --html run.html",
)
SCHEMA = "redoxa.graph/1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and where to draw it."""
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    parser.add_argument("--all", action="store_true", help="name every path and every process")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--svg", type=Path, metavar="FILE", help="write a drawing there; - is standard output"
    )
    form.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write a page there that needs nothing else; - is standard output",
    )
    parser.add_argument("-f", "--force", action="store_true", help="replace the file if it exists")


def run(args: argparse.Namespace, context: Context) -> int:
    """Draw it on the terminal, or into a file."""
    from ring2_orchestrator.runs.graph import graph_of  # noqa: PLC0415 - start-up
    from ring2_orchestrator.runs.past import Withdrawals, table_of, trace_of  # noqa: PLC0415
    from ring2_orchestrator.runs.which import find_run  # noqa: PLC0415

    target = args.svg or args.html
    if target == STREAM and context.report.json:
        raise UsageError("--json and a drawing both want standard output; name a file")
    with context.open_home(to_read=True) as home:
        found = find_run(home, args.run)
        known = Withdrawals(home.ledger)
        found = found._replace(doubts=found.doubts or known.about(found))
        trace = None if found.trace is None else trace_of(home, found)
        table = table_of(home, found)
    if trace is None and table is None:
        raise InputError(
            f"of run {found.short} neither a trace nor its processes were kept, so there is "
            "nothing to draw; run the command again"
        )
    graph = graph_of(trace, table)
    context.report.data(_as_json(found, graph, recorded=table is not None))
    if target is not None:
        _draw(found, graph, target, args, context)
        return 0
    with context.report.paged():
        _tell(found, graph, context.report, everything=args.all)
    if table is None and not context.report.json:
        context.report.say(
            "which process did what was not kept: the run is older than that, or was left as it was"
        )
    return 0


def _draw(
    run: "Run", graph: "Graph", target: Path, args: argparse.Namespace, context: Context
) -> None:
    from ring2_orchestrator.commands._graph_drawing import (  # noqa: PLC0415 - only if asked for
        html_of,
        svg_of,
    )

    draw = svg_of if args.svg is not None else html_of
    text = draw(graph, command_text(run.command), _summary(run))
    with open_output(target, STREAM, force=args.force) as out:
        out.write(text.encode("utf-8"))
    if target != STREAM:
        context.report.say(f"{target}: {size_text(len(text.encode('utf-8')))}")


def _summary(run: "Run") -> str:
    parts = [
        f"run {run.short}",
        f"{time_text(run.time_ns)} UTC",
        outcome_part(run, run.doubts)[0],
        signed_seconds(run.wall_s),
    ]
    if run.cpu_s:
        parts.append(f"processor {signed_seconds(run.cpu_s)}")
    if run.max_rss_bytes:
        parts.append(size_text(run.max_rss_bytes))
    return ", ".join(parts)


def _tell(run: "Run", graph: "Graph", report: "Report", *, everything: bool) -> None:
    from ring2_orchestrator.commands._graph_text import (  # noqa: PLC0415 - start-up
        paths_text,
        tree_lines,
    )

    report.parts((command_text(run.command), "head"))
    report.parts((_summary(run), "dim"))
    for _, detail in run.doubts:
        report.parts((f"not reusable: {detail}", "doubtful"))
    for name, paths in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        said = paths_text(paths, everything=everything)
        report.parts((f"{name}: ", "head"), (f"{len(paths):,}{': ' if said else ''}{said}", None))
    for line in tree_lines(graph, everything=everything):
        report.parts(*line)
    if graph.left_out:
        report.parts((f"{graph.left_out:,} processes and uses were too many to be kept", "dim"))


def _as_json(run: "Run", graph: "Graph", *, recorded: bool) -> dict[str, object]:
    return {
        "inputs": _names(graph.inputs),
        "left_out": graph.left_out,
        "outputs": _names(graph.outputs),
        "processes": [_step_json(step) for step in graph.steps],
        "processes_kept": recorded,
        "run": run_json(run, run.doubts),
        "schema": SCHEMA,
    }


def _step_json(step: "Step") -> dict[str, object]:
    process = step.process
    return {
        "command": _names(process.words),
        "cpu_s": None if process.cpu_ns is None else process.cpu_ns / 1e9,
        "end_s": None if process.end_ns is None else process.end_ns / 1e9,
        "exit_code": process.exit_code,
        "lists": _names(step.lists),
        "max_rss_bytes": process.max_rss_bytes,
        "parent": process.parent,
        "program": os.fsdecode(process.program),
        "reads": _names(step.reads),
        "removes": _names(step.removes),
        "start_s": process.start_ns / 1e9,
        "writes": _names(step.writes),
    }


def _names(paths: Sequence[bytes]) -> list[str]:
    return [os.fsdecode(path) for path in paths]
