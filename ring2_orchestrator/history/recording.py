"""Runs a plan, state by state and one script at a time, and adds a row for each run."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from blake3 import blake3

from cid_store.errors import InputError
from ring2_orchestrator.history.facts import Facts
from ring2_orchestrator.history.plan import Asked, NoPlanError, Plan, State, plan
from ring2_orchestrator.history.repository import Change, Scratch, newest_commits
from ring2_orchestrator.history.script_run import Outcome, Place, load_early, look, run
from ring2_orchestrator.history.table import Table, has_rows

SCRIPT = "{script}"


class Limits(NamedTuple):
    """What one run may take."""

    timeout_s: float
    memory_bytes: int


class Progress(NamedTuple):
    """One run is over."""

    done: int
    of: int
    state: State
    script: str
    outcome: Outcome


class Recording:
    """One history being made. `folder` holds its plan, its traces and its scratch checkout.

    It is the folder that makes it go on where it was cut off; it is gone when the history is whole.
    """

    def __init__(self, file: Path, folder: Path, asked: Asked, limits: Limits) -> None:
        self.file, self.folder = file, folder
        self._asked, self._limits = asked, limits
        self._scratch = Scratch(folder)
        self._pending = folder / "pending.json"
        self._differences: dict[tuple[str, str], list[Change]] = {}

    def __enter__(self) -> Self:
        """Take the folder; nobody else may record into the same file. Raises InputError."""
        if self.file.exists() and not (self.folder / "plan.json").exists():
            raise InputError(
                f"{self.file} exists already, and is no recording that was cut off; name another "
                "file with -o, or remove it"
            )
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise InputError(
                f"{self.file} is being recorded by another process; wait for it to end"
            ) from None
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._lock)

    def _kept_plan(self) -> Plan | None:
        """The plan as it was kept; None where there is none. Raises InputError where it is lost."""
        try:
            return Plan.load(self.folder / "plan.json")
        except NoPlanError as error:
            if self.file.exists() and has_rows(self.file):
                raise InputError(
                    f"{self.file} cannot go on, as {error}; name another file with -o, or remove "
                    f"it and {self.folder}"
                ) from error
            self._begin_anew()
            return None

    def planned(self) -> Plan:
        """The plan, as it was fixed when the recording was begun, or is now."""
        kept = self._kept_plan()
        if kept is not None and kept.asked == self._asked:
            return kept
        if kept is not None and self.file.exists() and has_rows(self.file):
            raise InputError(
                f"{self.file} was begun otherwise ({_difference(kept.asked, self._asked)}); "
                f"name another file with -o, or remove it and {self.folder}"
            )
        if kept is not None:
            self._begin_anew()
        repository = Path(self._asked.repository)
        commits = newest_commits(repository, self._asked.commits, revision=self._asked.revision)
        self._scratch.prepare(repository)
        once = None if any(SCRIPT in word for word in self._asked.command) else "-"
        made = plan(self._asked, commits, self._scratch, once=once)
        made.save(self.folder / "plan.json")
        return made

    def _begin_anew(self) -> None:
        """Forget a recording that has no row: as a rule its command could not be run."""
        self.file.unlink(missing_ok=True)
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def record(self, todo: Plan, env: Mapping[str, str], tell: Callable[[Progress], None]) -> None:
        """Do every run that has no row yet. The file is whole after each."""
        for name in ("home", "temporary"):
            (self.folder / name).mkdir(exist_ok=True, mode=0o700)
        table = Table(self.file)
        try:
            self._go_on(todo, table, env, tell)
        finally:
            table.close()

    def finish(self) -> None:
        """Remove the folder: nothing of the recording but its rows is left."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _go_on(
        self, todo: Plan, table: Table, env: Mapping[str, str], tell: Callable[[Progress], None]
    ) -> None:
        done = [(int(row["step"]), row["script"]) for row in table.rows()]
        due = [(step, script) for step, state in enumerate(todo.states) for script in state.scripts]
        if due[: len(done)] != done:
            raise InputError(
                f"the rows of {self.file} are not those that were recorded; remove it and "
                f"{self.folder}, and record again"
            )
        place = self._place(env)
        load_early()
        before: dict[str, int] = {script: step for step, script in done}
        for number, (step, script) in enumerate(due[len(done) :], start=len(done) + 1):
            state = todo.states[step]
            self._lay_out(state)
            command = [word.replace(SCRIPT, script) for word in self._asked.command]
            facts = self._facts(step, script, command, place)
            outcome = run(command, place)
            earlier = max(step - 1, 0)
            moved = self._changes(todo.states[earlier], state)
            since = self._changes(todo.states[before.get(script, earlier)], state)
            table.add(
                {
                    "repo": Path(self._asked.repository).name,
                    "step": step,
                    "first": int(script not in before),
                    "script": script,
                    **_of_state(state, script, moved, since),
                    **_of_facts(facts),
                    **_of_outcome(outcome),
                }
            )
            before[script] = step
            tell(Progress(number, len(due), state, script, outcome))

    def _changes(self, was: State, now: State) -> list[Change]:
        """What differs; asked once for all scripts of a state."""
        pair = (was.tree, now.tree)
        if pair not in self._differences:
            self._differences = {pair: self._scratch.changes(*pair)}
        return self._differences[pair]

    def _place(self, env: Mapping[str, str]) -> Place:
        # Bytecode is found stale by the second and the size: an edit of a sign within a second of
        # the last one would be run as if it had not been made.
        given = {**env, "TMPDIR": str(self.folder / "temporary"), "PYTHONDONTWRITEBYTECODE": "1"}
        return Place(
            self.folder / "home",
            self._scratch.tree,
            given,
            self._limits.timeout_s,
            self._limits.memory_bytes,
        )

    def _lay_out(self, state: State) -> None:
        """Exactly the files of the state, and an empty temporary folder."""
        self._scratch.lay_out(state.tree)
        for path in (self.folder / "temporary").iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()

    def _facts(self, step: int, script: str, command: list[str], place: Place) -> Facts:
        """What was known before the run: also where it was begun before, and then cut off.

        Its trace may be there already, and would say that nothing has changed.
        """
        match self._begun():
            case [int(at), str(name), row] if (at, name) == (step, script):
                known = Facts.of_row(row)
            case _:
                known = None
        if known is not None:
            return known
        facts = look(command, place)
        beside = self._pending.with_suffix(".new")
        beside.write_text(json.dumps([step, script, facts]), encoding="ascii")
        beside.replace(self._pending)
        return facts

    def _begun(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """The run that was begun last, and what was known before it; None where nobody can say."""
        try:
            return json.loads(self._pending.read_bytes())
        except (FileNotFoundError, ValueError):
            return None


def folder_for(file: Path, home: Path) -> Path:
    """Where a recording into this file keeps its state: apart from every project's files."""
    return home / "history" / blake3(os.fsencode(file)).hexdigest(8)


def _difference(was: Asked, now: Asked) -> str:
    return ", ".join(
        f"{name}: {before!r}"
        for name, before, after in zip(Asked._fields, was, now, strict=True)
        if before != after
    )


def _of_state(
    state: State, script: str, moved: list[Change], since: list[Change]
) -> dict[str, object]:
    return {
        "commit": state.commit[:10],
        "date": state.date,
        "kind": state.kind,
        "edit_kind": state.edits,
        "commit_files": len(moved),
        "commit_lines": sum(change.lines for change in moved),
        "changed_files": ";".join(change.path for change in since),
        "script_changed": int(any(change.path == script for change in since)),
    }


def _of_facts(facts: Facts) -> dict[str, object]:
    return {
        "changed_strict0": int(facts.changed_strict0),
        "changed_strict": int(facts.changed_strict),
        "changed_lax": int(facts.changed_lax),
        "n_changed": facts.n_changed,
        "changed_inputs": ";".join(facts.changed_inputs),
        "hit_any_strict": int(facts.hit_any_strict),
        "hit_any_lax": int(facts.hit_any_lax),
    }


def _of_outcome(outcome: Outcome) -> dict[str, object]:
    return {
        "ran": 1,
        "exit_code": outcome.exit_code,
        "wall_s": round(outcome.wall_s, 4),
        "user_s": round(outcome.user_s, 4),
        "sys_s": round(outcome.sys_s, 4),
        "maxrss_kb": outcome.max_rss_bytes // 1024,
        "load1": round(outcome.load, 2),
        "n_inputs": outcome.inputs,
        "n_missing": outcome.missing,
        "n_listed": outcome.listed,
        "n_passed": outcome.counts.passed,
        "n_failed": outcome.counts.failed,
        "n_error": outcome.counts.error,
        "out_hash": outcome.output_hash,
    }
