"""Keeps the leaves of a recorded run: each becomes a trace, a shortcut and a ledger entry."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cid_store.cid import Cid
from cid_store.errors import RedoxaError
from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger import Draft
from ring2_orchestrator.recorder.event import Recording
from ring2_orchestrator.runs.crates import dependency_folders
from ring2_orchestrator.runs.leaves.alone import Edit, Others, edits_of, speaks_to_others
from ring2_orchestrator.runs.leaves.front import without_front_end
from ring2_orchestrator.runs.leaves.subtree import Leaf, leaves_of
from ring2_orchestrator.runs.memo import Memo, weak_key
from ring2_orchestrator.runs.observe import Observation, observe
from ring2_orchestrator.runs.paths import canonical
from ring2_orchestrator.runs.presence import Candidate
from ring2_orchestrator.runs.result import LEDGER_KIND, RunResult, entry_of
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.secrets import Secrets
from ring2_orchestrator.runs.shortcut import foresee_reuse
from ring2_orchestrator.runs.state import What
from ring2_orchestrator.runs.surroundings import OF_BUILD_TOOLS, Stdin, Surroundings
from ring2_orchestrator.runs.trace import Trace


class Harvested(NamedTuple):
    """A leaf whose trace is stored, and may be published."""

    leaf: Leaf
    trace: Trace
    candidate: Candidate
    result: RunResult


def harvest(
    home: Home, memo: Memo, recording: Recording, scratch: Path, *, ours: frozenset[bytes]
) -> list[Harvested]:
    """Every leaf of the run that can be kept, its objects put in the store.

    `ours` are the programs that are wrappers: no other's word counts. Raises RedoxaError or OSError
    where the store cannot take them.
    """
    edits: list[Edit] | None = None
    found: list[Harvested] = []
    for leaf in leaves_of(recording, scratch, ours):
        edits = edits_of(recording.events) if edits is None else edits
        harvested = _harvested(home, memo, leaf, Others(leaf, edits), ours)
        if harvested is not None:
            found.append(harvested)
    return found


def publish(home: Home, memo: Memo, harvested: Sequence[Harvested]) -> None:
    """Let them answer from now on, and enter them in the ledger. Raises RedoxaError or OSError."""
    if not harvested:
        return
    with home.store.batch():
        for each in harvested:
            memo.publish(each.candidate.subject, each.candidate.entry)
    for each in harvested:
        with suppress(RedoxaError):  # without it the compiler runs again
            foresee_reuse(
                home,
                memo,
                each.candidate,
                each.trace,
                wall_s=each.leaf.recording.wall_s,
                env=_counted(each.leaf),
                waits=False,
            )
    home.ledger.append_all([_draft(each) for each in harvested])


def _harvested(
    home: Home, memo: Memo, leaf: Leaf, others: Others, ours: frozenset[bytes]
) -> Harvested | None:
    note, recording = leaf.note, leaf.recording
    secrets = Secrets.of(home.path, note.env, memo.key.seal)
    hidden = secrets.hidden(note.command) != list(note.command)
    if hidden or canonical(note.cwd) != os.fsencode(note.cwd):
        return None
    if speaks_to_others(recording.events, note.env):
        return None
    around = _around(memo, leaf)
    roots = Roots.around(note.cwd, note.env)
    own = canonical(home.path)
    recording = recording._replace(events=without_front_end(recording.events, own, ours))
    found = observe(
        recording,
        store=home.store,
        cache=memo.cache,
        roots=roots,
        home=own,
        started_ns=note.begun_ns,
        around=around,
        unlisted=dependency_folders(note.command, note.cwd),
        secrets=secrets,
    )
    if found.doubts or found.touched is None:
        return None
    listed = [roots.full(row.path) for row in found.inputs if row.state.what == What.NAMES]
    if others.disturbed(found.touched, listed):
        return None
    return _stored(memo, leaf._replace(recording=recording), around, roots, found)


def _stored(
    memo: Memo, leaf: Leaf, around: Surroundings, roots: Roots, found: Observation
) -> Harvested | None:
    note, recording = leaf.note, leaf.recording
    trace = Trace(
        command=tuple(os.fsencode(word) for word in note.command),
        root=roots.project,
        surroundings=around,
        inputs=tuple(found.inputs),
        targets=found.targets,
        outputs=tuple(found.outputs),
        exit_code=0,
        printed=found.printed,
        cuts=tuple(found.cuts),
    )
    cid, entry = memo.put(
        trace,
        wall_ns=int(recording.wall_s * 1e9),
        cpu_ns=int(recording.cpu_s * 1e9),
        max_rss_bytes=recording.max_rss_bytes,
    )
    subject = weak_key(note.command, note.cwd)
    if memo.is_condemned(subject, cid):
        return None
    result = _result(leaf, subject, cid, found)
    return Harvested(leaf, trace, Candidate(subject, entry), result)


def _around(memo: Memo, leaf: Leaf) -> Surroundings:
    note = leaf.note
    return Surroundings(
        cwd=canonical(note.cwd),
        umask=note.umask,
        environment=memo.key.digests(_counted(leaf)),
        machine=note.machine,
        terminals=note.terminals,
        window=note.window,
        stdin=Stdin("empty"),
        merged=note.merged,
    )


def _counted(leaf: Leaf) -> dict[str, str]:
    """The variables that count for a compiler."""
    env = leaf.note.env
    return {name: value for name, value in env.items() if os.fsencode(name) not in OF_BUILD_TOOLS}


def _result(leaf: Leaf, subject: str, cid: Cid, found: Observation) -> RunResult:
    recording = leaf.recording
    return RunResult(
        exit_code=0,
        verdict="ran",
        reason="a part of a recorded run, kept on its own",
        subject=subject,
        trace=cid,
        processes=found.processes,
        published=True,
        inputs=len(found.inputs),
        outputs=len(found.outputs),
        wall_s=recording.wall_s,
        cpu_s=recording.cpu_s,
        max_rss_bytes=recording.max_rss_bytes,
    )


def _draft(each: Harvested) -> Draft:
    entry = entry_of(each.result, each.leaf.note.command, each.leaf.recording.counts)
    return Draft([entry], LEDGER_KIND, each.result.subject, each.leaf.note.ended_ns)
