"""A run's graph as a tree of lines for a terminal."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from ring2_orchestrator.commands._runs import command_text, signed_seconds, typed
from ring2_orchestrator.report import size_text
from ring2_orchestrator.runs.graph import MOST_NAMED, grouped

if TYPE_CHECKING:
    from ring2_orchestrator.runs.graph import Graph, Group, Step
    from ring2_orchestrator.runs.process_table import Process

Line = tuple[tuple[str, str | None], ...]
_MOST_CHILDREN = 40
_MOST_LEVELS = 40


def group_text(group: "Group") -> str:
    """A group of paths in words."""
    count = len(group.paths)
    if group.path is not None or (group.folder is not None and group.paths == (group.folder,)):
        return typed(group.paths[0])
    if group.folder is not None:
        return f"{typed(group.folder).removesuffix('/')}/ ({count:,} paths)"
    return "1 system path" if count == 1 else f"{count:,} system paths"


def paths_text(paths: Collection[bytes], *, everything: bool) -> str:
    """Some paths in one line, folded where they are many."""
    return ", ".join(
        group_text(group) for group in grouped(paths, most=MOST_NAMED, everything=everything)
    )


def cost_text(process: "Process") -> str:
    """What a process took, as far as that is known."""
    parts: list[str] = []
    if process.end_ns is not None:
        parts.append(signed_seconds((process.end_ns - process.start_ns) / 1e9))
    if process.cpu_ns is not None:
        parts.append(f"processor {signed_seconds(process.cpu_ns / 1e9)}")
    if process.max_rss_bytes is not None:
        parts.append(size_text(process.max_rss_bytes))
    if process.exit_code is not None:
        parts.append(f"exit code {process.exit_code}")
    return ", ".join(parts)


def words_text(process: "Process") -> str:
    """A process as it was called, or its program where nobody knows."""
    return command_text(process.words) if process.words else typed(process.program)


def tree_lines(graph: "Graph", *, everything: bool) -> Iterator[Line]:
    """The processes as they were started, with what each read, wrote and removed."""
    # Waiting with its indentation: a step by its place, or a line that is ready.
    waiting: list[tuple[str, int | tuple[str, str]]] = []
    _wait(waiting, "", list(graph.tops), everything=everything)
    while waiting:
        indent, what = waiting.pop()
        branch, below = ("└─ ", "   ") if _is_last(waiting, indent) else ("├─ ", "│  ")
        if isinstance(what, tuple):
            yield (f"{indent}{branch}", "dim"), (f"{what[0]} ", "dim"), (what[1], None)
            continue
        step = graph.steps[what]
        failed = step.process.exit_code not in (None, 0)
        yield (
            (f"{indent}{branch}", "dim"),
            (words_text(step.process), "head"),
            (f"  {cost_text(step.process)}", "bad" if failed else "dim"),
        )
        deeper = indent + below if len(indent) < 3 * _MOST_LEVELS else indent
        _wait(waiting, deeper, _parts(step, everything=everything), everything=everything)


def _parts(step: "Step", *, everything: bool) -> list[int | tuple[str, str]]:
    """What stands below a step: what it read, whom it started, what it left."""
    before = (("reads", step.reads), ("lists", step.lists))
    after = (("writes", step.writes), ("removes", step.removes))
    return [
        *((verb, paths_text(paths, everything=everything)) for verb, paths in before if paths),
        *step.children,
        *((verb, paths_text(paths, everything=everything)) for verb, paths in after if paths),
    ]


def _wait(
    waiting: list[tuple[str, int | tuple[str, str]]],
    indent: str,
    parts: "list[int | tuple[str, str]] | list[int]",
    *,
    everything: bool,
) -> None:
    children = [part for part in parts if isinstance(part, int)]
    dropped = set(children[_MOST_CHILDREN:]) if not everything else set[int]()
    kept: list[int | tuple[str, str]] = []
    for part in parts:
        if part not in dropped:
            kept.append(part)
        elif part == children[-1]:
            kept.append(("and", f"{len(dropped):,} more processes; --all shows them"))
    waiting += [(indent, part) for part in reversed(kept)]


def _is_last(waiting: list[tuple[str, int | tuple[str, str]]], indent: str) -> bool:
    """Whether nothing else waits at this level."""
    return not waiting or waiting[-1][0] != indent
