"""From a recording to its trace: every input as it was at first sight, every output as it is left.

Observing reads files after the run, so it first asks whether they still are what the run saw; where
that cannot be shown, the answer is a doubt, and a run with any doubt is never published.
"""

import os
from collections.abc import Callable, Sequence

from cid_store.cid import Cid
from cid_store.store import Store
from ring2_orchestrator.recorder.event import (
    Chunk,
    Doubt,
    Event,
    Flag,
    Identity,
    Kind,
    Recording,
    StdinRecord,
)
from ring2_orchestrator.runs import bytecode, pseudo
from ring2_orchestrator.runs.chance import chance_doubts
from ring2_orchestrator.runs.fold import Depth, Edit, Folded, Look, fold
from ring2_orchestrator.runs.inputs import Inputs, identity_of
from ring2_orchestrator.runs.outputs import Outputs
from ring2_orchestrator.runs.paths import folder_of, inside, name_of, shown
from ring2_orchestrator.runs.process_table import table_of
from ring2_orchestrator.runs.pseudo import Class
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.secrets import Secrets
from ring2_orchestrator.runs.statcache import FINE_TIMES, StatCache
from ring2_orchestrator.runs.surroundings import CONTROLLING_TERMINAL, NO_TERMINAL, Surroundings
from ring2_orchestrator.runs.touched import Touched
from ring2_orchestrator.runs.trace import Cut, Input, Output

# Programs that carry the times of files into what they make.
TIME_READERS = frozenset({b"tar", b"bsdtar", b"cpio", b"zip", b"7z", b"rsync", b"stat"})

_GREETERS = frozenset({b"bash", b"sh"})
# With these doubts a recording may lack a path that the run touched.
_BLIND = frozenset({
    "foreign-abi", "foreign-memory", "lost-events", "namespace", "not-traced", "unknown-call",
    "unreadable",
})  # fmt: skip


class Observation:
    """What a recording comes to."""

    def __init__(self, doubts: list[Doubt]) -> None:
        self.inputs: list[Input] = []
        self.targets: dict[bytes, bytes] = {}
        self.outputs: list[Output] = []
        self.printed: Cid | None = None
        self.cuts: list[Cut] = []
        self.doubts = doubts
        self.touched: Touched | None = None  # None where calls were not seen
        self.processes: Cid | None = None  # the process table, which is kept whatever the doubts


def observe(
    recording: Recording,
    *,
    store: Store,
    cache: StatCache,
    roots: Roots,
    home: bytes,
    started_ns: int,
    around: Surroundings,
    secrets: Secrets,
    searched: Sequence[bytes] = (),
    unlisted: frozenset[bytes] = frozenset(),
) -> Observation:
    """Inputs, outputs and doubts of a recording; outputs and listings are put in the store.

    `home` is Redoxa's own state folder, which no published run may touch. `started_ns` is the wall
    time just before the recording began. `searched` are the paths at which the program was looked
    for, in vain, before it started; `unlisted` folders whose names do not count. No `secrets` are
    put in the store.
    """
    folded = fold(recording.events, times_matter=TIME_READERS)
    for path in searched:
        folded.looks.setdefault(path, Look(None, Depth.LOOKED, b""))
    found = Observation(doubts=[*recording.doubts, *(Doubt(*each) for each in folded.problems)])

    def doubt(kind: str, detail: str) -> None:
        if (new := Doubt(kind, detail)) not in found.doubts:
            found.doubts.append(new)

    for detail in chance_doubts(recording.events, recording.processes, folded.looks):
        doubt("random", detail)
    _judge_stdin(recording.stdin, doubt)
    if around.machine.get(CONTROLLING_TERMINAL) != NO_TERMINAL or any(recording.terminals):
        _judge_terminal_use(recording.events, doubt)
    pids = frozenset(process.pid for process in recording.processes)
    _judge_places(folded, pids, home, doubt)
    _note_failed_edits(folded)
    _learn_secrets(folded, secrets)
    outputs = Outputs(
        folded.edits,
        store=store,
        roots=roots,
        started_ns=started_ns,
        secrets=secrets,
        doubt=doubt,
    )
    if not found.doubts:
        # The store is not filled with the outputs of a run that cannot be published anyway.
        found.outputs = outputs.collect()
    inputs = Inputs(
        folded,
        store=store,
        cache=cache,
        roots=roots,
        started_ns=started_ns,
        umask=around.umask,
        secrets=secrets,
        doubt=doubt,
        unlisted=unlisted,
    )
    found.inputs = inputs.collect({output.path: output for output in found.outputs})
    found.targets = inputs.targets
    found.cuts = _cuts(recording.output)
    printed = b"".join(chunk.data for chunk in recording.output)
    if (secret := secrets.found_in(printed)) is not None:
        doubt("secret", f"printed what {secret} holds, and no secret is kept")
    if found.cuts and not found.doubts:
        found.printed = store.put(printed)
    if recording.complete and not any(doubt.kind in _BLIND for doubt in recording.doubts):
        found.touched = _touched(folded)
    known = folded.looks.keys() | folded.edits.keys()
    found.processes = table_of(recording, known, roots=roots, secrets=secrets).put(store)
    cache.save()
    return found


