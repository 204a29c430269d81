"""One command's relocatable traces: which of them holds here, and what its own run adds to them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cid_store.cid import Cid
from cid_store.errors import RedoxaError
from ring2_orchestrator.home import Home
from ring2_orchestrator.recorder.stdin_kind import StdinKind
from ring2_orchestrator.runs.clones.above import TiedError
from ring2_orchestrator.runs.clones.aside import clones_key, digests_aside, put_aside
from ring2_orchestrator.runs.clones.entries import Entry, entries, put_entry
from ring2_orchestrator.runs.clones.judging import (
    names_folder,
    same_results,
    saw_other,
    tied_results,
)
from ring2_orchestrator.runs.clones.moving import Place, moved
from ring2_orchestrator.runs.clones.naming import logical_root, of_inputs, of_results
from ring2_orchestrator.runs.clones.shown import covers
from ring2_orchestrator.runs.clones.wanted import Moving
from ring2_orchestrator.runs.memo import Decision, Inquiry, Kept, Memo, Origin
from ring2_orchestrator.runs.paths import canonical, shown
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.stdin import StandardInput, rest_of_file
from ring2_orchestrator.runs.surroundings import NEVER_MATTER
from ring2_orchestrator.runs.trace import Trace


class Folders:
    """What runs of one command in other folders are worth in this one.

    `env` are the variables that may count. Use `elsewhere` for `Memo.decide`.
    """

    def __init__(
        self,
        home: Home,
        memo: Memo,
        moving: Moving,
        *,
        command: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
    ) -> None:
        assert moving is not Moving.NEVER, "whoever does not want it does not ask"
        self._home, self._memo, self._moving = home, memo, moving
        self._command, self._cwd, self._env = list(command), canonical(cwd), env
        self._roots = Roots.around(cwd, env)
        self._key = clones_key(command, self._cwd, self._roots)
        self._aside = digests_aside(env, self._roots.project, memo.key)
        self._person = canonical(env["HOME"]) if env.get("HOME") else None

    # Before the run.

    def elsewhere(self, inquiry: Inquiry, decision: Decision) -> Decision:
        """The decision by what other folders know; the same one, with a reason, where it is no."""
        found = list(self._entries())
        if not found or self._roots.project == b"/":
            return decision
        place = Place(self._roots, inquiry.around, self._command, self._person, self._aside)
        here: list[tuple[Kept, Entry]] = []
        tied = ""
        for entry in found:
            try:
                here.append((self._told(entry, place), entry))
            except TiedError as error:
                tied = tied or f"not reused from {shown(entry.kept.trace.root)}: {error}"
        if not here:
            return decision._replace(elsewhere=tied)
        here.sort(key=lambda pair: not self._is_enough(pair[1]))
        loaded = {kept.name: kept for kept, _ in here}
        names = [(kept.name, kept.cid) for kept, _ in here]
        answer = inquiry._replace(names=names, loaded=loaded).decide()
        by_name = {kept.name: entry for kept, entry in here}
        return self._judged(answer, by_name, inquiry, decision)

    def _entries(self) -> Iterator[Entry]:
        """Those that are of another folder, and that nothing has contradicted."""
        for entry in entries(self._home, self._key):
            if entry.kept.trace.root == self._roots.project:
                continue
            if not self._memo.is_condemned(self._key, entry.kept.cid):
                yield entry

    def _told(self, entry: Entry, place: Place) -> Kept:
        kept = entry.kept
        trace = moved(kept.trace, place, entry.aside, strict=self._moving is Moving.SHOWN)
        origin = Origin(kept.trace.root, self._key, kept.cid.digest)
        return kept._replace(name=entry.name, trace=trace, origin=origin)

    def _is_enough(self, entry: Entry) -> bool:
        """Whether what is known of the entry's folders speaks for this one."""
        if self._moving is Moving.SAID:
            return True
        places = [canonical(self._env[name]) for name in ("HOME", "TMPDIR") if self._env.get(name)]
        return covers(entry.roots, self._roots.project, places)

    def _judged(
        self,
        answer: Decision,
        by_name: Mapping[str, Entry],
        inquiry: Inquiry,
        decision: Decision,
    ) -> Decision:
        kept = answer.kept or answer.nearest
        if kept is None or kept.origin is None:
            return decision
        refusal = f"not reused from {shown(kept.origin.root)}: "
        if not answer.reuse:
            return decision._replace(
                elsewhere=refusal + answer.reason, changed=decision.changed or answer.changed
            )
        entry = by_name[kept.name]
        if (name := self._named_in(entry.kept.trace, kept.trace, inquiry.stdin)) is not None:
            return decision._replace(elsewhere=f"{refusal}{name} names the folder of a clone")
        if not self._is_enough(entry):
            count = len(set(entry.roots))
            known = "one folder has" if count == 1 else f"{count} folders more alike have"
            return decision._replace(
                elsewhere=f"{refusal}only {known} shown these results", candidate=kept
            )
        return answer._replace(known=decision.known)

    def _named_in(self, then: Trace, now: Trace, stdin: StandardInput | None) -> str | None:
        """What that the run reads names either folder, so that it might mean the other one."""
        root = self._roots.project
        spellings = of_inputs(then.root, root, self._person)
        texts = [("a word", put_aside(os.fsencode(word), root)) for word in self._command]
        texts += [
            (f"${name}", put_aside(os.fsencode(value), root))
            for name, value in self._env.items()
            if os.fsencode(name) not in NEVER_MATTER
        ]
        if stdin is not None:
            given = rest_of_file(stdin.descriptor) if stdin.kind is StdinKind.FILE else stdin.held
            texts.append(("standard input", given))
        return names_folder(now, spellings, self._roots, texts)

    # After a reuse.

    def adopt(self, decision: Decision) -> Cid | None:
        """Keep a trace of another folder as one of this, so that the next look-up finds it here."""
        kept = decision.kept
        assert kept is not None, "only what is reused is adopted"
        # Where it cannot be kept, the next look-up is as slow as this one.
        with suppress(RedoxaError, OSError), self._home.store.batch():
            cid, entry = self._memo.put(
                kept.trace,
                wall_ns=kept.wall_ns,
                cpu_ns=kept.cpu_ns,
                max_rss_bytes=kept.max_rss_bytes,
                origin=kept.origin,
            )
            if not self._memo.is_condemned(decision.subject, cid):
                self._memo.publish(decision.subject, entry)
                return cid
        return None

    # After a recording.

    def keep(self, decision: Decision, trace: Trace, cid: Cid, entry: Cid) -> str:
        """Let other folders find the trace just made; what there is to say of them, in words."""
        tied = self._tied(decision, trace, cid, entry)
        told = (decision.elsewhere, tied and f"not reusable in other folders: {tied}")
        return "; ".join(each for each in told if each)

    def _tied(self, decision: Decision, trace: Trace, cid: Cid, entry: Cid) -> str:
        """Put the trace where other folders find it, or say why not."""
        if trace.root != self._roots.project:
            return "the run made it another project"
        spellings = of_results(
            trace.root,
            self._person,
            logical_root(self._env.get("PWD"), self._cwd, self._roots.project),
        )
        if (reason := tied_results(trace, spellings, self._home.store)) is not None:
            return reason
        roots: tuple[bytes, ...] = ()
        confirmed = decision.candidate or decision.kept
        if confirmed is not None and confirmed.origin is not None:
            if (what := same_results(confirmed.trace, trace)) is not None:
                self._memo.mark_drifted(self._key, confirmed.origin.trace)
                self._memo.mark_drifted(self._key, cid.digest)
                where = shown(confirmed.origin.root)
                return f"{what} differs from the run in {where}"
            if saw_other(confirmed.trace, trace) is None:
                roots = self._roots_of(confirmed.origin)
        if self._memo.is_condemned(self._key, cid):
            return "a run there has contradicted these results"
        put_entry(
            self._home,
            self._key,
            entry,
            subject=decision.subject,
            aside=self._aside,
            shown=tuple(root for root in roots if root != trace.root),
        )
        return ""

    def _roots_of(self, origin: Origin) -> tuple[bytes, ...]:
        """The folders in which a trace's results are known to come of it."""
        for entry in entries(self._home, self._key):
            if entry.kept.cid.digest == origin.trace:
                return entry.roots
        return ()
