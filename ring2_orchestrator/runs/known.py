"""Which scripts there are to run: those in a folder, and those that the ledger knows from here."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.errors import NoSuchCommandError, NotExecutableError
from ring2_orchestrator.runs.ledger_seen import last_runs
from ring2_orchestrator.runs.memo import weak_key
from ring2_orchestrator.runs.past import Run
from ring2_orchestrator.runs.script import script_command
from ring2_orchestrator.runs.scripts_in import script_words


class Known(NamedTuple):
    """One script or other command: where it is known from, and how it last went."""

    name: str  # as a person types it
    command: tuple[str, ...]
    source: str  # folder, ledger or both
    last: Run | None = None

    @property
    def takes_s(self) -> float | None:
        """Seconds that the program took; of a run that was reused, those it took when recorded."""
        return None if self.last is None else self.last.wall_s + self.last.saved_s

    def as_json(self) -> dict[str, object]:
        """The same as plain values; the names are those of docs/formats/run.md."""
        last = self.last
        return {
            "command": list(self.command),
            "entry": None if last is None else last.seq,
            "exit_code": None if last is None else last.exit_code,
            "name": self.name,
            "seconds": self.takes_s,
            "source": self.source,
            "verdict": None if last is None else last.verdict,
        }


class Listing(NamedTuple):
    """What is known here, and how many commands were run in other folders."""

    known: tuple[Known, ...]
    elsewhere: int


def listing(scripts: Sequence[str], *, home_path: Path, cwd: Path) -> Listing:
    """These scripts, then what else the ledger knows to have been run in `cwd`; writes nothing.

    Raises RedoxaError where the ledger cannot be read.
    """
    past: dict[str, Run] = {}
    if (home_path / "ledger").exists():
        with Home(home_path, to_read=True) as home:
            past = {each.subject: each for each in last_runs(home)}
    found: list[Known] = []
    for script in scripts:
        command = _command_of(script)
        last = past.pop(weak_key(command, cwd), None)
        found.append(Known(script, command, "folder" if last is None else "both", last))
    elsewhere = 0
    for subject, each in past.items():
        command = tuple(os.fsdecode(word) for word in each.command)
        if command and weak_key(command, cwd) == subject:
            found.append(Known(_typed(command), command, "ledger", each))
        else:
            elsewhere += 1
    return Listing(tuple(found), elsewhere)


def _command_of(script: str) -> tuple[str, ...]:
    try:
        return tuple(script_command(script))
    except (NoSuchCommandError, NotExecutableError):
        return (script,)  # listed all the same: running it says what is wrong


def _typed(command: Sequence[str]) -> str:
    """The script and its arguments; other commands as they are typed after `redoxa run`."""
    words = script_words(command)
    return shlex.join(command if words is None else words)