def _learn_secrets(folded: Folded, secrets: Secrets) -> None:
    """Look out for what the run could read in secret files, before anything of it is kept."""
    for path, look in folded.looks.items():
        if look.before is not None and look.before.is_file and secrets.is_file(path):
            kept = folded.preimages.get(path)
            secrets.learn_file(path, path if kept is None else os.fsencode(kept))
            if path in folded.moves:
                secrets.learn_file(path, folded.moves[path])


def _judge_terminal_use(events: Sequence[Event], doubt: Callable[[str, str], None]) -> None:
    """Whoever opens the terminal by name speaks to the person past our recording."""
    for event in events:
        if event.path != b"/dev/tty" or event.kind not in (Kind.READ, Kind.WRITE):
            continue
        # Each bash opens and closes it when it starts, only to learn whether it is there.
        greeting = event.kind is Kind.WRITE and event.flags == Flag.READS
        if not (greeting and name_of(event.program) in _GREETERS):
            doubt("terminal-input", "used the terminal directly (/dev/tty)")
            return


def _judge_stdin(record: StdinRecord, doubt: Callable[[str, str], None]) -> None:
    """Of a file that is standard input, what lay ahead when the run began was to be read."""
    if record.before is None or record.after is None or not record.before.is_file:
        return
    if record.before[1:5] != record.after[1:5]:  # device, inode, size, time
        doubt("changed", "the file that is standard input changed while the run was going on")
    if record.end < record.offset:
        doubt("rewound", "standard input was wound back to before where the run began")


def _judge_places(
    folded: Folded, pids: frozenset[int], home: bytes, doubt: Callable[[str, str], None]
) -> None:
    """Drop paths that are no files, and doubt those that no run may touch."""
    processes = folded.looks.get(b"/proc")
    if processes is not None and processes.is_listed:
        doubt("outside-process", "listed the machine's processes")
    for table in (folded.looks, folded.edits):
        for path in list(table):
            if inside(path, home):
                doubt("own-state", f"touched Redoxa's own state ({shown(path)})")
                return
            kind = pseudo.classify(path, pids)
            if kind is Class.REFUSED:
                doubt("device", f"used {shown(path)}")
            elif kind is Class.MACHINE and table is folded.edits:
                doubt("machine-state", f"changed {shown(path)}")
            if kind is not Class.FILE and kind is not Class.MACHINE:
                del table[path]


def _note_failed_edits(folded: Folded) -> None:
    """A change that did not take place told the run something about what stands there."""
    for path, edit in folded.unseen.items():
        now = identity_of(path)
        if now is not None and now[1:3] == edit.expect:
            folded.edits.setdefault(path, edit)  # it had only not taken place yet
    for path, edit in folded.edits.items():
        now = identity_of(path)
        if now is None and edit.before is None and not edit.seen_since:
            folded.looks.setdefault(path, Look(None, Depth.LOOKED, b""))
            parent = folder_of(path)
            if parent not in folded.edits:
                folded.looks.setdefault(parent, Look(identity_of(parent), Depth.LOOKED, b""))
        elif now is not None and now == edit.before:
            folded.looks.setdefault(path, Look(edit.before, Depth.LOOKED, b""))


def _touched(folded: Folded) -> Touched:
    """All paths of the run but bytecode caches, which every Python makes alike from the source."""
    wrote: set[bytes] = set()
    made: set[bytes] = set()
    for path, edit in folded.edits.items():
        if bytecode.source_of(path) is not None:
            continue
        now = identity_of(path)
        if now is not None and now == edit.before and (FINE_TIMES or not edit.wrote):
            continue  # nothing came of it
        (made if _only_made(edit, now) else wrote).add(path)
    looks = {path: look for path, look in folded.looks.items() if not bytecode.source_of(path)}
    return Touched(
        frozenset(wrote),
        frozenset(made),
        frozenset(looks),
        frozenset(path for path, look in looks.items() if look.before is None),
    )


def _only_made(edit: Edit, now: Identity | None) -> bool:
    """Whether the path is a folder that the run made where nothing was, and did not change."""
    new = edit.made_dir and edit.before is None
    return new and edit.blind and not edit.wrote and now is not None and now.is_dir


def _cuts(chunks: Sequence[Chunk]) -> list[Cut]:
    """Which stretches of the output went to which stream; neighbours are joined."""
    cuts: list[Cut] = []
    for chunk in chunks:
        if cuts and cuts[-1].stream == chunk.stream:
            cuts[-1] = Cut(chunk.stream, cuts[-1].length + len(chunk.data))
        elif chunk.data:
            cuts.append(Cut(chunk.stream, len(chunk.data)))
    return cuts
