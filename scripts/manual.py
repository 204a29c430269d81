"""Write docs/cli.md, the page of every command, from the command line's own definitions."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ring2_orchestrator.commands import COMMANDS, EXIT_CODES, build_parser, load  # noqa: E402

PAGE = ROOT / "docs" / "cli.md"


def manual() -> str:
    """The whole page as Markdown; the same text under every supported Python."""
    lines = [
        "# The command line",
        "",
        "This page is written by `python scripts/manual.py`; a test keeps it true.",
        "Every command also takes the [common options](#common-options).",
        "",
    ]
    parser = build_parser()
    for name in COMMANDS:
        lines += _command(name, subparsers(parser)[name])
    lines += ["## Common options", "", *_options(parser), ""]
    lines += ["## Exit codes", "", "```text", EXIT_CODES, "```", ""]
    return "\n".join(lines)


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    yield from (f"## redoxa {name}", "", (parser.description or "").strip(), "")
    yield from _options(parser, common=False)
    for verb, part in subparsers(parser).items():
        yield from ("", f"### redoxa {name} {verb}", "", (part.description or "").strip(), "")
        yield from _options(part, common=False)
    yield from ("", "```sh", *load(name).EXAMPLES, "```", "")


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands or verbs of a parser."""
    for action in actions_of(parser):
        if action.nargs == argparse.PARSER:
            return dict(cast("dict[str, argparse.ArgumentParser]", action.choices))
    return {}


def _options(parser: argparse.ArgumentParser, *, common: bool = True) -> Iterator[str]:
    rows = [
        (spelling(action), (action.help or "").replace("|", "\\|").replace("%%", "%"))
        for action in actions_of(parser, common=common)
        if action.nargs != argparse.PARSER and action.dest != "help"
    ]
    if rows:
        yield from ("| argument | meaning |", "| --- | --- |")
        yield from (f"| `{spelling}` | {text} |" for spelling, text in rows)


def actions_of(parser: argparse.ArgumentParser, *, common: bool = True) -> list[argparse.Action]:
    """The arguments that are told of, in the order of their groups."""
    # argparse has no public way to read a parser; these two lists have not moved in 15 years.
    groups = cast("Any", parser)._action_groups  # noqa: SLF001
    return [
        action
        for group in groups
        if common or group.title != "common options"
        for action in group._group_actions  # noqa: SLF001
        if action.help != argparse.SUPPRESS
    ]


def spelling(action: argparse.Action) -> str:
    """An argument as it is typed."""
    value = action.metavar or action.dest.upper()
    if isinstance(value, tuple):
        value = " ".join(value)
    if not action.option_strings and action.nargs == argparse.OPTIONAL:
        return f"[{value}]"
    if not action.option_strings:
        return value if action.nargs in (None, 1) else f"{value} …"
    names = ", ".join(action.option_strings)
    return names if action.nargs == 0 else f"{names} {value}"


if __name__ == "__main__":
    PAGE.write_text(manual(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
