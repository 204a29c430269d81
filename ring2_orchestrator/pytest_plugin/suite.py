"""The test files of a session as recorded runs: whether one holds, and what running one gave."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self, cast

from cid_store.cid import Cid
from cid_store.errors import InputError, RedoxaError
from ring2_orchestrator.home import Home
from ring2_orchestrator.pytest_plugin import results
from ring2_orchestrator.pytest_plugin.places import Places
from ring2_orchestrator.pytest_plugin.results import Line, is_clean, lines_in
from ring2_orchestrator.runs.answer import answer_of
from ring2_orchestrator.runs.execute import execute
from ring2_orchestrator.runs.marks import Marks
from ring2_orchestrator.runs.memo import Decision, Kept, Memo
from ring2_orchestrator.runs.past import run_in
from ring2_orchestrator.runs.paths import inside
from ring2_orchestrator.runs.result import LEDGER_KIND, RunResult, append_run
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.stdin import StandardInput
from ring2_orchestrator.runs.why import Explanation, explain
from ring2_orchestrator.steering.expectation import (
    foreseen_of,
    history_from,
    learned_in,
    rounds_in,
    runs_of,
    seconds_of,
)
from ring2_orchestrator.steering.order import first_to_last
from ring2_orchestrator.steering.suspicion import Foreseen, Past

_UNCHANGED = "unchanged since run "


class Done(NamedTuple):
    """What became of one test file. `since` is the reason it was skipped; None if it ran."""

    lines: Sequence[Line]
    since: str | None = None
    exit_code: int = 0
    reason: str = ""  # why it ran
    doubts: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    saved_s: float = 0.0


class Suite:
    """Decides about test files and runs them. `words` are all of a command but the names."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        places: Places,
        home: Path,
        cwd: Path,
        env: Mapping[str, str],
        has_cache: bool,
    ) -> None:
        self._words, self._places, self._home_path = words, places, home
        self._has_cache = has_cache
        self._cwd, self._env = cwd, env
        self._home: Home | None = None
        # A process may end with 0 and without having run its tests: what it left is no pass.
        self._distrusted: set[Path] = set()
        self._nothing = os.open(os.devnull, os.O_RDWR)
        self._pipe = os.pipe()

    def close(self) -> None:
        """Give back all that is open."""
        self.rest()
        for descriptor in (self._nothing, *self._pipe):
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def rest(self) -> None:
        """Close the home: nothing of it may be open when a process is forked."""
        if self._home is not None:
            self._home.close()
            self._home = None

    def _opened(self) -> Home:
        if self._home is None:
            self._home = Home(self._home_path)
        return self._home

    def _command(self, targets: Sequence[str], folder: Path) -> list[str]:
        temporary = f"--basetemp={folder / results.TEMPORARY}"
        cache = ["-o", f"cache_dir={folder / results.CACHE}"] if self._has_cache else []
        return [*self._words, f"--redoxa-child={folder}", temporary, *cache, *targets]

    def look(self, file: Path, targets: Sequence[str]) -> Done | None:
        """The file as skipped, if nothing changed and there is nothing to put back; else None."""
        folder = self._places.prepared(file)
        command = self._command(targets, folder)
        home = self._opened()
        decision = Memo(home).decide(
            command,
            cwd=self._cwd,
            env=self._env,
            # Such as a worker has: an empty input, no terminal, and errors apart from the output.
            stdin=StandardInput(self._nothing),
            streams=(self._nothing, self._nothing, self._pipe[1]),
        )
        kept = decision.kept
        if not decision.reuse or kept is None:
            return None
        lines = self._report_in(home, kept, folder)
        if not is_clean(lines):
            self._distrusted.add(file)
            return None
        if self._is_to_restore(decision, folder):
            return None
        return self._skipped(home, decision, kept, command, lines)

    def foresee(self, files: Mapping[Path, Sequence[str]]) -> list[Path]:
        """The files in the order that should show a failure soonest; runs and tells nothing."""
        home = self._opened()
        memo, roots = Memo(home), Roots.around(self._cwd, self._env)
        commands = [
            self._command(targets, self._places.prepared(file)) for file, targets in files.items()
        ]
        decisions: list[Decision] = [
            memo.decide(command, cwd=self._cwd, env=self._env, streams=None) for command in commands
        ]
        pasts = runs_of(home, {decision.subject for decision in decisions})
        rounds, learned = rounds_in(pasts), learned_in(home)
        found: list[Foreseen] = []
        for file, command, decision in zip(files, commands, decisions, strict=True):
            kept = decision.kept or decision.nearest
            past = pasts[decision.subject]
            executed = [run for run in past if run.verdict != "reused"]
            paths = tuple(change.path for change in decision.changed)
            foreseen = foreseen_of(
                learned, decision.subject, command, changed=not decision.reuse, paths=paths
            )
            found.append(
                Foreseen(
                    name=os.path.relpath(file, self._cwd),
                    past=tuple(
                        Past(run.changed, bool(run.exit_code), rounds[run.seq]) for run in executed
                    ),
                    changed=paths,
                    known=bool(executed),
                    failed_so=decision.holds and not decision.reuse,
                    unchanged=decision.reuse,
                    seconds=seconds_of(history_from(past), foreseen),
                    marks=None if kept is None else Marks.of_trace(kept.trace, roots),
                    learned=foreseen.ends.failure.probability if executed else None,
                )
            )
        names = list(files)
        return [names[at] for at in first_to_last(found)]

    def _is_to_restore(self, decision: Decision, folder: Path) -> bool:
        """Whether a reuse would put back more than the report, which the store gives as well."""
        roots = Roots.around(self._cwd, self._env)
        mine = os.fsencode(folder)
        return any(not inside(roots.full(path), mine) for path in (*decision.stale, *decision.old))

    def _report_in(self, home: Home, kept: Kept, folder: Path) -> Sequence[Line]:
        """What a kept run reported; nothing where that is lost."""
        roots = Roots.around(self._cwd, self._env)
        wanted = os.fsencode(folder / results.NAME)
        for output in kept.trace.outputs:
            if output.cid is not None and roots.full(output.path) == wanted:
                with suppress(RedoxaError):
                    return list(lines_in(home.store.get(output.cid)))
        return ()

    def _skipped(
        self,
        home: Home,
        decision: Decision,
        kept: Kept,
        command: Sequence[str],
        lines: Sequence[Line],
    ) -> Done:
        since = _since(home, decision.subject, kept.cid)
        saved_s = kept.wall_ns / 1e9
        result = RunResult(
            exit_code=kept.trace.exit_code,
            verdict="reused",
            reason=since,
            subject=decision.subject,
            trace=kept.cid,
            inputs=len(kept.trace.inputs),
            outputs=len(kept.trace.outputs),
            saved_s=saved_s,
        )
        append_run(home.ledger, result, command, {})
        return Done(lines, since=since, saved_s=saved_s)

    def explain(self, file: Path, targets: Sequence[str]) -> Explanation:
        """Whether the file would be skipped, and what changed; nothing is run."""
        command = self._command(targets, self._places.prepared(file))
        return explain(command, home=self._opened(), cwd=self._cwd, env=self._env)

    # In the process of one file.

    def act(self, file: Path, targets: Sequence[str]) -> bytes:
        """Run it, recorded; what became of it, for `done`."""
        try:
            return json.dumps(self._act(file, targets)).encode()
        except (RedoxaError, OSError) as error:
            return json.dumps({"refused": str(error)}).encode()

    def _act(self, file: Path, targets: Sequence[str]) -> dict[str, object]:
        command = self._command(targets, self._places.prepared(file))
        with Home(self._home_path) as home:
            result = execute(
                command,
                home=home,
                cwd=self._cwd,
                env=self._env,
                reuse=file not in self._distrusted,
            )
            # It is reused here where something had to be put back.
            since = _since(home, result.subject, result.trace) if result.trace else ""
        return {**answer_of(command, result), "since": since if result.reused else ""}

    # Back in our own.

    def done(self, file: Path, answer: bytes, status: int) -> Done:
        """What the process of a file told, and what it left. Raises InputError if it never ran."""
        folder = self._places.of(file)
        report = folder / results.NAME
        lines = list(lines_in(report.read_bytes())) if report.exists() else []
        if not answer:
            self._places.empty(folder, keep_temporary=True)
            return Done(lines, exit_code=status, reason="its recording came to no end")
        told = cast("Mapping[str, object]", json.loads(answer))
        if "refused" in told:
            raise InputError(f"{file.name} could not be recorded: {told['refused']}")
        code = cast("int", told["exit_code"])
        self._places.empty(folder, keep_temporary=code != 0)
        doubts = cast("Sequence[Mapping[str, str]]", told["doubts"])
        changed = cast("Sequence[Mapping[str, str]]", told["changed"])
        return Done(
            lines,
            since=str(told["since"]) or None,
            exit_code=code,
            reason=str(told["reason"]),
            doubts=tuple(each["detail"] for each in doubts),
            changed=tuple(f"{each['path']}: {each['was']} -> {each['now']}" for each in changed),
            saved_s=cast("float", told["saved_s"]),
        )


def _since(home: Home, subject: str, trace: Cid) -> str:
    """Since when nothing changed: the run that made the recording, as the ledger calls it."""
    for batch in home.ledger.batches(LEDGER_KIND, subject, newest_first=True):
        run = run_in(batch)
        if run is None or run.trace != trace:
            continue
        if run.verdict != "reused":
            return _UNCHANGED + run.short
        if run.reason.startswith(_UNCHANGED):
            return run.reason  # said before, which saves looking through all reuses
    return f"{_UNCHANGED}of trace {trace}"
