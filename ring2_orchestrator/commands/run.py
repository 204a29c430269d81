"""Run a command, recorded; reuse its results when nothing it depends on changed.

What the program prints and its exit code are its own. One line on standard error says at the end
what was done: recorded, reused, run again and why, or not reusable and why. With --json that line
is a JSON object (docs/formats/run.md); standard output stays the program's.
"""

import argparse
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cid_store.errors import UsageError
from ring2_orchestrator.commands import Context
from ring2_orchestrator.commands._doing import CANNOT_RECORD, exit_code_of, result_of
from ring2_orchestrator.commands._moving import add_moving, moving_in
from ring2_orchestrator.commands._net import add_net_arguments, policy_in
from ring2_orchestrator.report import OutputError
from ring2_orchestrator.runs.asked import Asked

if TYPE_CHECKING:
    from ring2_orchestrator.runs.result import RunResult

EXAMPLES: Sequence[str] = (
    "redoxa run -- make -j2",
    "redoxa run --leaves -- make -j2",
    "redoxa run --script clean.py data.csv",
    "redoxa run -v -- python clean.py data.csv",
    "redoxa run --force -- ./configure",
    "redoxa run --dry-run -- make -j2",
    "redoxa run --timeout 60 --retries 2 -- ./fetch.sh",
    "redoxa run --net=record --net-allow example.org -- ./fetch.sh",
    "redoxa run --list",
    "redoxa run -j4 --scripts prepare/ report.py",
    "redoxa run --json -- make 2>&1 >/dev/null | tail -n 1",
)
_MOST_SECONDS = 1e9  # thirty years; more would not fit a clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options, then the command to run."""
    parser.add_argument(
        "-n",
        "--dry-run",
        action="store_true",
        help="say whether it would be reused, or run and why; run nothing and write nothing",
    )
    parser.add_argument(
        "-l",
        "--list",
        action="store_true",
        help="name the scripts of the folders given (demos, or this one) and what was run here, "
        "with the last verdict and the seconds it takes; run nothing",
    )
    parser.add_argument(
        "-f",
        "--force",
        "--no-reuse",
        action="store_true",
        help="run even if the results are known, and compare them",
    )
    parser.add_argument(
        "--no-ce1",
        action="store_true",
        help="plain execution: record nothing, keep nothing, reuse nothing",
    )
    parser.add_argument(
        "--cache-failures",
        action="store_true",
        help="reuse the results of failed runs, too, with their exit code and output",
    )
    parser.add_argument(
        "--timeout",
        type=_more_than_none,
        metavar="SECONDS",
        help="end it and all its processes after so long (SIGTERM); the exit code is then 124",
    )
    parser.add_argument(
        "--kill-after",
        type=_seconds,
        default=Asked().kill_after_s,
        metavar="SECONDS",
        help="kill what then has not ended after so long (default: 5)",
    )
    parser.add_argument(
        "--retries",
        type=_count,
        default=0,
        metavar="N",
        help="where it fails, try up to N more times",
    )
    parser.add_argument(
        "--retry-delay",
        type=_seconds,
        default=Asked().retry_delay_s,
        metavar="SECONDS",
        help="the pause before the first of these, twice as long before each other (default: 1)",
    )
    parser.add_argument(
        "--keep-inputs",
        action="store_true",
        help="keep the files it read, so that it can be replayed when they have changed",
    )
    add_net_arguments(parser)
    parser.add_argument(
        "--shortcut",
        action="store_true",
        help="leave what redoxa-run needs to answer the same reuse without Python",
    )
    parser.add_argument(
        "--compiler",
        action="store_true",
        help="as a compiler's wrapper runs it: say nothing, and leave what the wrapper needs to "
        "answer the next time without Python",
    )
    parser.add_argument(
        "--leaves",
        action="store_true",
        help="keep each call of a C, C++ or Rust compiler in it on its own, and answer those of "
        "which nothing changed, when the whole must run again",
    )
    parser.add_argument(
        "--script",
        action="store_true",
        help="the first word is a script file: run it by its suffix or its #! line",
    )
    parser.add_argument(
        "--verify",
        type=_fraction,
        default=0.0,
        metavar="P",
        help="of what would be reused, run the fraction P (0 to 1) again, keep nothing, compare",
    )
    add_moving(parser)
    parser.add_argument(
        "--scripts",
        action="store_true",
        help="each word is a script, or a folder of scripts (none: demos); run all of them",
    )
    parser.add_argument(
        "-j",
        "--jobs",
        type=_jobs,
        default=1,
        metavar="N",
        help="run up to N of several scripts at a time (default: 1)",
    )
    parser.add_argument(
        "--as-named",
        action="store_true",
        help="with -j, start scripts in the order in which they are named, and not those first on "
        "which most seconds hang",
    )
    parser.add_argument(
        "-x",
        "--fail-fast",
        action="store_true",
        help="start no other script when one has failed (default: all but those that need it)",
    )
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="-- COMMAND",
        help="the program and its arguments, after --",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < _MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, such as 30 or 0.5")
    return seconds


