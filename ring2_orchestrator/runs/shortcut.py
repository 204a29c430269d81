"""Writes the shortcut of a reuse that restored nothing.

A shortcut is a cache: losing it costs time, and whatever it cannot answer Python does.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cid_store.encoding import encode
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.compare import Comparison
from ring2_orchestrator.runs.memo import Decision, Memo
from ring2_orchestrator.runs.result import LEDGER_KIND, RunResult, entry_of
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.shortcut_facts import Facts, NoShortcutError, facts_of
from ring2_orchestrator.runs.state import Present
from ring2_orchestrator.runs.surroundings import NEVER_MATTER, Stdin, Surroundings
from ring2_orchestrator.runs.trace import Trace
from ring2_orchestrator.shortcuts.folder import path_of, write
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

MOST_PRINTED_BYTES = 1 << 20


def leave_shortcut(
    home: Home,
    memo: Memo,
    decision: Decision,
    result: RunResult,
    *,
    command: Sequence[str],
    env: Mapping[str, str],
) -> bool:
    """Leave a shortcut to the reuse just made; False where there can be none, or none be written.

    Everything is looked at again, so that the shortcut rests on one moment.
    """
    kept, around = decision.kept, decision.around
    if kept is None or around is None or result.restored or result.exit_code:
        return False
    entry = {
        "entry": entry_of(result._replace(wall_s=0.0, saved_s=0.0), command, {}),
        "kept_wall_ns": kept.wall_ns,
        "kind": LEDGER_KIND,
        "subject": decision.subject,
    }
    try:
        key = key_of(home.path)
        # The facts last: they take by far the longest, and whatever else forbids is known by then.
        body = b"".join((
            result.exit_code.to_bytes(4, "little"),
            result.outputs.to_bytes(4, "little"),
            kept.wall_ns.to_bytes(8, "little"),
            _surroundings_part(key, kept.trace.surroundings, around, env),
            part(encode(entry)),
            _printed_parts(home, kept.trace),
            fact_rows(_facts_now(home, memo, decision, kept.trace, env)),
        ))  # fmt: skip
        words = [os.fsencode(word) for word in command]
        write(path_of(home.path, key, words, around.cwd), MAGIC + digest(key, body) + body)
    except (NoShortcutError, OSError):
        return False
    return True


def _facts_now(
    home: Home, memo: Memo, decision: Decision, trace: Trace, env: Mapping[str, str]
) -> Facts:
    cwd = trace.surroundings.cwd
    comparison = Comparison(
        trace,
        present=Present(memo.cache, memo.key.seal),
        roots=Roots.around(Path(os.fsdecode(cwd)), env),
        store=home.store,
        products=lambda: memo.products(decision.subject),
    )
    return facts_of(comparison, cwd=cwd, clock=home.clock)


def _surroundings_part(
    key: bytes, recorded: Surroundings, now: Surroundings, env: Mapping[str, str]
) -> bytes:
    variables = {os.fsencode(name): os.fsencode(value) for name, value in env.items()}
    for name in NEVER_MATTER:
        variables.pop(name, None)
    text = surroundings_text(now.umask, now.machine, variables)
    streams = Streams(now.terminals, now.merged, now.window, _stdin_kind(recorded.stdin))
    return part(b"\0".join(sorted(NEVER_MATTER))) + part(digest(key, text)) + streams.to_bytes()


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
