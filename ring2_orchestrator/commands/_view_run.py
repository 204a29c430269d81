"""One entry of the ledger as the page shows it: a run and its graph, or what a batch says."""

from typing import TYPE_CHECKING

from cid_store.errors import RedoxaError
from ring2_orchestrator.commands._graph_drawing import svg_of
from ring2_orchestrator.commands._graph_text import cost_text, group_text, paths_text, words_text
from ring2_orchestrator.commands._runs import command_text, run_json
from ring2_orchestrator.commands.ledger.browse import plain
from ring2_orchestrator.commands.ledger.words import leaf_json, time_text
from ring2_orchestrator.report import error_text, one_line
from ring2_orchestrator.runs.graph import graph_of, grouped, order
from ring2_orchestrator.runs.past import Run, Withdrawals, run_at, table_of, trace_of
from ring2_orchestrator.runs.result import LEDGER_KIND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ring2_orchestrator.home import Home
    from ring2_orchestrator.runs.graph import Graph, Step

_MOST_STEPS = 500
_MOST_GROUPS = 100


def entry_value(home: "Home", seq: int) -> dict[str, object]:
    """What there is to be seen of one entry. Raises RedoxaError."""
    leaf = home.ledger.leaf(seq)
    if leaf.kind == LEDGER_KIND:
        found = run_at(home, seq, leaf)
        if isinstance(found, Run):
            return {"leaf": leaf_json(seq, leaf), **_run_value(home, found)}
    batch = home.ledger.read(seq)
    return {"leaf": leaf_json(seq, leaf), "batch": [plain(entry) for entry in batch.entries]}


def _run_value(home: "Home", run: Run) -> dict[str, object]:
    doubts = run.doubts or Withdrawals(home.ledger).about(run)
    value: dict[str, object] = {
        "run": run_json(run, doubts),
        "title": command_text(run.command),
        "when": f"{time_text(run.time_ns)} UTC",
    }
    try:
        trace = None if run.trace is None else trace_of(home, run)
        table = table_of(home, run)
    except RedoxaError as error:
        return value | {"lacking": error_text(error)}
    if trace is None and table is None:
        return value | {"lacking": "neither a trace nor its processes were kept of this run"}
    graph = graph_of(trace, table)
    return value | {
        "graph": {
            "inputs": _groups(graph.inputs),
            "outputs": _groups(graph.outputs),
            "counts": [len(graph.inputs), len(graph.steps), len(graph.outputs)],
            "steps": [
                {"depth": depth, **_step_value(graph.steps[at])}
                for at, depth in order(graph)[:_MOST_STEPS]
            ],
            "left_out": graph.left_out + max(0, len(graph.steps) - _MOST_STEPS),
            "svg": _drawing(run, graph),
        }
    }


def _drawing(run: Run, graph: "Graph") -> str:
    return svg_of(graph, command_text(run.command), f"run {run.short}", styled=False)


def _groups(paths: "Sequence[bytes]") -> list[str]:
    return [group_text(group) for group in grouped(paths, most=_MOST_GROUPS)]


def _step_value(step: "Step") -> dict[str, object]:
    said = (
        ("reads", step.reads),
        ("lists", step.lists),
        ("writes", step.writes),
        ("removes", step.removes),
    )
    return {
        "words": words_text(step.process),
        "costs": one_line(cost_text(step.process)),
        "failed": step.process.exit_code not in (None, 0),
        "uses": [
            {"verb": verb, "paths": paths_text(paths, everything=len(paths) <= 100)}
            for verb, paths in said
            if paths
        ],
    }
