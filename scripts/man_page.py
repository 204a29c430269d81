"""Write docs/redoxa.1, the manual page, from the command line's own definitions."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ring2_orchestrator.commands import COMMANDS, EXIT_CODES, build_parser, load  # noqa: E402
from scripts.manual import actions_of, spelling, subparsers  # noqa: E402

PAGE = ROOT / "docs" / "redoxa.1"

_END = """\
.SH ENVIRONMENT
.TP
.B REDOXA_HOME
The folder of all state; \\-\\-home says the same.
.TP
.B PAGER
What shows long lists on a terminal.
.TP
.B NO_COLOR
Where it is set, no colours.
.SH FILES
.TP
.I ~/.local/share/redoxa
The state: store, ledger and caches. To forget all of it, delete that.
"""


def man_page() -> str:
    """The whole page as man(7) text; the same under every supported Python."""
    parser = build_parser()
    lines = [
        '.\\" Written by `python scripts/man_page.py`; a test keeps it true.',
        '.TH REDOXA 1 "" Redoxa "User Commands"',
        ".SH NAME",
        "redoxa \\- record runs, reuse them exactly, and pack data with reversible kernels",
        ".SH SYNOPSIS",
        ".B redoxa",
        ".RI [ options ] \\ COMMAND \\ [ arguments ]",
        ".SH OPTIONS",
        "Every command takes these, too, before or after its name.",
        *_arguments(parser),
        ".SH COMMANDS",
    ]
    for name in COMMANDS:
        lines += _command(name, subparsers(parser)[name])
    lines += [".SH EXIT STATUS", ".nf", *map(_plain, EXIT_CODES.splitlines()), ".fi"]
    return "\n".join(lines) + "\n" + _END


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f".SS redoxa {name}"
    yield from _paragraphs(parser.description or "")
    yield from _arguments(parser)
    for verb, part in subparsers(parser).items():
        yield from (".PP", f".B redoxa {name} {verb}", ".br")
        yield from _paragraphs(part.description or "")
        yield from _arguments(part)
    yield from (".PP", "Examples:", ".PP", ".nf", ".RS")
    yield from map(_plain, load(name).EXAMPLES)
    yield from (".RE", ".fi")


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in actions_of(parser, common=parser.prog == "redoxa"):
        if action.nargs != argparse.PARSER and action.dest != "help":
            yield from (".TP", f".B {_plain(spelling(action))}")
            yield _plain((action.help or "").replace("%%", "%"))


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.strip().split("\n\n"):
        yield from (_plain(" ".join(paragraph.split())), ".PP")


def _plain(text: str) -> str:
    """Text that means nothing to the formatter."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    PAGE.write_text(man_page(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
