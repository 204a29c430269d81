"""The outputs of a run as a shortcut names them, so that they can be put back without Python."""

from typing import TYPE_CHECKING

from ring2_orchestrator.runs.compare import Comparison
from ring2_orchestrator.runs.shortcut_facts import NoShortcutError, settled_stamp
from ring2_orchestrator.runs.state import What
from ring2_orchestrator.runs.trace import Output
from ring2_orchestrator.shortcuts.form import digest, part

if TYPE_CHECKING:
    from cid_store.local import LocalStore
    from ring2_orchestrator.clock import Clock

_SEEN, _TIMED = 1, 2


def output_rows(
    comparison: Comparison, *, store: "LocalStore", clock: "Clock", key: bytes
) -> bytes:
    """A row for each output of a run that left nothing but plain files.

    Raises NoShortcutError where it left anything else.
    """
    seen = {row.path for row in comparison.trace.inputs if row.product}
    now_ns = clock.now_ns()
    rows = [len(comparison.trace.outputs).to_bytes(4, "little")]
    for output in comparison.trace.outputs:
        if output.what != What.FILE or output.link_to is not None or output.touched:
            raise NoShortcutError("it left more than plain files")
        rows.append(_row(comparison, output, store, key, now_ns, seen=output.path in seen))
    return b"".join(rows)


def _row(
    comparison: Comparison,
    output: Output,
    store: "LocalStore",
    key: bytes,
    now_ns: int,
    *,
    seen: bool,
) -> bytes:
    assert output.cid is not None, "a file output has a content"
    path = comparison.roots.full(output.path)
    status = comparison.present.status(path)
    places = store.places(output.cid)
    if status is None or places is None:
        raise NoShortcutError("an output is not there")
    flags = (_SEEN if seen else 0) | (0 if output.mtime_ns is None else _TIMED)
    return b"".join((
        part(path),
        bytes([flags]),
        output.rank.to_bytes(4, "little"),
        (output.mtime_ns or 0).to_bytes(8, "little", signed=True),
        settled_stamp(status, now_ns),
        digest(key, store.view(output.cid)),
        part(b"".join(
            pack.to_bytes(4, "little") + offset.to_bytes(8, "little") + length.to_bytes(8, "little")
            for pack, offset, length in places
        )),
    ))  # fmt: skip
