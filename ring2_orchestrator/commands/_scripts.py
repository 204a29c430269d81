"""The scripts that a person names, and what is known of each before any of them runs."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cid_store.errors import InputError, RedoxaError, UsageError
from ring2_orchestrator.commands import Context
from ring2_orchestrator.runs.environment import given_environment
from ring2_orchestrator.runs.marks import Marks
from ring2_orchestrator.runs.memo import Memo, weak_key
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.round import Script
from ring2_orchestrator.runs.script import script_command
from ring2_orchestrator.runs.scripts_in import DEMOS, scripts_in
from ring2_orchestrator.steering.expectation import expectations
from ring2_orchestrator.steering.several import Several, available_memory


def scripts_named(words: Sequence[str]) -> list[Script]:
    """The scripts that words name, and how each is run. Raises UsageError, InputError."""
    return [Script(name, script_command(name)) for name in named_scripts(words)]


def named_scripts(words: Sequence[str]) -> list[str]:
    """The scripts that words name, each once: files as they are, folders by what lies in them.

    Raises UsageError, InputError.
    """
    if not words and not os.path.isdir(DEMOS):  # noqa: PTH112
        raise UsageError(f"no script is named, and there is no folder {DEMOS} here; name some")
    found: dict[str, str] = {}
    for word in words or [DEMOS]:
        for name in _of_folder(word) if os.path.isdir(word) else [word]:  # noqa: PTH112
            folder, _, file = name.rpartition("/")
            found.setdefault(os.path.join(os.path.realpath(folder or "."), file), name)  # noqa: PTH118
    return list(found.values())


def _of_folder(folder: str) -> list[str]:
    try:
        names = scripts_in(folder)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be read ({error.strerror}); check its permissions"
        ) from error
    if not names:
        raise InputError(f"no script lies in {folder}; name a folder that holds some")
    return names


def learn(scripts: Sequence[Script], context: Context) -> Several:
    """What each is known to read and write, and what it should cost; runs nothing."""
    cwd = Path.cwd()
    if not (context.home_path / "environment.key").is_file():
        return Several.unknown(len(scripts))
    with context.open_home(to_read=True) as home:
        memo, roots = Memo(home), Roots.around(cwd, given_environment())
        subjects = [weak_key(script.command, cwd) for script in scripts]
        for script, subject in zip(scripts, subjects, strict=True):
            # Else it is recorded again, and the round learns from that.
            with suppress(RedoxaError):
                script.marks = Marks.remembered(home.store, subject)
                kept = next(memo.traces(subject), None) if script.marks is None else None
                if kept is not None:
                    script.marks = Marks.of_trace(kept.trace, roots)
        try:
            found = expectations(home, subjects)
        except RedoxaError:
            return Several.unknown(len(scripts))  # the ledger's own command says what is wrong
    return Several(tuple(found[subject] for subject in subjects), available_memory())
