"""A trace told of another folder: the same run, had it taken place there."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ring2_orchestrator.runs import bytecode
from ring2_orchestrator.runs.clones.above import Above, TiedError, folders_above
from ring2_orchestrator.runs.paths import inside, shown
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.state import What
from ring2_orchestrator.runs.surroundings import Surroundings
from ring2_orchestrator.runs.trace import Input, Output, Trace

_CACHES = b"/__pycache__"
_UNLIKE = bytes(16)  # the digest of no value


class Place(NamedTuple):
    """Where a trace is to hold, and the question asked there."""

    roots: Roots
    around: Surroundings
    command: Sequence[str]
    home: bytes | None  # the person's, without links
    aside: Mapping[bytes, bytes]  # digests of the variables with the root put aside


def tied_by(trace: Trace) -> str | None:
    """Why no trace like this can be told of another folder, whatever it left; else None."""
    root = trace.root
    if root == b"/":
        return "its project is the whole file system"
    for output in trace.outputs:
        if not output.path.startswith(b"P/"):
            return f"it wrote {_text(output.path)}, outside the project's files"
        if output.link_to is not None and not output.link_to.startswith(b"P/"):
            return f"it linked to {shown(output.link_to)}, outside the project"
    if len(folders_above(root)) > 1:
        for path in (*(row.path for row in trace.inputs), *(each.path for each in trace.outputs)):
            if root + b"/" in path[1:] + b"/":
                return f"it uses {_text(path)}, whose name holds that of the folder"
    return None


def moved(trace: Trace, place: Place, aside: Mapping[bytes, bytes], *, strict: bool) -> Trace:
    """The trace told of that place. Raises TiedError where it cannot be.

    `aside` are the digests of its variables as `place` has them. With `strict` the permissions of
    the folders above count.
    """
    there = place.roots.project
    if trace.root == there or b"/" in (trace.root, there):
        raise TiedError("the folder is the same, or the whole file system")
    if (reason := tied_by(trace)) is not None:
        raise TiedError(reason)
    return trace._replace(
        command=tuple(os.fsencode(word) for word in place.command),
        root=there,
        surroundings=_surroundings(trace.surroundings, place, aside),
        inputs=_inputs(trace, place, strict=strict),
        outputs=without_caches(trace.outputs),
    )


def without_caches(outputs: Iterable[Output]) -> tuple[Output, ...]:
    """The outputs but for Python's bytecode caches, which name the folder of their source.

    Python makes them anew wherever they are missing, and their folders with them.
    """
    kept = [output for output in outputs if bytecode.source_of(output.path) is None]
    filled = {output.path.rpartition(b"/")[0] for output in kept}
    return tuple(
        output
        for output in kept
        if not (
            output.what == What.DIR and output.path.endswith(_CACHES) and output.path not in filled
        )
    )


def _surroundings(then: Surroundings, place: Place, aside: Mapping[bytes, bytes]) -> Surroundings:
    now = place.around.environment
    environment = {
        name: now[name] if place.aside.get(name) == digest else _UNLIKE
        for name, digest in aside.items()
    }
    return then._replace(cwd=place.around.cwd, environment=environment)


def _inputs(trace: Trace, place: Place, *, strict: bool) -> tuple[Input, ...]:
    there = place.roots.project
    outside = {row.path: row.state for row in trace.inputs if row.path.startswith(b"/")}
    for path in outside:
        if path == there or inside(path, there):
            raise TiedError(f"it looked at {shown(path)}, which here is the project's own")
    demands = Above(trace.root, there, place.home, strict=strict).demands(outside.items())
    for path, state in demands.items():
        if outside.setdefault(path, state) != state:
            raise TiedError(f"it looked at {shown(path)}, above its project")
    rows = [row for row in trace.inputs if not row.path.startswith(b"/")]
    rows += [Input(path, state, product=False) for path, state in outside.items()]
    return tuple(sorted(rows))


def _text(path: bytes) -> str:
    return shown(path.removeprefix(b"P/"))
