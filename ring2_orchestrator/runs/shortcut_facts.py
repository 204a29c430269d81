"""Which looks at the file system prove that a decision to reuse would be made again."""

import os
import stat
from collections.abc import Iterator

from ring2_orchestrator.clock import Clock
from ring2_orchestrator.runs import bytecode, pseudo
from ring2_orchestrator.runs.compare import Comparison
from ring2_orchestrator.runs.paths import folder_of, join
from ring2_orchestrator.runs.statcache import is_settled, stamp_of
from ring2_orchestrator.runs.state import Present, What
from ring2_orchestrator.shortcuts.form import Fact, part, stamp_bytes

_MOST_BYTES = 4096
Facts = dict[bytes, tuple[Fact, bytes]]


class NoShortcutError(Exception):
    """Something that the answer rests on cannot be seen by a look; the text says what."""


def facts_of(comparison: Comparison, *, cwd: bytes, clock: Clock) -> Facts:
    """The facts that imply what `comparison` found: everything holds, and nothing is to restore.

    Raises NoShortcutError where it found otherwise, or a fact would have to be read to be known.
    """
    if comparison.input_changes(all_of_them=False) or comparison.obstacles():
        raise NoShortcutError("it does not hold any more")
    if comparison.stale_outputs() or comparison.old_outputs():
        raise NoShortcutError("its outputs do not stand")
    teller = _Teller(comparison.present, clock.now_ns())
    facts: Facts = {}
    for path, what in _statements(comparison):
        fact = teller.fact(path, what)
        known = facts.get(path)
        if known is None or fact[0] == Fact.STAMP:  # a stamp says the most
            facts[path] = fact
        elif known[0] != Fact.STAMP and known != fact:
            raise NoShortcutError("two statements about one path")
    for path, fact in _project_facts(cwd).items():
        facts.setdefault(path, fact)
    return facts


def _statements(comparison: Comparison) -> Iterator[tuple[bytes, int]]:
    """Every path that the comparison looked at, and what it looked for."""
    full = comparison.roots.full
    for row in comparison.trace.inputs:
        path = full(row.path)
        yield path, What.FILE if row.product else row.state.what
        if source := bytecode.source_of(path):
            yield source, What.FILE
    for output in comparison.trace.outputs:
        path = full(output.path)
        yield path, output.what
        if source := bytecode.source_of(path):
            yield source, What.FILE


def _project_facts(cwd: bytes) -> Facts:
    """Where the project was looked for: its folder decides what the trace's paths mean."""
    facts: Facts = {}
    while cwd != b"/":
        mark = join(cwd, b".git")
        if os.path.lexists(mark):
            facts[mark] = (Fact.PRESENT, b"")
            break
        facts[mark] = (Fact.ABSENT, b"")
        cwd = folder_of(cwd)
    return facts


class _Teller:
    def __init__(self, present: Present, now_ns: int) -> None:
        self._present = present
        self._now_ns = now_ns

    def fact(self, path: bytes, what: int) -> tuple[Fact, bytes]:
        """One fact that implies the statement, which is known to hold."""
        status = self._present.status(path)
        if what == What.BLANK:
            return Fact.BLANK, b""
        if status is None:
            return Fact.ABSENT, b""
        if what == What.DIR and stat.S_ISDIR(status.st_mode):
            return Fact.MODE, status.st_mode.to_bytes(4, "little")
        if what in (What.OTHER, What.PRESENT):
            return Fact.TYPE, stat.S_IFMT(status.st_mode).to_bytes(4, "little")
        if pseudo.is_pseudo(path) and not stat.S_ISLNK(status.st_mode):
            return self._kernels_own(path, status)
        if not is_settled(stamp_of(status), self._now_ns):
            raise NoShortcutError("it rests on a file that changed a moment ago")
        return Fact.STAMP, stamp_bytes(status)

    def _kernels_own(self, path: bytes, status: os.stat_result) -> tuple[Fact, bytes]:
        if not stat.S_ISREG(status.st_mode):
            raise NoShortcutError("it rests on a list of the kernel's own")
        data = pseudo.content(path) or b""
        if len(data) > _MOST_BYTES:
            raise NoShortcutError("it rests on a long file of the kernel's own")
        return Fact.BYTES, part(data)
