"""The commands a person types: one module each, loaded only when it is the one typed.

A command module offers three names: `EXAMPLES` (lines for its help), `add_arguments(parser)` and
`run(args, context) -> int` (the exit code). Its docstring's first line is its summary.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn, Protocol, TypeVar, cast

from cid_store.errors import RedoxaError, UnavailableError, UsageError
from ring2_orchestrator.commands import _streams
from ring2_orchestrator.home import Home, default_home
from ring2_orchestrator.report import (
    Report,
    error_text,
    one_line,
    printing,
    seconds_text,
    size_text,
)

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

# Name and summary live here so that `redoxa --help` imports no command.
COMMANDS: dict[str, str] = {
    "pack": "find the smallest plan for a file or a directory and write its container",
    "unpack": "rebuild the file or the directory a container holds, checked",
    "inspect": "say what a container holds, without unpacking it",
    "explain": "draw a container's plan as a tree, with the bytes beneath every step",
    "gene": "list, check, print, search for and run genes",
    "kernel": "make, build, check, add, list, show and time kernels; rebuild the shipped ones",
    "run": "run a command, recorded; reuse its results when nothing it depends on changed",
    "why": "say what a run depends on and what prevents its reuse",
    "log": "list the runs in the ledger, newest first",
    "diff": "say what changed between two runs",
    "replay": "run a recorded run again in a scratch folder, and compare",
    "export": "write a recorded run as an archive that can be run again elsewhere",
    "graph": "draw a run: inputs, processes, outputs",
    "view": "show runs, store and forecasts on a local page, and verify containers in the browser",
    "fetch": "load an address over HTTP, kept, resumed and checked; or reuse what is kept of it",
    "probe": "load an address or run a script, and say in the same words what came of it",
    "jit": "predict and steer: hint, plan, loop, status",
    "history": "build a history of traced runs from a git repository, to judge predictions by",
    "ledger": "show, verify, sign and prove the shadow ledger",
    "store": "keep objects, directories and CAR files; verify and measure the store",
    "completion": "print the script that completes what is typed in bash, zsh or fish",
}

EXIT_CODES = """\
exit codes:
  0    done
  1    done, and the answer is no (a check failed, a kernel was refused, a run is not reusable)
  2    the command line is wrong
  3    an input cannot be used: missing, unreadable, a directory, malformed
  4    stored data is damaged: store, ledger or container
  5    this machine lacks something the work needs
  70   a bug in Redoxa; run again with --debug and report it
  130  interrupted
  141  whoever read the output stopped reading
`redoxa run` gives the program's own code (128 + n for signal n); 125 when Redoxa could not
record it, 126 when it cannot be executed, 127 when it cannot be found."""

# How a compiler's wrapper asks, a hundred times in a build: its options need no parser.
_OF_WRAPPERS = ["run", "--compiler", "--"]

# How it starts the keeper of its build.
_OF_KEEPERS = ["run", "--keeper", "--"]

# How a loader says that a library found no room in memory.
_UNMAPPED = ("failed to map segment", "cannot allocate memory", "cannot map")


class Context(NamedTuple):
    """What every command is given: where the state is, and how to speak."""

    home_path: Path
    report: Report
    debug: bool = False

    def open_home(self, *, to_read: bool = False) -> Home:
        """The state folder, made if missing. Close it, or use it as a context manager.

        What only reads says so, and works where nothing can be written.
        """
        return Home(self.home_path, to_read=to_read)


class Command(Protocol):
    """The shape of a command module."""

    EXAMPLES: Sequence[str]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Context], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code; whatever goes wrong becomes one sentence."""
    _streams.hold_closed_streams()
    _streams.wait_for_slow_streams()
    _streams.print_in_any_encoding()
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words[: words.index("--") if "--" in words else len(words)]
    try:
        code = _dispatch(words)
        _streams.flush_output()
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        code = _refusal(error)
    finally:
        _streams.abandon_output()
    return code


def _refusal(error: BaseException) -> int:
    """Say in one sentence what ended a command; its exit code."""
    if isinstance(error, BrokenPipeError):
        return 141  # the reader went away (`| head`), and needs no words
    if isinstance(error, KeyboardInterrupt):
        code, text = 130, "interrupted"
    elif isinstance(error, RedoxaError):
        code, text = error.exit_code, "; ".join([error_text(error), *_notes(error)])
    elif isinstance(error, ModuleNotFoundError) and not _is_ours(error.name):
        code, text = UnavailableError.exit_code, one_line(_missing_package_text(error))
    elif _lacks_memory(error):
        code, text = UnavailableError.exit_code, system_text(MemoryError())
    elif isinstance(error, OSError | MemoryError):
        code, text = UnavailableError.exit_code, one_line(system_text(error))
    else:
        kind = type(error).__name__
        what = one_line(f"internal error ({kind}: {error})")
        code, text = 70, f"{what}; run again with --debug and report it"
    with suppress(OSError):
        sys.stderr.write(f"redoxa: {text}\n")
    return code


