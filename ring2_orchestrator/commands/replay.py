"""Run a recorded run again in a scratch folder, and compare what it prints and leaves.

Files are given back as they were recorded, as far as they are kept or unchanged; none of yours is
touched. The exit code is 0 where everything is the same, 1 where something differs, and 3 where
the run cannot be re-created.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import InputError, RedoxaError
from ring2_orchestrator.commands import Context
from ring2_orchestrator.commands._runs import RUN_HELP
from ring2_orchestrator.runs.environment import given_environment

if TYPE_CHECKING:
    from ring2_orchestrator.report import Report

EXAMPLES: Sequence[str] = (
    "redoxa replay @",
    "redoxa replay 5f3a09",
    "redoxa replay --anyway @~1",
)
SCHEMA = "redoxa.replay/1"
_MOST_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which run."""
    parser.add_argument(
        "--anyway", action="store_true", help="run it even if something cannot be re-created"
    )
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)


def run(args: argparse.Namespace, context: Context) -> int:
    """Replay; 0 where it is the same, 1 where it differs. Raises InputError where it cannot be."""
    import json  # noqa: PLC0415 - start-up is performance

    from ring2_orchestrator.replaying.bundle import Bundler, Wanted  # noqa: PLC0415
    from ring2_orchestrator.runs.scratch import scratch_folder  # noqa: PLC0415
    from ring2_orchestrator.runs.which import find_run  # noqa: PLC0415

    env = given_environment()
    with context.open_home() as home, scratch_folder(home.path) as folder:
        found = find_run(home, args.run)
        Bundler(home, found, folder, env=env, wanted=Wanted()).make()
        words = ["--json", *(["--anyway"] if args.anyway else []), os.fspath(folder)]
        done = subprocess.run(
            [sys.executable, "-m", "ring2_orchestrator.replaying", *words],
            env={**env, "PYTHONPATH": os.fspath(Path(__file__).parents[2])},
            stdout=subprocess.PIPE,
            check=False,
        )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise ReplayEndedError(
            f"the replay ended with code {done.returncode} and no answer; run it again"
        ) from None
    context.report.data({"id": found.id, "schema": SCHEMA, **answer})
    _tell(context.report, found.short, answer)
    if answer["cannot"]:
        raise InputError(
            f"run {found.short} cannot be re-created: {answer['cannot'][0]}"
            + (f", and {len(answer['cannot']) - 1} more" if len(answer["cannot"]) > 1 else "")
            + "; --anyway runs it with what there is"
        )
    return 1 if answer["differences"] else 0


class ReplayEndedError(RedoxaError):
    """The process that replays gave no answer."""

    exit_code = 5


def _tell(report: "Report", name: str, answer: dict[str, list[str]]) -> None:
    if answer["cannot"]:
        for line in answer["cannot"][1:_MOST_SHOWN]:
            report.say(f"  not as it was: {line}")
        return
    if not answer["differences"]:
        report.line(f"EXACT: run {name} printed and left the same, with the same exit code")
    for line in answer["differences"][:_MOST_SHOWN]:
        report.line(f"DIFFERS: {line}")
    if len(answer["differences"]) > _MOST_SHOWN:
        report.line(f"and {len(answer['differences']) - _MOST_SHOWN:,} more")
    for note in answer["notes"]:
        report.line(f"  {note}")
