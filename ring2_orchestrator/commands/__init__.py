"""The commands a person types: one module each, loaded only when it is the one typed.

A command module offers three names: `EXAMPLES` (lines for its help), `add_arguments(parser)` and
`run(args, context) -> int` (the exit code). Its docstring's first line is its summary.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from cid_store.errors import RedoxaError
from ring2_orchestrator.home import Home, default_home

if TYPE_CHECKING:
    from ring2_orchestrator.report import Report

# Name and summary live here so that `redoxa --help` imports no command.
COMMANDS: dict[str, str] = {
    "pack": "find the smallest plan for a file and write its container",
    "unpack": "rebuild the file a container holds, checked",
    "inspect": "say what a container holds, without unpacking it",
    "gene": "list, check and print genes",
    "kernel": "list, show and check kernels; rebuild the shipped ones",
    "run": "run a command, recorded; reuse its results when nothing it depends on changed",
    "why": "say what a run depends on and what prevents its reuse",
    "jit": "predict and steer: hint, plan, loop, status",
    "ledger": "show, verify and checkpoint the shadow ledger",
    "store": "put, get, verify and measure the store",
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
`redoxa run` gives the program's own code (128 + n for signal n); 125 when Redoxa could not
record it, 126 when it cannot be executed, 127 when it cannot be found."""


@dataclass(slots=True)
class Context:
    """What every command is given: where the state is, and how to speak."""

    home_path: Path
    report: "Report"
    debug: bool = False

    def open_home(self) -> Home:
        """The state folder, made if missing. Close it, or use it as a context manager."""
        return Home(self.home_path)


class Command(Protocol):
    """The shape of a command module."""

    EXAMPLES: Sequence[str]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Context], int]


class Options(NamedTuple):
    """The options every command has, and the words left for the command."""

    home: Path | None
    json: bool
    quiet: bool
    debug: bool
    rest: list[str]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code; a RedoxaError becomes one sentence."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words[: words.index("--") if "--" in words else len(words)]
    try:
        return _dispatch(words)
    except RedoxaError as error:
        if debug:
            raise
        print(f"redoxa: {error}", file=sys.stderr)  # noqa: T201 - the one place errors are said
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (`| head`): say nothing, and keep the interpreter from saying it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except KeyboardInterrupt:
        if debug:
            raise
        print("redoxa: interrupted", file=sys.stderr)  # noqa: T201
        return 130
    except Exception as error:
        if debug:
            raise
        kind = type(error).__name__
        print(  # noqa: T201
            f"redoxa: internal error ({kind}: {error}); run again with --debug and report it",
            file=sys.stderr,
        )
        return 70


def _dispatch(words: list[str]) -> int:
    name = next((word for word in words if not word.startswith("-")), None)
    wanted = name if name in COMMANDS and _is_command(words, name) else None
    parser = build_parser(only=wanted)
    args = parser.parse_args(words)
    if args.command is None:
        parser.print_help()
        return 0
    from ring2_orchestrator.report import Report  # noqa: PLC0415 - start-up is performance

    context = Context(
        home_path=args.home if args.home is not None else default_home(),
        report=Report(json=args.json, quiet=args.quiet),
        debug=args.debug,
    )
    return load(args.command).run(args, context)


def _is_command(words: list[str], name: str) -> bool:
    # The word after a global `--home` is its value, not a command.
    at = words.index(name)
    return at == 0 or words[at - 1] != "--home"


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
        type=Path,
        default=missing,
        metavar="DIR",
        help="where state is kept (default: $REDOXA_HOME, or the user's data folder)",
    )
    group.add_argument("--json", action="store_true", default=no, help="one JSON value on stdout")
    group.add_argument("-q", "--quiet", action="store_true", default=no, help="say only errors")
    group.add_argument(
        "--debug", action="store_true", default=no, help="show the traceback of an error"
    )


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The whole command line, or just the part that one command needs."""
    parser = argparse.ArgumentParser(
        prog="redoxa",
        description="Record runs, reuse them exactly, and pack data with reversible kernels.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    add_common(parser, root=True)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, summary in COMMANDS.items():
        if only not in (None, name):
            continue
        module = load(name)
        command = commands.add_parser(
            name,
            help=summary,
            description=(module.__doc__ or summary).strip(),
            epilog="examples:\n" + "\n".join(f"  {line}" for line in module.EXAMPLES),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        add_common(command)
        module.add_arguments(command)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version  # noqa: PLC0415 - slow, rarely asked

        print(f"redoxa {version('redoxa')}")  # noqa: T201
        parser.exit()
