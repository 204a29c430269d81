"""Complete what is typed in bash, zsh or fish: print the script that the shell reads.

The script asks this Redoxa at each Tab, so what it offers is what can be typed: commands, options
and their values, files where files may stand, runs, roots, genes and kernels by name; and behind
`redoxa run --` whatever the shell knows of that other command. It starts the very Redoxa that
printed it, and never a program for having been typed.
"""

import argparse
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from ring2_orchestrator.commands import COMMANDS, Context, add_verbs, build_parser, command_in
from ring2_orchestrator.commands._words import CommandParser

if TYPE_CHECKING:
    from ring2_orchestrator.home import Home

EXAMPLES = (
    'eval "$(redoxa completion bash)"                # for this shell; in ~/.bashrc for all',
    'eval "$(redoxa completion zsh)"                 # in ~/.zshrc, after compinit',
    "redoxa completion fish > ~/.config/fish/completions/redoxa.fish",
    "redoxa completion bash > ~/.local/share/bash-completion/completions/redoxa",
)
_SUMMARIES = {
    "bash": "the script for bash 4.4 or newer",
    "zsh": "the script for zsh, to be evaluated or kept as `_redoxa` in a folder of $fpath",
    "fish": "the script for fish",
    "answer": "what could complete the last word after `--`, as those scripts ask",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The shell."""
    add_verbs(parser, CommandParser, **_SUMMARIES)


def run(args: argparse.Namespace, context: Context) -> int:
    """Print the script, or the answer."""
    if args.verb == "answer":
        return _answer(args.command_words, context)
    from ring2_orchestrator.completing.scripts import script  # noqa: PLC0415 - start-up

    text = script(args.verb)
    context.report.data({"script": text, "shell": args.verb})
    context.report.text(text.rstrip("\n"))
    return 0


def _answer(words: list[str], context: Context) -> int:
    from ring2_orchestrator.completing.values import Known  # noqa: PLC0415 - start-up
    from ring2_orchestrator.completing.words import answer  # noqa: PLC0415 - start-up

    name = command_in(words[:-1])
    parser = build_parser(only=name) if name in COMMANDS else build_parser(loaded=())

    named = [after for word, after in pairwise(words[:-1]) if word == "--home"]
    path = Path(named[-1]) if named else context.home_path

    def home() -> "Home | None":
        # Whoever only looks around makes no folder.
        return context._replace(home_path=path).open_home(to_read=True) if path.is_dir() else None

    found = answer(parser, words or [""], Known(home))
    context.report.data(
        {
            "command_at": found.command_at,
            "places": found.places,
            "words": [{"meaning": said, "word": word} for word, said in found.words],
        }
    )
    for line in found.lines():
        context.report.text(line)
    return 0
