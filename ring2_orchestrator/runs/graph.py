"""A run as a tree for people: what went in, which process did what, what came out.

Files are told by role: an input was there before, an output stays, and what was made and removed in
between only passed from one process to another. Many in one folder are told as one group, and what
belongs to the system as another.
"""

from collections.abc import Collection, Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from ring2_orchestrator.runs.paths import folder_of
from ring2_orchestrator.runs.process_table import How, Process, ProcessTable
from ring2_orchestrator.runs.state import What
from ring2_orchestrator.runs.trace import Trace

SYSTEM = (
    b"/bin/", b"/boot/", b"/dev/", b"/etc/", b"/lib/", b"/lib32/", b"/lib64/", b"/nix/", b"/opt/",
    b"/proc/", b"/run/", b"/sbin/", b"/snap/", b"/sys/", b"/usr/", b"/var/",
)  # fmt: skip
MOST_NAMED = 8
# Every statement of a trace that says something was there and mattered.
_THERE = frozenset(
    {What.FILE, What.TIMED, What.SECRET, What.BYTECODE, What.UNREADABLE, What.UNKNOWN, What.NAMES}
)


class Group(NamedTuple):
    """Paths told together: one, or those in a folder, or those of the system (`folder` is None)."""

    paths: tuple[bytes, ...]
    folder: bytes | None = None

    @property
    def path(self) -> bytes | None:
        """The path itself, where it is one and told by its name."""
        return self.paths[0] if self.folder is None and not is_system(self.paths[0]) else None


class Step(NamedTuple):
    """One process with what it did, and those it started."""

    process: Process
    reads: tuple[bytes, ...]  # or executes
    lists: tuple[bytes, ...]
    writes: tuple[bytes, ...]
    removes: tuple[bytes, ...]
    children: tuple[int, ...]


class Graph(NamedTuple):
    """The whole run. Without steps nobody recorded which process did what."""

    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]
    steps: tuple[Step, ...] = ()
    tops: tuple[int, ...] = ()
    left_out: int = 0


def graph_of(trace: Trace | None, table: ProcessTable | None) -> Graph:
    """The graph of a run, from what is known of it: its trace, its process table, or both."""
    outputs = () if trace is None else tuple(output.path for output in sorted(trace.outputs))
    if trace is not None:
        inputs = tuple(
            row.path for row in trace.inputs if row.state.what in _THERE and not row.product
        )
    else:
        inputs = () if table is None else _first_read(table)
    if table is None:
        return Graph(inputs, outputs)
    if trace is None:
        outputs = _left(table)
    return Graph(
        inputs,
        outputs,
        _steps(table),
        tuple(at for at, process in enumerate(table.processes) if process.parent is None),
        table.left_out,
    )


def _steps(table: ProcessTable) -> tuple[Step, ...]:
    kinds = (How.READ, How.EXECUTED, How.LISTED, How.WROTE, How.REMOVED)
    done: list[list[list[bytes]]] = [[[] for _ in kinds] for _ in table.processes]
    children: list[list[int]] = [[] for _ in table.processes]
    for process, path, how in table.uses:
        for paths, kind in zip(done[process], kinds, strict=True):
            if how & kind:
                paths.append(table.paths[path])
    for at, process in enumerate(table.processes):
        if process.parent is not None:
            children[process.parent].append(at)
    return tuple(
        Step(
            process,
            reads=tuple(sorted({*done[at][0], *done[at][1]})),
            lists=tuple(done[at][2]),
            writes=tuple(done[at][3]),
            removes=tuple(done[at][4]),
            children=tuple(children[at]),
        )
        for at, process in enumerate(table.processes)
    )


def _first_read(table: ProcessTable) -> tuple[bytes, ...]:
    """What was read or listed and never written: the inputs of a run that has no trace."""
    written = {use.path for use in table.uses if use.how & How.WROTE}
    seen = {use.path for use in table.uses if use.how & (How.READ | How.LISTED | How.EXECUTED)}
    return tuple(table.paths[path] for path in sorted(seen - written))


def _left(table: ProcessTable) -> tuple[bytes, ...]:
    """What was written and not removed by the run itself, as far as the table tells."""
    written = {use.path for use in table.uses if use.how & How.WROTE}
    removed = {use.path for use in table.uses if use.how & How.REMOVED}
    return tuple(table.paths[path] for path in sorted(written - removed))


def is_system(path: bytes) -> bool:
    """Whether a path belongs to the machine and not to anyone's work."""
    return path.startswith(SYSTEM)


def grouped(
    paths: Collection[bytes], *, most: int = MOST_NAMED, everything: bool = False
) -> list[Group]:
    """The paths as people are told them: the project's first, the system's last and as one."""
    own = sorted((path for path in paths if not is_system(path)), key=_project_first)
    rest = sorted(path for path in paths if is_system(path))
    if everything:
        return [Group((path,), path) for path in (*own, *rest)]
    groups = [Group((path,)) for path in own] if len(own) <= most else _by_folder(own, most)
    return [*groups, Group(tuple(rest))] if rest else groups


def _by_folder(paths: Iterable[bytes], most: int) -> list[Group]:
    """One group for each folder; where these are many, too, for the folders that they lie in."""
    members: dict[bytes, list[bytes]] = {}
    for path in paths:
        members.setdefault(_folder(path), []).append(path)
    deepest = [(-folder.count(b"/"), folder) for folder in members]
    heapify(deepest)
    while len(members) > most and deepest:
        _, folder = heappop(deepest)
        above = _folder(folder)
        if above == folder:
            continue
        if above not in members:
            members[above] = []
            heappush(deepest, (-above.count(b"/"), above))
        members[above] += members.pop(folder)
    return [
        Group(tuple(members[folder]), folder if len(members[folder]) > 1 else None)
        for folder in sorted(members, key=_project_first)
    ]


def _folder(path: bytes) -> bytes:
    """The folder a path of a trace lies in; that of the project, and the root, is itself."""
    return path if path in (b"P", b"/") else folder_of(path)


def _project_first(path: bytes) -> tuple[bool, bytes]:
    return path.startswith(b"/"), path


def order(graph: Graph) -> Sequence[tuple[int, int]]:
    """Every step with its depth, each before those it started; any number of levels."""
    found: list[tuple[int, int]] = []
    waiting = [(at, 0) for at in reversed(graph.tops)]
    while waiting:
        at, depth = waiting.pop()
        found.append((at, depth))
        waiting += [(child, depth + 1) for child in reversed(graph.steps[at].children)]
    return found
