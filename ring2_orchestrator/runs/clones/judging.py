"""What a run leaves and reads, looked through for the folder where it took place."""

import os
from collections.abc import Iterable

from cid_store.store import Store
from ring2_orchestrator.runs.clones.moving import tied_by, without_caches
from ring2_orchestrator.runs.clones.naming import Spellings
from ring2_orchestrator.runs.paths import shown
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.state import What
from ring2_orchestrator.runs.trace import Output, Trace

_READ = frozenset({What.FILE, What.TIMED, What.SECRET, What.BYTECODE})
_NOT_THERE = frozenset({What.MISSING, What.BLANK, What.BYTECODE})


def tied_results(trace: Trace, spellings: Spellings, store: Store) -> str | None:
    """Why the results belong to the folder of the run; None where nothing shows that they do."""
    if (reason := tied_by(trace)) is not None:
        return reason
    for output in without_caches(trace.outputs):
        name = shown(output.path.removeprefix(b"P/"))
        if spellings.found_in(output.path[1:]):
            return f"the name of {name} holds the folder's path"
        if output.target is not None and spellings.found_in(output.target):
            return f"the link {name} leads to the folder's path"
        if output.cid is not None and spellings.found_in_parts(store.get_stream(output.cid)):
            return f"{name} holds the folder's path"
    if trace.printed is not None and spellings.found_in_parts(store.get_stream(trace.printed)):
        return "what it printed holds the folder's path"
    return None


def names_folder(
    trace: Trace, spellings: Spellings, roots: Roots, texts: Iterable[tuple[str, bytes]]
) -> str | None:
    """What of all that the run could read names a folder that it was not, or is not, run in."""
    for what, text in texts:
        if spellings.found_in(text):
            return what
    for path, target in trace.targets.items():
        if spellings.found_in(target):
            return f"the link {shown(roots.full(path))}"
    for row in trace.inputs:
        if row.state.what in _READ and not row.product:
            path = roots.full(row.path)
            if spellings.found_in_file(path):
                return os.fsdecode(path)
    return None


def same_results(then: Trace, now: Trace) -> str | None:
    """What two runs left differently, their bytecode caches aside; None where nothing."""
    if then.exit_code != now.exit_code:
        return "its exit code"
    if (then.printed, then.cuts, then.stdin_moved) != (now.printed, now.cuts, now.stdin_moved):
        return "what it printed"
    was = {output.path: output for output in without_caches(then.outputs)}
    left = {output.path: output for output in without_caches(now.outputs)}
    for path in sorted(was.keys() | left.keys()):
        one, other = was.get(path), left.get(path)
        if one is None or other is None or _essence(one) != _essence(other):
            return shown(path.removeprefix(b"P/"))
    return None


def _essence(output: Output) -> tuple[object, ...]:
    return tuple(getattr(output, name) for name in ("what", "mode", "cid", "target", "link_to"))


def saw_other(then: Trace, now: Trace) -> bytes | None:
    """A path that stood there for one of two runs and that the other never looked at; else None.

    `then` may hold more rows outside the project than its run looked at.
    """
    inside = {path for path in _stood(then) - _looked(now) if path.startswith(b"P")}
    return min(inside | (_stood(now) - _looked(then)), default=None)


def _looked(trace: Trace) -> set[bytes]:
    return {row.path for row in trace.inputs}


def _stood(trace: Trace) -> set[bytes]:
    return {row.path for row in trace.inputs if row.state.what not in _NOT_THERE}