def _notes(error: BaseException) -> list[str]:
    return [one_line(note) for note in getattr(error, "__notes__", [])]


def _lacks_memory(error: BaseException) -> bool:
    """Whether memory is what is missing, said by whatever has no error of its own for that."""
    if isinstance(error, ImportError):
        return any(words in str(error) for words in _UNMAPPED)
    return isinstance(error, RuntimeError) and str(error) == "can't start new thread"


def system_text(error: OSError | MemoryError) -> str:
    """What to say when the system refused something that no part of Redoxa has words for."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; free some, or use a smaller input"
    reason = error.strerror or str(error)
    if error.filename is None and not _folder_exists():
        return "the folder you are in has been deleted; change to another one (cd) and try again"
    if error.filename is None:
        return f"the system refused to go on ({reason}); see to it and try again"
    return (
        f"{Path(os.fsdecode(error.filename))} cannot be used ({reason}); "
        "check its permissions and the room on its disk, then try again"
    )


def _folder_exists() -> bool:
    """Whether this process still has a working folder."""
    try:
        return bool(os.getcwd())  # noqa: PTH109 - only whether it can be said
    except OSError:
        return False


def _is_ours(module: str | None) -> bool:
    """Whether a module is part of Redoxa, which then is incomplete."""
    return (module or "").partition(".")[0] in ("cid_store", "ring0", "ring2_orchestrator")


def _missing_package_text(error: ModuleNotFoundError) -> str:
    return (
        f"{sys.executable} lacks the package {error.name}, which this needs; "
        "`python3 scripts/start.py setup` in the checkout makes an environment that has it, "
        "and .venv/bin/python is its Python"
    )


def _dispatch(words: list[str]) -> int:
    if words[: len(_OF_WRAPPERS)] == _OF_WRAPPERS:
        from ring2_orchestrator.commands.run import run_compiler  # noqa: PLC0415 - as every command

        return run_compiler(words[len(_OF_WRAPPERS) :], Context(default_home(), Report()))
    if words[: len(_OF_KEEPERS)] == _OF_KEEPERS:
        from ring2_orchestrator.keeper.service import serve  # noqa: PLC0415 - as every command

        return serve(words[len(_OF_KEEPERS) :])
    name = command_in(words)
    # One command, or the list of all: nobody waits for what was not asked for.
    parser = build_parser(only=name) if name in COMMANDS else build_parser(loaded=())
    try:
        args = parser.parse_args(words)
    except SystemExit as end:
        return cast("int", end.code)  # the help was asked for, or the version
    if args.command is None:
        parser.print_help()
        return 0
    context = Context(
        home_path=args.home if args.home is not None else default_home(),
        report=Report(json=args.json, quiet=args.quiet),
        debug=args.debug,
    )
    if args.quiet and args.verbose:
        raise UsageError("--quiet and --verbose ask for opposite things; leave one of them out")
    try:
        code = load(args.command).run(args, context)
    except RedoxaError as error:
        _enter(error, args, context)
        raise
    if args.verbose and not args.json:  # whose answer is the last line of all
        _tell_costs(context)
    return code


def _tell_costs(context: Context) -> None:
    """Say what the command took, and where its state is."""
    import resource  # noqa: PLC0415 - only if asked for

    ours, others = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    own, theirs = ours.ru_utime + ours.ru_stime, others.ru_utime + others.ru_stime
    peak = max(ours.ru_maxrss, others.ru_maxrss) * 1024  # Linux counts in KiB
    context.report.say(
        f"processor time {seconds_text(own)}, and {seconds_text(theirs)} of what was started; "
        f"memory up to {size_text(peak)}; home {context.home_path}"
    )


def _enter(error: RedoxaError, args: argparse.Namespace, context: Context) -> None:
    """Enter in the ledger what the host refused, if that is what went wrong."""
    from ring2_orchestrator import refusals  # noqa: PLC0415 - nothing was refused until now

    with ExitStack() as opened:
        refusals.enter(
            error,
            lambda: opened.enter_context(context.open_home()).ledger,
            doing=" ".join(filter(None, ("redoxa", args.command, getattr(args, "verb", None)))),
        )


def command_in(words: list[str]) -> str | None:
    """The first word that is neither an option nor the value of `--home`."""
    last = ""
    for word in words:
        if not word.startswith("-") and last != "--home":
            return word
        last = word
    return None


def load(name: str) -> Command:
    """The module of one command."""
    return cast("Command", importlib.import_module(f"ring2_orchestrator.commands.{name}"))


def add_common(parser: argparse.ArgumentParser, *, root: bool = False) -> None:
    """The options that may stand before or after a command's name."""
    # SUPPRESS keeps a command's own default from overwriting what was given before its name.
    missing = None if root else argparse.SUPPRESS
    no = False if root else argparse.SUPPRESS
    group = parser.add_argument_group("common options")
    group.add_argument(
        "--home",
        type=_folder,
        default=missing,
        metavar="DIR",
        help="where state is kept (default: $REDOXA_HOME, or the user's data folder)",
    )
    group.add_argument(
        "--json",
        action="store_true",
        default=no,
        help="one JSON value on stdout (of `run`: the last line of stderr)",
    )
    group.add_argument("-q", "--quiet", action="store_true", default=no, help="say only errors")
    group.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        default=no,
        help="say more: every change and doubt of a run; what the command took, and its home",
    )
    group.add_argument(
        "--debug", action="store_true", default=no, help="show the traceback of an error"
    )


