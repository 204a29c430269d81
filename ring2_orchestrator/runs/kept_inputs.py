"""The contents of what a run read, kept on request, so that it can be run again later.

Their form is described in docs/formats/trace.md.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, cast

from cid_store.cid import Cid
from cid_store.errors import DamageError
from cid_store.nodes import get_node, put_node
from cid_store.store import Store
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.memo import Memo
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.secrets import Secrets
from ring2_orchestrator.runs.state import Present, What
from ring2_orchestrator.runs.trace import Input, Trace

_CONTENT = (What.FILE, What.TIMED)


class KeptFile(NamedTuple):
    """One file as a run read it."""

    cid: Cid
    mtime_ns: int


def keep_inputs(
    home: Home, subject: str, trace: Cid, *, cwd: Path, env: Mapping[str, str]
) -> tuple[int, int]:
    """Keep what the trace says was read below project, home and temporary folder; files and bytes.

    What changed since, the run's own changes included, secrets and the system's files are left out.
    Raises RedoxaError or OSError.
    """
    memo = Memo(home)
    roots = Roots.around(cwd, env)
    secrets = Secrets.of(home.path, env, memo.key.seal)
    present = Present(memo.cache, memo.key.seal)
    seen = Trace.from_node(get_node(home.store, trace))
    rows: list[list[bytes | Cid | int]] = []
    size_bytes = 0
    with home.store.batch():
        for row in seen.inputs:
            path = roots.full(row.path)
            if row.state.what not in _CONTENT or not roots.may_write(path):
                continue
            found = _keep(home.store, path, row, present, secrets)
            if found is not None:
                kept, size = found
                rows.append([row.path, kept.cid, kept.mtime_ns])
                size_bytes += size
        node = put_node(home.store, {"files": rows, "trace": trace, "type": "kept-inputs", "v": 1})
        _drop_outdated(home.store, memo, subject)
        home.store.set_root(_root_name(subject, trace), node)
    return len(rows), size_bytes


def kept_inputs(store: Store, subject: str, trace: Cid) -> dict[bytes, KeptFile]:
    """What is kept of that trace's inputs, by path as the trace has it."""
    cid = store.root(_root_name(subject, trace))
    if cid is None:
        return {}
    with suppress(DamageError):
        node = cast("dict[str, list[list[object]]]", get_node(store, cid))
        return {
            cast("bytes", path): KeptFile(cast("Cid", content), cast("int", mtime_ns))
            for path, content, mtime_ns in node["files"]
        }
    return {}


def _keep(
    store: Store, path: bytes, row: Input, present: Present, secrets: Secrets
) -> tuple[KeptFile, int] | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a bytes path
            if secrets.found_in_stream(file) is not None:
                return None
            file.seek(0)
            cid = store.put_stream(file)
            size = file.tell()
    except OSError:
        return None
    status = present.status(path)
    if status is None or not present.holds(path, row.state):
        return None
    if row.state.what == What.FILE and cid.digest != row.state.digest:
        return None  # it changed between two looks
    return KeptFile(cid, status.st_mtime_ns), size


def _drop_outdated(store: Store, memo: Memo, subject: str) -> None:
    """Let go of what was kept for traces that the memo has given up."""
    names = {_root_name(subject, kept.cid) for kept in memo.traces(subject)}
    for name, _ in list(store.roots(f"inputs/{subject}/")):
        if name not in names:
            store.set_root(name, None)


def _root_name(subject: str, trace: Cid) -> str:
    return f"inputs/{subject}/{trace.digest.hex()[:40]}"
