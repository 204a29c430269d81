"""Which looks at the file system prove that a decision to reuse would be made again."""

import os
import stat
from collections.abc import Iterator

from ring2_orchestrator.clock import Clock
from ring2_orchestrator.runs import bytecode, pseudo
from ring2_orchestrator.runs.compare import Comparison
from ring2_orchestrator.runs.paths import folder_of, join
from ring2_orchestrator.runs.statcache import is_settled, stamp_of
from ring2_orchestrator.runs.state import Present, What, digest_of
from ring2_orchestrator.shortcuts.form import NO_STAMP, Fact, digest, part, stamp_bytes

_MOST_BYTES = 4096
_STAMP_HEAD = 16  # device and inode, which no file has once they are zero
_MOST_CONTENT_BYTES = 256 << 20
_FULL = (Fact.STAMP, Fact.CONTENT, Fact.TIMED)
Facts = dict[bytes, tuple[Fact, bytes]]


class NoShortcutError(Exception):
    """Something that the answer rests on cannot be seen by a look; the text says what."""


def facts_of(
    comparison: Comparison, *, cwd: bytes, clock: Clock, key: bytes, compiler: bool = False
) -> Facts:
    """The facts that imply what `comparison` found: everything holds, and nothing is to restore.

    Of a `compiler` the outputs are left out, and the project's files count by their content.
    Raises NoShortcutError where it found otherwise, or a fact would have to be read to be known.
    """
    if comparison.input_changes(all_of_them=False) or comparison.obstacles():
        raise NoShortcutError("it does not hold any more")
    if comparison.stale_outputs() or comparison.old_outputs():
        raise NoShortcutError("its outputs do not stand")
    project = comparison.roots.project + b"/" if compiler else None
    teller = _Teller(comparison.present, clock.now_ns(), project, key)
    facts: Facts = {}
    for path, what in _statements(comparison, compiler=compiler):
        fact = teller.fact(path, what)
        known = facts.get(path)
        if known is None or fact[0] in _FULL:  # they say the most
            facts[path] = fact
        elif known[0] not in _FULL and known != fact:
            raise NoShortcutError("two statements about one path")
    for path, fact in _project_facts(cwd).items():
        facts.setdefault(path, fact)
    return facts


def _statements(comparison: Comparison, *, compiler: bool) -> Iterator[tuple[bytes, int]]:
    """Every path that the comparison looked at, and what it looked for."""
    full = comparison.roots.full
    own = {output.path for output in comparison.trace.outputs} if compiler else set[bytes]()
    for row in comparison.trace.inputs:
        if row.product and row.path in own:
            continue  # asked where it is put back
        path = full(row.path)
        yield path, What.FILE if row.product else row.state.what
        if source := bytecode.source_of(path):
            yield source, What.FILE
    for output in comparison.trace.outputs:
        if compiler:
            return
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
    def __init__(self, present: Present, now_ns: int, project: bytes | None, key: bytes) -> None:
        self._present = present
        self._now_ns = now_ns
        self._project = project  # the folder whose files count by content, if any do
        self._key = key

    def fact(self, path: bytes, what: int) -> tuple[Fact, bytes]:
        """One fact that implies the statement, which is known to hold."""
        status = self._present.status(path)
        if blocked := self._present.blocked(path):
            return Fact.BLOCKED, blocked.to_bytes(4, "little")
        if what == What.BLANK:
            return Fact.BLANK, b""
        if status is None:
            return Fact.ABSENT, b""
        if what == What.DIR and stat.S_ISDIR(status.st_mode):
            return Fact.MODE, status.st_mode.to_bytes(4, "little")
        if what in (What.OTHER, What.PRESENT):
            return Fact.TYPE, stat.S_IFMT(status.st_mode).to_bytes(4, "little")
        return self._of_content(path, what, status)

    def _of_content(self, path: bytes, what: int, status: os.stat_result) -> tuple[Fact, bytes]:
        if pseudo.is_pseudo(path) and not stat.S_ISLNK(status.st_mode):
            return self._kernels_own(path, status)
        if self._counts_by_content(path, what, status):
            return Fact.CONTENT, self._content(path, status)
        if not is_settled(stamp_of(status), self._now_ns):
            raise NoShortcutError("it rests on a file that changed a moment ago")
        # Inside a recorded run the time would have to count for that run, too.
        timed = what in (What.TIMED, What.SECRET)
        return Fact.TIMED if timed else Fact.STAMP, stamp_bytes(status)

    def _counts_by_content(self, path: bytes, what: int, status: os.stat_result) -> bool:
        """Whether a file that is written anew with the same bytes is to be known again."""
        if self._project is None or what != What.FILE or not stat.S_ISREG(status.st_mode):
            return False
        if status.st_size > _MOST_CONTENT_BYTES:
            return False
        settled = is_settled(stamp_of(status), self._now_ns)
        return path.startswith(self._project) or not settled

    def _content(self, path: bytes, status: os.stat_result) -> bytes:
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - a bytes path
                data = file.read()
        except OSError as error:
            raise NoShortcutError("an input cannot be read") from error
        if digest_of(data) != self._present.content(path):
            raise NoShortcutError("an input changed just now")
        return settled_stamp(status, self._now_ns) + digest(self._key, data)

    def _kernels_own(self, path: bytes, status: os.stat_result) -> tuple[Fact, bytes]:
        if not stat.S_ISREG(status.st_mode):
            raise NoShortcutError("it rests on a list of the kernel's own")
        data = pseudo.content(path) or b""
        if len(data) > _MOST_BYTES:
            raise NoShortcutError("it rests on a long file of the kernel's own")
        return Fact.BYTES, part(data)


def settled_stamp(status: os.stat_result, now_ns: int) -> bytes:
    """The file's stamp; one that no file has where it changed a moment ago."""
    stamp = stamp_bytes(status)
    if is_settled(stamp_of(status), now_ns):
        return stamp
    return NO_STAMP[:_STAMP_HEAD] + stamp[_STAMP_HEAD:]