def add_verbs(
    parser: argparse.ArgumentParser, kind: "type[Parser] | None" = None, /, **summaries: str
) -> dict[str, "Parser"]:
    """The verbs of a command, each with its summary as its help; add the arguments to them."""
    verbs = parser.add_subparsers(
        dest="verb", metavar="VERB", required=True, parser_class=kind or Parser, prog=parser.prog
    )
    made: dict[str, Parser] = {}
    for name, summary in summaries.items():
        made[name] = verbs.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=Formatter,
            allow_abbrev=False,
        )
        add_common(made[name])
    return made


class VerbGroup(Protocol):
    """A module with some of the verbs of a command."""

    SUMMARIES: Mapping[str, str]
    add_arguments: "Callable[[Mapping[str, Parser]], None]"


_Group = TypeVar("_Group", bound=VerbGroup)


def add_verb_groups(parser: argparse.ArgumentParser, groups: Sequence[VerbGroup]) -> None:
    """The verbs of a command whose verbs are modules in groups, with their arguments."""
    verbs = add_verbs(
        parser, **{verb: said for at in groups for verb, said in at.SUMMARIES.items()}
    )
    for group in groups:
        group.add_arguments(verbs)


def group_of(groups: Sequence[_Group], args: argparse.Namespace) -> _Group:
    """The group that the verb of the command line belongs to."""
    return next(group for group in groups if args.verb in group.SUMMARIES)


class Parser(argparse.ArgumentParser):
    """A parser that refuses in one sentence and never hides that its help could not be printed."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError, naming the help that says how it is meant."""
        raise UsageError(f"{message}; `{self.prog} --help` says what can be typed")

    def print_help(self, file: "SupportsWrite[str] | None" = None) -> None:
        """Print the help; argparse itself would let a failure pass in silence."""
        with printing():
            (sys.stdout if file is None else file).write(self.format_help())


class Formatter(argparse.RawDescriptionHelpFormatter):
    """A help as wide as the terminal. argparse itself would load `shutil` to ask how wide that is.

    It asks for every argument it is told of, so each start would pay, not only the help.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    chosen = os.environ.get("COLUMNS", "")
    if chosen.isdecimal() and int(chosen):
        return int(chosen)
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


def build_parser(
    only: str | None = None, *, loaded: Collection[str] = COMMANDS
) -> argparse.ArgumentParser:
    """The whole command line, or the part that one command needs; parsing raises UsageError.

    Commands that are not to be `loaded` are there by name and summary, without their arguments.
    """
    parser = Parser(
        prog="redoxa",
        description="Record runs, reuse them exactly, and pack data with reversible kernels.",
        epilog=EXIT_CODES,
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    add_common(parser, root=True)
    # With `prog` said, argparse need not format a usage to find it.
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", prog=parser.prog)
    for name, summary in COMMANDS.items():
        if only not in (None, name):
            continue
        if name not in loaded:
            commands.add_parser(name, help=summary, formatter_class=Formatter)
            continue
        module = load(name)
        command = commands.add_parser(
            name,
            help=summary,
            description=(module.__doc__ or summary).strip(),
            epilog="examples:\n" + "\n".join(f"  {line}" for line in module.EXAMPLES),
            formatter_class=Formatter,
            allow_abbrev=False,
        )
        add_common(command)
        module.add_arguments(command)
    return parser


def _folder(text: str) -> Path:
    # An empty path would be the current folder: state would lie wherever one happens to be.
    if not text:
        raise argparse.ArgumentTypeError("a folder has a name, and this one is empty")
    return Path(text)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version  # noqa: PLC0415 - slow, rarely asked

        with printing():
            print(f"redoxa {version('redoxa')}")  # noqa: T201
        parser.exit()
