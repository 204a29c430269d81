"""Whether a leaf was left alone: what it saw and left must be told from the disk at the run's end.

A leaf ends long before the run. So nobody else may have changed, from its first step to the end
of the run, what it left; nor, while it went on, what it saw.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ring2_orchestrator.recorder.event import Event, Flag, Kind
from ring2_orchestrator.runs.leaves.subtree import Leaf
from ring2_orchestrator.runs.paths import folder_of
from ring2_orchestrator.runs.touched import Touched, harm

_REMOVING = frozenset({Kind.UNLINK, Kind.RMDIR, Kind.RENAME})
_EDITING = _REMOVING | {
    Kind.MKDIR, Kind.LINK, Kind.SYMLINK, Kind.METADATA, Kind.TRUNCATE, Kind.MKNOD, Kind.BIND,
}  # fmt: skip
_CHANNELS = frozenset({stat.S_IFIFO, stat.S_IFSOCK})
_JOBS = re.compile(r"--jobserver-(?:auth|fds)=(\d+),(\d+)", re.ASCII)
_BOTH = frozenset({Kind.RENAME, Kind.LINK})


class Edit(NamedTuple):
    """One call by which something at a path may have changed."""

    at: int  # its place in the run
    pid: int
    path: bytes
    kind: Kind
    stood: bool  # whether something stood there before


def edits_of(events: Sequence[Event]) -> list[Edit]:
    """Every change that the run may have made, in order."""
    return [edit for at, event in enumerate(events) for edit in _edits(at, event)]


def _edits(at: int, event: Event) -> Iterator[Edit]:
    if event.kind is Kind.WRITE:
        flags, stood = event.flags, event.before is not None
        in_vain = not flags & Flag.CREATE if not stood else flags & Flag.EXCLUSIVE
        if event.before is not None and stat.S_IFMT(event.before.mode) in _CHANNELS:
            return  # what goes through it changes nothing that stands anywhere
        if not flags & Flag.NAMELESS and not in_vain:
            yield Edit(at, event.pid, event.path, event.kind, stood)
    elif event.kind in _EDITING:
        yield Edit(at, event.pid, event.path, event.kind, event.before is not None)
        if event.kind in _BOTH and event.path2 is not None:
            yield Edit(at, event.pid, event.path2, Kind.WRITE, event.before2 is not None)


def speaks_to_others(events: Sequence[Event], env: Mapping[str, str]) -> bool:
    """Whether a leaf was told something by another process of the run, past all files.

    The pipe of a build's jobs, which the variables name, tells nothing: its bytes are leave to go
    on, all alike. rustc opens it anew by its number, and was given no other pipe (leaf.c).
    """
    jobs = _pipe_of_jobs(env)
    return any(
        event.kind is Kind.CONNECT
        or (
            event.before is not None
            and stat.S_IFMT(event.before.mode) in _CHANNELS
            and not (event.path in jobs and stat.S_ISFIFO(event.before.mode))
        )
        for event in events
    )


def _pipe_of_jobs(env: Mapping[str, str]) -> set[bytes]:
    """The descriptors by which make and cargo hand on their jobs' pipe, as a process opens them."""
    found: set[bytes] = set()
    for name in ("MAKEFLAGS", "CARGO_MAKEFLAGS"):
        for first, second in _JOBS.findall(env.get(name, "")):
            found |= {b"/proc/self/fd/" + number.encode() for number in (first, second)}
    return found


class Others:
    """What all other processes of the run changed from a leaf's first step on."""

    def __init__(self, leaf: Leaf, edits: Sequence[Edit]) -> None:
        self._leaf = leaf
        since = [edit for edit in edits if edit.at >= leaf.begin and edit.pid != leaf.wrapper]
        self._own = [edit for edit in since if edit.pid in leaf.pids]
        self._theirs = [edit for edit in since if edit.pid not in leaf.pids]

    def disturbed(self, touched: Touched, listed: Sequence[bytes]) -> bool:
        """Whether they may have changed what the leaf saw or left; `listed` are folders."""
        return (
            harm(touched, self._meanwhile()) is not None
            or self._outputs_changed()
            or not {folder_of(edit.path) for edit in self._theirs}.isdisjoint(listed)
            or self._way_changed(touched.missed)
        )

    def _meanwhile(self) -> Touched:
        now = [edit for edit in self._theirs if edit.at <= self._leaf.end]
        made = {edit.path for edit in now if edit.kind is Kind.MKDIR}
        return Touched(frozenset(edit.path for edit in now) - made, frozenset(made))

    def _outputs_changed(self) -> bool:
        mine = frozenset(edit.path for edit in self._own)
        theirs = frozenset(edit.path for edit in self._theirs if edit.kind is not Kind.MKDIR)
        if harm(Touched(wrote=mine), Touched(wrote=theirs)) is not None:
            return True
        last = {edit.path: edit for edit in self._own}
        return any(not self._stands(edit) for edit in last.values())

    def _stands(self, last: Edit) -> bool:
        """Whether what the leaf changed last at a path has been left as it was then."""
        try:
            status = os.lstat(last.path)
        except OSError:
            return last.kind in _REMOVING
        # The times of a folder tell only that its entries come and go.
        return stat.S_ISDIR(status.st_mode) or status.st_ctime_ns <= self._leaf.note.ended_ns

    def _way_changed(self, missed: frozenset[bytes]) -> bool:
        """Whether a folder on the way to what was missing was another then: so was the error."""
        changed = {edit.path for edit in self._theirs if edit.stood}
        return any(not changed.isdisjoint(_above(path)) for path in missed)


def _above(path: bytes) -> Iterator[bytes]:
    while (path := folder_of(path)) != b"/":
        yield path
