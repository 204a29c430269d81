"""Build a history of traced runs from a git repository, to judge predictions by.

Each of the last commits, and with --mutate each edited state between them, is laid out in a scratch
folder, and the command is run there for each script: recorded, one at a time. Each run is a row of
a CSV file (docs/formats/history.md). The repository itself is never written to. A recording that
was cut off goes on where it stopped when the same is typed again.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import InputError, UsageError
from ring2_orchestrator.commands import Context, Formatter, add_common
from ring2_orchestrator.commands._words import CommandParser
from ring2_orchestrator.report import seconds_text

if TYPE_CHECKING:
    from ring2_orchestrator.history.recording import Progress

EXAMPLES: Sequence[str] = (
    "redoxa history record ~/src/lark --commits 40 -- python -m pytest -q {script}",
    "redoxa history record . --commits 20 --mutate 3 --seed 1 -- python -m pytest -q {script}",
    "redoxa history record . --commits 10 --scripts 'tests/*.sh' -- sh {script}",
    "redoxa history record . --commits 10 -o make.csv -- make test",
)
SCHEMA = "redoxa.history/1"
SCRIPT = "{script}"
_MOST = 100_000
_SUMMARY = "run a command over the commits of a repository, recorded"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb, which states, which scripts, which limits."""
    verbs = parser.add_subparsers(
        dest="verb", metavar="VERB", required=True, parser_class=CommandParser, prog=parser.prog
    )
    record = verbs.add_parser(
        "record",
        help=_SUMMARY,
        usage="redoxa history record REPO --commits N [options] -- COMMAND...",
        description=f"{_SUMMARY.capitalize()}.",
        epilog="after `--` stands the command; {script} in it is each script in turn",
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    add_common(record)
    record.add_argument("repository", type=Path, metavar="REPO", help="a folder of a git checkout")
    record.add_argument(
        "--commits", type=_count, required=True, metavar="N", help="how many: the newest ones"
    )
    record.add_argument(
        "--revision", default="HEAD", metavar="REV", help="up to this commit (default: HEAD)"
    )
    record.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="the CSV (default: REPO's name.csv)"
    )
    record.add_argument(
        "--scripts",
        action="append",
        default=[],
        metavar="PATTERN",
        help="which files {script} stands for (default: test_*.py and *_test.py); may be repeated",
    )
    record.add_argument(
        "--mutate",
        type=_number,
        default=0,
        metavar="K",
        help="between two commits, up to K states with faults put into Python sources, and mended",
    )
    record.add_argument(
        "--sources",
        action="append",
        default=[],
        metavar="PATTERN",
        help="which files may be given faults (default: Python files that belong to no test)",
    )
    record.add_argument("--seed", type=_number, default=0, help="which faults (default: 0)")
    record.add_argument(
        "--timeout", type=_count, default=60, metavar="SECONDS", help="of one run (default: 60)"
    )
    record.add_argument(
        "--memory", type=_count, default=4096, metavar="MIB", help="of a process (default: 4096)"
    )


def _count(text: str) -> int:
    if not (number := _number(text)):
        raise argparse.ArgumentTypeError("0 is too few; name 1 or more")
    return number


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text[:9]) <= _MOST and len(text) < 9):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {_MOST:,}")
    return int(text)


def run(args: argparse.Namespace, context: Context) -> int:
    """Record, and say what was recorded."""
    from ring2_orchestrator.history.plan import TEST_FILES, Asked  # noqa: PLC0415 - start-up
    from ring2_orchestrator.history.recording import (  # noqa: PLC0415
        Limits,
        Recording,
        folder_for,
    )
    from ring2_orchestrator.history.repository import is_dirty  # noqa: PLC0415
    from ring2_orchestrator.runs.environment import given_environment  # noqa: PLC0415

    command = _command(args.command_words, args.scripts)
    repository = args.repository.absolute().resolve()
    file = _file(args.output, repository)
    asked = Asked(
        repository=str(repository),
        commits=args.commits,
        revision=args.revision,
        command=tuple(command),
        scripts=tuple(args.scripts) or TEST_FILES,
        sources=tuple(args.sources),
        mutate=args.mutate,
        seed=args.seed,
    )
    limits = Limits(float(args.timeout), args.memory << 20)
    told = _Telling(context)
    folder = folder_for(file, context.open_home().path)
    with Recording(file, folder, asked, limits) as recording:
        plan = recording.planned()
        if is_dirty(repository):
            context.report.say(f"{repository} has uncommitted changes; they are left out")
        context.report.say(f"{len(plan.states):,} states, {plan.runs:,} runs, into {file}")
        recording.record(plan, given_environment(), told)
        recording.finish()
    return _summary(file, context)


def _command(command: Sequence[str], scripts: Sequence[str]) -> list[str]:
    if scripts and not any(SCRIPT in word for word in command):
        raise UsageError(
            f"--scripts says what {SCRIPT} stands for, and the command has no {SCRIPT}; write it "
            "where the script's name belongs"
        )
    if not command:
        raise UsageError(
            "no command to run; write it after --, as in: redoxa history record . --commits 20 "
            "-- python -m pytest -q {script}"
        )
    return list(command)


def _file(output: Path | None, repository: Path) -> Path:
    file = (output or Path(f"{repository.name or 'history'}.csv")).absolute()
    if file.is_dir() or not file.parent.is_dir():
        raise InputError(f"{file} cannot be written; name a file in a folder that is there with -o")
    return file


class _Telling:
    """A line on stderr for each state that is over, and one for a command that never works."""

    def __init__(self, context: Context) -> None:
        self._report = context.report
        self._failed = self._ran = 0
        self._warned = False
        self._doubted: set[str] = set()
        self._spent_s = 0.0

    def __call__(self, progress: "Progress") -> None:
        """One run is over."""
        outcome = progress.outcome
        self._ran += 1
        self._failed += outcome.exit_code != 0
        self._spent_s += outcome.wall_s
        if outcome.doubt and progress.script not in self._doubted:
            self._doubted.add(progress.script)
            self._report.say(f"{progress.script}: no trace was kept of a run: {outcome.doubt}")
        if progress.script != progress.state.scripts[-1]:
            return
        if self._failed == self._ran and not self._warned:
            self._warned = True
            self._report.warn(
                f"every run so far has failed; {progress.script} ended with exit code "
                f"{outcome.exit_code} and printed last: {outcome.tail}"
            )
        left_s = self._spent_s / self._ran * (progress.of - progress.done)
        self._report.say(
            f"{progress.done:,} of {progress.of:,}: {progress.state.commit[:10]} "
            f"{progress.state.edits}, {self._failed} of {self._ran} failed, "
            f"about {seconds_text(left_s)} of runs left"
        )


def _summary(file: Path, context: Context) -> int:
    """What the file now holds."""
    from ring2_orchestrator.history.table import Table  # noqa: PLC0415 - start-up

    table = Table(file)
    rows = list(table.rows())
    table.close()
    failed = sum(row["exit_code"] != "0" for row in rows)
    must = sum(row["changed_strict"] == "1" for row in rows)
    states = len({row["step"] for row in rows})
    context.report.data(
        {
            "failed": failed,
            "file": str(file),
            "must_rerun": must,
            "not_kept": sum(row["n_inputs"] == "-1" for row in rows),
            "runs": len(rows),
            "schema": SCHEMA,
            "scripts": len({row["script"] for row in rows}),
            "states": states,
        }
    )
    context.report.line(
        f"{file}: runs {len(rows):,}, states {states:,}, failed {failed:,}; "
        f"{must:,} had to run, as something they read had changed"
    )
    return 0
