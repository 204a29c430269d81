"""Whether a command must run, by the traces of its earlier runs and three rules of what counts.

strict0  what Redoxa itself goes by: what was merely looked at counts by its content, too
strict   only what was opened or executed counts by its content; of another file that was looked at
         it counts that it is there
lax      as strict, and the names in folders that were listed do not count
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from cid_store.cid import Cid
from cid_store.errors import DamageError, MalformedNodeError
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.compare import Comparison
from ring2_orchestrator.runs.memo import Kept, Memo, weak_key
from ring2_orchestrator.runs.past import Run, runs
from ring2_orchestrator.runs.process_table import How, ProcessTable
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.state import Present, State, What
from ring2_orchestrator.runs.trace import Trace

UNKNOWN = -1
_LOOKED_AT = frozenset({What.FILE, What.TIMED, What.SECRET, What.UNREADABLE})
_USED = How.READ | How.EXECUTED


class Facts(NamedTuple):
    """What the traces say before a run. Without a trace of the last run everything has changed."""

    changed_strict0: bool = True
    changed_strict: bool = True
    changed_lax: bool = True
    n_changed: int = UNKNOWN
    changed_inputs: tuple[str, ...] = ()
    hit_any_strict: bool = False
    hit_any_lax: bool = False

    @classmethod
    def of_row(cls, row: Any) -> Self | None:  # noqa: ANN401 - whatever JSON held
        """The facts in a list that JSON made of them; None where it is none."""
        match row:
            case [
                bool() as strict0,
                bool() as strict,
                bool() as lax,
                int() as changed,
                [*inputs],
                bool() as hit_strict,
                bool() as hit_lax,
            ] if all(isinstance(path, str) for path in inputs):
                return cls(strict0, strict, lax, changed, tuple(inputs), hit_strict, hit_lax)
            case _:
                return None


_UNCHANGED = Facts(
    changed_strict0=False,
    changed_strict=False,
    changed_lax=False,
    n_changed=0,
    hit_any_strict=True,
    hit_any_lax=True,
)


def facts_before(command: Sequence[str], home: Home, *, cwd: Path, env: Mapping[str, str]) -> Facts:
    """The facts for the world as it is now; nothing is run. The surroundings count as unchanged."""
    memo = Memo(home)
    subject = weak_key(command, cwd)
    past = [run for run in runs(home, subject=subject) if isinstance(run, Run)]
    kept = _readable(memo, subject)
    last = next(kept, None)
    if not past or last is None:
        return Facts()
    question = _Question(memo, home, Roots.around(cwd, env), subject, past)
    if past[0].trace != last.cid:
        # Nothing was kept of the last run: there is nothing to compare with.
        return _hits(question, [last, *kept])
    changes = question.compared(last.trace).input_changes()
    if not changes:
        # What holds by the strictest rule holds by the others.
        return _UNCHANGED
    return _hits(question, [last, *kept])._replace(
        changed_strict=not question.holds(last, lists=True),
        changed_lax=not question.holds(last, lists=False),
        n_changed=len(changes),
        changed_inputs=tuple(change.path for change in changes),
    )


def _readable(memo: Memo, subject: str) -> Iterator[Kept]:
    """The traces that are kept of it, newest first, as far as they can be read."""
    with suppress(DamageError, MalformedNodeError):
        yield from memo.traces(subject)


def _hits(question: "_Question", kept: Sequence[Kept]) -> Facts:
    strict = any(question.holds(each, lists=True) for each in kept)
    lax = strict or any(question.holds(each, lists=False) for each in kept)
    return Facts(hit_any_strict=strict, hit_any_lax=lax)


class _Question:
    """The present, looked at once for all traces and rules."""

    def __init__(self, memo: Memo, home: Home, roots: Roots, subject: str, past: list[Run]) -> None:
        self._memo, self._home, self._roots, self._subject = memo, home, roots, subject
        self._present = Present(memo.cache, memo.key.seal)
        self._tables: Mapping[Cid | None, Cid | None] = {run.trace: run.processes for run in past}
        self._used: dict[Cid, frozenset[bytes] | None] = {}

    def compared(self, trace: Trace) -> Comparison:
        """The trace beside the present."""
        return Comparison(
            trace,
            present=self._present,
            roots=self._roots,
            store=self._home.store,
            products=lambda: self._memo.products(self._subject),
        )

    def holds(self, kept: Kept, *, lists: bool) -> bool:
        """Whether nothing has changed by the rule `strict`, or `lax` where names do not count."""
        used = self._used_by(kept)
        rows = [
            row._replace(state=State(What.PRESENT))
            if row.state.what in _LOOKED_AT and used is not None and row.path not in used
            else row
            for row in kept.trace.inputs
            if lists or row.state.what != What.NAMES
        ]
        # What lies in the project changes soonest, and is spelled so that it comes last.
        weaker = kept.trace._replace(inputs=tuple(reversed(rows)))
        return not self.compared(weaker).input_changes(all_of_them=False)

    def _used_by(self, kept: Kept) -> frozenset[bytes] | None:
        """What the run opened or executed; None where that is not known, and all may have been."""
        if kept.cid not in self._used:
            self._used[kept.cid] = self._looked_up(kept.cid)
        return self._used[kept.cid]

    def _looked_up(self, trace: Cid) -> frozenset[bytes] | None:
        name = self._tables.get(trace)
        if name is None:
            return None
        try:
            table = ProcessTable.load(self._home.store, name)
        except (DamageError, MalformedNodeError):
            return None
        if table.left_out:
            return None
        return frozenset(table.paths[use.path] for use in table.uses if use.how & _USED)
