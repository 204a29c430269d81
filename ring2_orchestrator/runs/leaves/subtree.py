"""From the recording of a whole run to that of each leaf in it, as if it had run alone."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ring2_orchestrator.recorder.event import (
    Again,
    Event,
    Exit,
    Kind,
    ProcessRecord,
    Recording,
    StdinRecord,
    Window,
)
from ring2_orchestrator.recorder.stdin_kind import StdinKind
from ring2_orchestrator.runs.leaves.note import ENDED, FOLDER, Note, read_notes
from ring2_orchestrator.runs.paths import canonical, inside

# What is doubted of a run because of how it ended says nothing of what had ended before.
_OF_THE_END = frozenset({
    "detached", "killed", "out-of-memory", "output-closed", "output-lost", "output-size", "signal",
    "timeout",
})  # fmt: skip
_LOOKS = frozenset({
    Kind.READ, Kind.STAT, Kind.READLINK, Kind.LIST, Kind.EXEC, Kind.CHDIR, Kind.CONNECT,
    Kind.PRESERVE,
})  # fmt: skip
_Placed = tuple[int, Event]  # an event after its place in the run: odd, and even where told again


class Leaf(NamedTuple):
    """One leaf: its note, its own recording, and its place among the events of the whole run."""

    note: Note
    recording: Recording
    pids: frozenset[int]
    wrapper: int  # the process that stood in the compiler's place and started it
    begin: int
    end: int


def leaves_of(recording: Recording, scratch: Path, ours: frozenset[bytes]) -> Iterator[Leaf]:
    """Every leaf that ended well and whose processes are all known; none where anything is doubted.

    Of a doubt it is not known which process it is about, nor which note is true where any program
    but `ours` changed something among them.
    """
    if not recording.complete or any(each.kind not in _OF_THE_END for each in recording.doubts):
        return
    folder = canonical(scratch / FOLDER)
    if any(_meddles(event, folder, ours) for event in recording.events):
        return
    notes = read_notes(scratch)
    marks = _marks(recording.events, folder)
    family = _Family(recording.processes)
    by_process = _by_process(recording)
    for note in notes:
        begin, end = marks.get(note.name), marks.get(note.name + ENDED)
        if begin is None or end is None:
            continue
        processes = family.below(note.pid, begin[1], end[1])
        if processes:
            pids = frozenset(process.pid for process in processes)
            placed = [each for pid in pids for each in by_process.get(pid, ())]
            placed.sort(key=lambda each: each[0])
            events = [event for _, event in placed]
            alone = _recording(note, processes, events, recording)
            yield Leaf(note, alone, pids, begin[1].pid, begin[0], end[0])


def _recording(
    note: Note, processes: list[ProcessRecord], events: list[Event], whole: Recording
) -> Recording:
    places = {process.pid: at for at, process in enumerate(processes)}
    return Recording(
        events=events,
        exit=Exit(0, None),
        output=list(note.printed),
        stdin=StdinRecord(kind=StdinKind.EMPTY),
        processes=processes,
        wall_s=(note.ended_ns - note.begun_ns) / 1e9,
        cpu_s=sum(process.cpu_s or 0.0 for process in processes),
        max_rss_bytes=max(process.max_rss_bytes or 0 for process in processes),
        complete=True,
        doubts=[],
        terminals=note.terminals,
        window=None if note.window is None else Window(*note.window),
        merged=note.merged,
        counts=dict(sorted(Counter(event.kind.value for event in events).items())),
        uses=[
            (places[whole.processes[at].pid], path)
            for at, path in whole.uses
            if whole.processes[at].pid in places
        ],
        timed_out=False,
        interrupted=False,
        again=[],
    )


def _meddles(event: Event, folder: bytes, ours: frozenset[bytes]) -> bool:
    """Whether another program than ours changes a note, or puts another folder in their place."""
    if event.kind in _LOOKS or event.program in ours:
        return False
    paths = [event.path] if event.path2 is None else [event.path, event.path2]
    if any(path == folder or inside(path, folder) for path in paths):
        return True
    return event.kind is Kind.RENAME and any(inside(folder, path) for path in paths)


def _marks(events: Sequence[Event], folder: bytes) -> dict[str, _Placed]:
    """Where in the run each file of the leaves' folder was made."""
    prefix = folder + b"/"
    return {
        event.path[len(prefix) :].decode("ascii", "replace"): (at, event)
        for at, event in enumerate(events)
        if event.kind is Kind.WRITE and event.path.startswith(prefix)
    }


def _by_process(recording: Recording) -> dict[int, list[_Placed]]:
    """The events of each process, with those looks that were told in short: others had them too."""
    found: dict[int, list[_Placed]] = {}
    last: dict[tuple[Kind, bytes], Event] = {}
    again: dict[int, list[Again]] = {}
    for look in recording.again:
        again.setdefault(look.place, []).append(look)
    for at in range(len(recording.events) + 1):
        for look in again.get(at, ()):
            same = last[look.kind, look.path]._replace(pid=look.pid, preimage=None)
            found.setdefault(look.pid, []).append((2 * at, same))
        if at < len(recording.events):
            event = recording.events[at]
            found.setdefault(event.pid, []).append((2 * at + 1, event))
            last[event.kind, event.path] = event
    return found


class _Family:
    """Who started whom."""

    def __init__(self, processes: Sequence[ProcessRecord]) -> None:
        self._numbers = Counter(process.pid for process in processes)
        self._of: dict[int, ProcessRecord] = {process.pid: process for process in processes}
        self._children: dict[int, list[ProcessRecord]] = {}
        for process in processes:
            self._children.setdefault(process.ppid, []).append(process)
        # Their parents had ended before they were first seen, so whose they are is not known.
        self._orphans = [each for each in processes[1:] if each.ppid not in self._of]

    def below(self, pid: int, begin: Event, end: Event) -> list[ProcessRecord]:
        """The process and all its descendants; none where they are not all known to have ended."""
        if pid not in self._of or self._of[pid].ppid != begin.pid or begin.pid != end.pid:
            return []
        found, at = [self._of[pid]], 0
        while at < len(found):
            found += self._children.get(found[at].pid, ())
            at += 1
        if any(orphan.start_ns >= begin.time_ns for orphan in self._orphans):
            return []
        fine = all(
            self._numbers[each.pid] == 1
            and each.start_ns >= begin.time_ns
            and each.end_ns is not None
            and each.end_ns <= end.time_ns
            for each in found
        )
        return sorted(found, key=lambda each: each.start_ns) if fine else []
