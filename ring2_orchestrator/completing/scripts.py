"""The script of each shell: it asks `redoxa completion answer` whenever somebody presses Tab."""

import shlex
import sys
from pathlib import Path

SHELLS = ("bash", "zsh", "fish")
_PROGRAM = "@PROGRAM@"


def script(shell: str) -> str:
    """What that shell reads; it starts the very program that wrote it."""
    text = Path(__file__).with_name(f"redoxa.{shell}").read_text("utf-8")
    quote = _quote_for_fish if shell == "fish" else shlex.quote
    return text.replace(_PROGRAM, " ".join(map(quote, program())))


def program() -> list[str]:
    """The words that start this Redoxa from any folder."""
    # Never what was typed: a Tab must not start what happens to lie in the folder somebody is in.
    beside = Path(sys.executable).absolute().with_name("redoxa")
    return [str(beside)] if beside.is_file() else [sys.executable, "-m", "redoxa"]


def _quote_for_fish(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
