"""The answers of `redoxa run` that run nothing: --dry-run and --list."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from cid_store.errors import InputError, UsageError
from ring2_orchestrator.commands import Context
from ring2_orchestrator.commands._moving import moving_in
from ring2_orchestrator.commands._net import policy_in
from ring2_orchestrator.report import seconds_text
from ring2_orchestrator.runs.environment import given_environment
from ring2_orchestrator.runs.scripts_in import DEMOS, scripts_in

DRY_SCHEMA = "redoxa.dry-run/1"
LIST_SCHEMA = "redoxa.run-list/1"


def dry_run(commands: Sequence[Sequence[str]], args: argparse.Namespace, context: Context) -> int:
    """Say of each command whether it would be reused, or run and why; 0 however that is."""
    from ring2_orchestrator.runs.forecast import forecast  # noqa: PLC0415 - start-up

    env = given_environment()
    if args.leaves:
        from ring2_orchestrator.runs.leaves.masquerade import with_leaves  # noqa: PLC0415 - if asked for

        env = with_leaves(env)
    network = policy_in(args)
    answers = [
        forecast(
            command,
            home_path=context.home_path,
            cwd=Path.cwd(),
            env=env,
            reuse=not args.force,
            cache_failures=args.cache_failures,
            moving=moving_in(args),
            network=network,
        )
        for command in commands
    ]
    for answer in answers:
        name = f"{_named(answer.command)}: " if len(answers) > 1 else ""
        context.report.line(f"{name}{answer.sentence}")
        if args.verbose:
            for change in answer.changed:
                context.report.line(f"  {change.path}: {change.was} -> {change.now}")
    context.report.data(
        {"commands": [answer.as_json() for answer in answers], "schema": DRY_SCHEMA}
    )
    return 0


def list_scripts(words: Sequence[str], context: Context) -> int:
    """Name the scripts of these folders and what was run here; 0."""
    from ring2_orchestrator.runs.known import listing  # noqa: PLC0415 - start-up

    scripts = [script for folder in words or [_usual_folder()] for script in _scripts(folder)]
    found = listing(scripts, home_path=context.home_path, cwd=Path.cwd())
    rows = [
        (
            known.name,
            "never run" if known.last is None else known.last.verdict,
            "-" if known.takes_s is None else seconds_text(known.takes_s),
            known.source,
        )
        for known in found.known
    ]
    context.report.table(("script", "last", "takes", "known from"), rows)
    if found.elsewhere:
        what = "command was" if found.elsewhere == 1 else "commands were"
        context.report.say(f"{found.elsewhere:,} more {what} run in other folders")
    context.report.data(
        {
            "elsewhere": found.elsewhere,
            "schema": LIST_SCHEMA,
            "scripts": [known.as_json() for known in found.known],
        }
    )
    return 0


def _usual_folder() -> str:
    return DEMOS if os.path.isdir(DEMOS) else "."  # noqa: PTH112


def _scripts(word: str) -> list[str]:
    if not os.path.isdir(word):  # noqa: PTH112
        raise UsageError(f"{word} is not a folder; --list takes the folders of scripts")
    try:
        return scripts_in(word)
    except OSError as error:
        raise InputError(
            f"{word} cannot be read ({error.strerror}); check its permissions"
        ) from error


def _named(command: Sequence[str]) -> str:
    import shlex  # noqa: PLC0415 - start-up

    from ring2_orchestrator.runs.scripts_in import script_words  # noqa: PLC0415

    words = script_words(command)
    return shlex.join(command if words is None else words)
