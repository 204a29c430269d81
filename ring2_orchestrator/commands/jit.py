"""Predict and steer: hint, plan, loop, status.

Whether a command would be reused is decided exactly, by the hashes of what it depends on. What
hashes cannot know (how long, how much memory, whether it fails) is estimated from its past runs,
with the number of observations beside each figure. A wrong estimate costs time, never a result.
"""

import argparse
import os
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import InputError, UsageError
from ring2_orchestrator.commands import Context, Formatter, add_common
from ring2_orchestrator.commands._words import CommandParser
from ring2_orchestrator.writing import write_all

if TYPE_CHECKING:
    from ring2_orchestrator.ce1.outlook import Outlook
    from ring2_orchestrator.home import Home

EXAMPLES: Sequence[str] = (
    "redoxa jit hint clean.py data.csv",
    "redoxa jit plan -- make -j2",
    "redoxa jit loop clean.py data.csv",
    "redoxa jit loop -j2 prepare/",
    "redoxa jit status --json",
)
_PATIENCE_S = 5.0

_SUMMARIES = {
    "hint": "what is decided, what is to be expected, what to do",
    "plan": "the next best action, its price, and the alternatives",
    "loop": "do the planned action, and record prediction and outcome",
    "status": "what the runs so far amount to; without a target, all of them",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verbs; each takes a script with its arguments, or a command after `--`."""
    verbs = parser.add_subparsers(
        dest="verb", metavar="VERB", required=True, parser_class=CommandParser
    )
    for name, summary in _SUMMARIES.items():
        verb = verbs.add_parser(
            name,
            help=summary,
            usage=f"redoxa jit {name} [options] [SCRIPT [ARG...]] [-- COMMAND...]",
            description=summary.capitalize() + ".",
            epilog="after `--` stands a whole command, or, behind a SCRIPT, more arguments for it",
            formatter_class=Formatter,
            allow_abbrev=False,
        )
        verb.add_argument(
            "script",
            nargs="*",
            metavar="SCRIPT",
            help="a script and its arguments; or, after --, a whole command"
            + ("; or several scripts, or folders of them" if name in ("plan", "loop") else ""),
        )
        if name in ("plan", "loop"):
            verb.add_argument(
                "-j",
                "--jobs",
                type=int,
                metavar="N",
                help="of several scripts run up to N at a time (default: as many as cores)",
            )
        if name == "status":
            verb.add_argument(
                "--plot",
                type=Path,
                metavar="FILE",
                help="draw reliability and history into FILE.svg or FILE.png (needs matplotlib)",
            )
        add_common(verb)


def run(args: argparse.Namespace, context: Context) -> int:
    """Answer the verb."""
    if args.verb in ("plan", "loop"):
        from ring2_orchestrator.runs.scripts_in import several  # noqa: PLC0415 - start-up

        if args.script and not args.command_words and several(args.script):
            return _several(args, context)
    command = _command(args.script, args.command_words)
    with context.open_home(to_read=args.verb == "status") as home:
        if args.verb == "status":
            return _status(command, args, home, context)
        if not command:
            raise UsageError(
                f"jit {args.verb} needs a target: a script with its arguments, or -- COMMAND"
            )
        if args.verb == "hint":
            from ring2_orchestrator.commands._jit_hint import hint  # noqa: PLC0415 - start-up

            return hint(command, home, context)
        from ring2_orchestrator.commands._jit_outlook import outlook_of  # noqa: PLC0415 - start-up

        outlook = outlook_of(command, home)
        if args.verb == "loop":
            return _loop(outlook, home, context)
        from ring2_orchestrator.ce1 import answer, show  # noqa: PLC0415 - start-up is performance

        context.report.data(answer.plan(outlook))
        for line in show.plan(outlook):
            context.report.line(line)
        return 0


def _several(args: argparse.Namespace, context: Context) -> int:
    """Plan several scripts as one, or do them."""
    from ring2_orchestrator.commands._jit_several import (  # noqa: PLC0415 - start-up
        Target,
        cores,
        loop_several,
        plan_several,
    )

    if args.jobs is not None and args.jobs < 1:
        raise UsageError(f"--jobs {args.jobs} would never end; name 1 or more")
    target = Target(args.script, context, jobs=args.jobs or cores())
    if args.verb == "plan":
        return plan_several(target, "plan", context)
    return loop_several(target, context, _output_aside() if context.report.json else nullcontext())


def _command(script: Sequence[str], words: Sequence[str]) -> list[str]:
    """The command a target means; empty when none was named."""
    if not script:
        return list(words)
    from ring2_orchestrator.runs.errors import (  # noqa: PLC0415 - start-up is performance
        NoSuchCommandError,
        NotExecutableError,
    )
    from ring2_orchestrator.runs.script import script_command  # noqa: PLC0415

    try:
        return script_command(script[0], [*script[1:], *words])
    except (NoSuchCommandError, NotExecutableError) as error:
        # Nothing was asked to run, so this is an input like any other (exit code 3).
        raise InputError(str(error)) from error


def _status(
    command: Sequence[str], args: argparse.Namespace, home: "Home", context: Context
) -> int:
    from ring2_orchestrator.commands._jit_known import known_of  # noqa: PLC0415 - as above
    from ring2_orchestrator.commands._jit_status import status  # noqa: PLC0415

    known = known_of(home)
    outlook = None
    if command:
        from ring2_orchestrator.commands._jit_outlook import outlook_of  # noqa: PLC0415 - of one

        outlook = outlook_of(command, home, known)
    return status(known, outlook, home, context, args.plot)


def _loop(before: "Outlook", home: "Home", context: Context) -> int:
    """One whole cycle; what the program prints keeps standard output, unless JSON needs it."""
    from ring2_orchestrator.ce1 import answer, show  # noqa: PLC0415
    from ring2_orchestrator.ce1.cycle import run_cycle  # noqa: PLC0415
    from ring2_orchestrator.ce1.outlook import Mood  # noqa: PLC0415
    from ring2_orchestrator.commands._jit_known import known_of  # noqa: PLC0415
    from ring2_orchestrator.runs.environment import given_environment  # noqa: PLC0415
    from ring2_orchestrator.steering.prefetch import Prefetch  # noqa: PLC0415

    prefetch = Prefetch(home, before.subject, cwd=Path.cwd(), env=given_environment())
    with _output_aside() if context.report.json else nullcontext():
        cycle = run_cycle(before, home, sleep=time.sleep, fetch=prefetch.start)
    prefetch.end()
    for message in cycle.messages:
        context.report.say(message)
    known = known_of(home)
    subject = before.subject
    learned = known.learned
    after = Mood(learned.history(subject), point=learned.mind(subject).prior, doubts=known.doubts)
    context.report.data(answer.loop(before, after, cycle))
    for line in show.loop(before, after, cycle):
        context.report.say(line)
    return 0 if cycle.exit_code == 0 else 1


@contextmanager
def _output_aside() -> Generator[None]:
    """Send what is written to standard output to standard error while the block runs.

    Through a pipe of its own: a program that finds both streams to be one file may act otherwise.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    reading, writing = os.pipe()
    os.dup2(writing, 1)
    os.close(writing)
    copier = threading.Thread(target=_copy, args=(reading, 2), daemon=True)
    copier.start()
    try:
        yield
    finally:
        # Closes our end of the pipe. Somebody the program left behind may still hold another.
        os.dup2(kept, 1)
        os.close(kept)
        copier.join(_PATIENCE_S)


def _copy(source: int, target: int) -> None:
    while block := os.read(source, 1 << 16):
        write_all(target, block)
    os.close(source)