def _more_than_none(text: str) -> float:
    seconds = _seconds(text)
    if not seconds:
        raise argparse.ArgumentTypeError("nothing runs in 0 seconds; leave it out for no limit")
    return seconds


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 4:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of times, such as 3")
    return int(text)


def _fraction(text: str) -> float:
    try:
        fraction = float(text)
    except ValueError:
        fraction = math.nan
    if not 0 <= fraction <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no fraction from 0 to 1, such as 0.05")
    return fraction


def _jobs(text: str) -> int:
    if not (count := _count(text)):
        raise argparse.ArgumentTypeError("0 at a time would never end; name 1 or more")
    return count


def run(args: argparse.Namespace, context: Context) -> int:
    """Run the command; the exit code is the program's own."""
    if args.list:
        from ring2_orchestrator.commands._asking import list_scripts  # noqa: PLC0415 - start-up

        return list_scripts(args.words[args.words[:1] == ["--"] :], context)
    if args.leaves and args.net != "deny":
        raise UsageError(
            "--leaves keeps no call of a run with --net, whose variables are others each time; "
            "leave one of them out"
        )
    if args.scripts:
        from ring2_orchestrator.commands._round import run_scripts  # noqa: PLC0415 - start-up

        return run_scripts(args.words[args.words[:1] == ["--"] :], asked_in(args), args, context)
    command = command_of(args.words)
    if args.script:
        from ring2_orchestrator.runs.script import script_command  # noqa: PLC0415 - start-up

        command = script_command(command[0], command[1:])
    if args.dry_run:
        from ring2_orchestrator.commands._asking import dry_run  # noqa: PLC0415 - start-up

        return dry_run([command], args, context)
    return run_command(command, asked_in(args), context, verbose=args.verbose)


def run_compiler(words: Sequence[str], context: Context) -> int:
    """What `run --compiler -- WORDS` does, for who has not parsed that."""
    return run_command(command_of(["--", *words]), Asked(compiler=True), context)


def asked_in(args: argparse.Namespace) -> Asked:
    """What the options ask for."""
    return Asked(
        reuse=not args.force,
        cache_failures=args.cache_failures,
        shortcut=args.shortcut,
        compiler=args.compiler,
        plain=args.no_ce1,
        timeout_s=args.timeout,
        kill_after_s=args.kill_after,
        retries=args.retries,
        retry_delay_s=args.retry_delay,
        verify=args.verify,
        keep_inputs=args.keep_inputs,
        leaves=args.leaves,
        moving=moving_in(args),
        network=policy_in(args),
    )


def command_of(words: Sequence[str]) -> list[str]:
    """The command after `--`. Raises UsageError where there is none."""
    command = list(words[1:] if words and words[0] == "--" else words)
    if not command:
        raise UsageError("no command to run; write it after --, as in: redoxa run -- make")
    return command


def run_command(
    command: Sequence[str], asked: Asked, context: Context, *, verbose: bool = False
) -> int:
    """Run, say the one line, and give the program's exit code, or 125 to 127 where it never ran."""
    result = result_of(command, asked, context)
    if isinstance(result, int):
        return result
    if context.report.json:
        if not _tell_as_json(command, result, context):
            return result.exit_code or CANNOT_RECORD
    else:
        if verbose:
            _say_details(result, context)
        if not asked.compiler:
            context.report.say(result.message)
    return exit_code_of(result)


def _say_details(result: "RunResult", context: Context) -> None:
    for change in result.changed:
        context.report.say(f"  {change.path}: {change.was} -> {change.now}")
    for doubt in result.doubts:
        context.report.say(f"  not reusable: {doubt.detail} ({doubt.kind})")


def _tell_as_json(command: Sequence[str], result: "RunResult", context: Context) -> bool:
    """The answer for programs; whether it arrived."""
    from ring2_orchestrator.runs.answer import answer_of  # noqa: PLC0415 - if asked for

    try:
        context.report.data_aside(answer_of(command, result))
    except (OutputError, BrokenPipeError):
        return False
    return True
