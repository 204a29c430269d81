"""Writes the shortcut of a reuse: of one just made that restored nothing, or of one to come.

A shortcut is a cache: losing it costs time, and whatever it cannot answer Python does.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cid_store.cid import Cid
from cid_store.encoding import encode
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.compare import Comparison, Products, products_of
from ring2_orchestrator.runs.memo import Decision, Memo, load_kept
from ring2_orchestrator.runs.result import LEDGER_KIND, RunResult, entry_of
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.shortcut_facts import NoShortcutError, facts_of
from ring2_orchestrator.runs.shortcut_outputs import output_rows
from ring2_orchestrator.runs.state import Present
from ring2_orchestrator.runs.surroundings import (
    NEVER_MATTER,
    OF_BUILD_TOOLS,
    Stdin,
    Surroundings,
)
from ring2_orchestrator.runs.trace import Trace
from ring2_orchestrator.shortcuts.folder import path_of, waiting, write
from ring2_orchestrator.shortcuts.form import (
    MAGIC,
    StdinKind,
    Streams,
    digest,
    fact_rows,
    key_of,
    part,
    surroundings_text,
)

if TYPE_CHECKING:
    from ring2_orchestrator.runs.presence import Candidate

MOST_PRINTED_BYTES = 1 << 20
_NO_OUTPUTS = bytes(4)


class _Reuse(NamedTuple):
    """One reuse that is to be answered: of which trace, and in what surroundings."""

    trace: Trace
    wall_ns: int
    around: Surroundings
    env: Mapping[str, str]
    command: Sequence[str]
    result: RunResult
    products: Products
    compiler: bool


def leave_shortcut(
    home: Home,
    memo: Memo,
    decision: Decision,
    result: RunResult,
    *,
    command: Sequence[str],
    env: Mapping[str, str],
    compiler: bool = False,
) -> bool:
    """Leave a shortcut to the reuse just made; False where there can be none, or none be written.

    Everything is looked at again, so that the shortcut rests on one moment.
    """
    kept, around = decision.kept, decision.around
    if kept is None or around is None or (result.restored and not compiler):
        return False
    products = memo.products(decision.subject)
    result = result._replace(restored=0)
    reuse = _Reuse(
        kept.trace, kept.wall_ns, around, env, command, result, products, compiler=compiler
    )
    return _leave(home, memo, reuse)


def foresee_reuse(
    home: Home,
    memo: Memo,
    made: "Candidate",
    trace: Trace,
    *,
    wall_s: float,
    env: Mapping[str, str],
    waits: bool,
) -> bool:
    """Leave a shortcut to the next reuse of a compiler's run that was just recorded.

    Where the run's trace `waits`, the shortcut does too, and answers when that is published.
    """
    result = RunResult(
        exit_code=trace.exit_code,
        verdict="reused",
        reason="nothing it depends on changed",
        subject=made.subject,
        trace=load_kept(home.store, made.subject, made.entry).cid,
        inputs=len(trace.inputs),
        outputs=len(trace.outputs),
    )
    reuse = _Reuse(
        trace,
        int(wall_s * 1e9),
        trace.surroundings,
        env,
        [os.fsdecode(word) for word in trace.command],
        result,
        products_of([trace]),
        compiler=True,
    )
    return _leave(home, memo, reuse, made.entry if waits else None)


def _leave(home: Home, memo: Memo, reuse: _Reuse, waits_for: Cid | None = None) -> bool:
    result, trace = reuse.result, reuse.trace
    if result.exit_code:
        return False
    try:
        key = key_of(home.path)
        # The facts last: they take by far the longest, and whatever else forbids is known by then.
        body = b"".join((
            result.exit_code.to_bytes(4, "little"),
            result.outputs.to_bytes(4, "little"),
            reuse.wall_ns.to_bytes(8, "little"),
            _surroundings_part(key, reuse),
            part(_entry(reuse, restored=0)),
            part(_entry(reuse, restored=result.outputs)),
            _printed_parts(home, trace),
            *_seen_and_left(home, memo, reuse, key),
        ))  # fmt: skip
        words = [os.fsencode(word) for word in reuse.command]
        path = path_of(home.path, key, words, reuse.around.cwd)
        if waits_for is not None:
            path = waiting(path, str(waits_for))
        write(path, MAGIC + digest(key, body) + body)
    except (NoShortcutError, OSError):
        return False
    return True


def _entry(reuse: _Reuse, *, restored: int) -> bytes:
    told = reuse.result._replace(wall_s=0.0, saved_s=0.0, restored=restored)
    return encode({
        "entry": entry_of(told, reuse.command, {}),
        "kept_wall_ns": reuse.wall_ns,
        "kind": LEDGER_KIND,
        "subject": told.subject,
    })  # fmt: skip


def _seen_and_left(home: Home, memo: Memo, reuse: _Reuse, key: bytes) -> tuple[bytes, bytes]:
    """The facts, and the rows of the outputs that may be put back."""
    cwd = reuse.trace.surroundings.cwd
    comparison = Comparison(
        reuse.trace,
        present=Present(memo.cache, memo.key.seal),
        roots=Roots.around(Path(os.fsdecode(cwd)), reuse.env),
        store=home.store,
        products=lambda: reuse.products,
    )
    compiler = reuse.compiler
    facts = facts_of(comparison, cwd=cwd, clock=home.clock, key=key, compiler=compiler)
    rows = _NO_OUTPUTS
    if compiler:
        rows = output_rows(comparison, store=home.store, clock=home.clock, key=key)
    return part(fact_rows(facts)), rows


def _surroundings_part(key: bytes, reuse: _Reuse) -> bytes:
    now = reuse.around
    variables = {os.fsencode(name): os.fsencode(value) for name, value in reuse.env.items()}
    ignored = NEVER_MATTER | OF_BUILD_TOOLS if reuse.compiler else NEVER_MATTER
    for name in ignored:
        variables.pop(name, None)
    text = surroundings_text(now.umask, now.machine, variables)
    kind = _stdin_kind(reuse.trace.surroundings.stdin)
    streams = Streams(now.terminals, now.merged, now.window, kind)
    return part(b"\0".join(sorted(ignored))) + part(digest(key, text)) + streams.to_bytes()


def _stdin_kind(stdin: Stdin | None) -> StdinKind:
    match stdin:
        case Stdin("empty"):
            return StdinKind.NOTHING
        case Stdin("terminal"):
            return StdinKind.TERMINAL
        case Stdin("pipe", size=0, eof=False):
            return StdinKind.UNREAD
        case _:
            raise NoShortcutError("it read its standard input")


def _printed_parts(home: Home, trace: Trace) -> bytes:
    printed = b"" if trace.printed is None else home.store.get(trace.printed)
    if len(printed) > MOST_PRINTED_BYTES:
        raise NoShortcutError("it printed much")
    cuts = b"".join(bytes([cut.stream]) + cut.length.to_bytes(8, "little") for cut in trace.cuts)
    return part(cuts) + part(printed)
