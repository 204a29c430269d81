"""Errors in genes: the file, the line and column, the fact, and a caret under the place."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from cid_store.errors import InputError
from ring2_orchestrator.report import one_line

_TAB = "\t"
# How much of a line is shown before its fault, and in all.
_SHOWN_BEFORE, _SHOWN = 80, 100
_UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a gene's text; lines and columns count from 1."""

    line: int
    column: int


class GeneError(InputError):
    """A gene that cannot be meant. The text shows where."""

    has_lines = True

    def __init__(self, message: str, *, name: str, text: str, at: Position) -> None:
        super().__init__(f"{one_line(name)}:{at.line}:{at.column}: {message}{_caret(text, at)}")
        self.message = message
        self.at = at


class GeneFault(Exception):  # noqa: N818 - never leaves the package; GeneError is what leaves
    """A fault at a place, before the name and the text of the gene are known."""

    def __init__(self, message: str, at: Position) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion to append to a message about an unknown word, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def _caret(text: str, at: Position) -> str:
    lines = text.splitlines()
    line = lines[at.line - 1] if at.line <= len(lines) else ""
    if not line.strip():
        return ""
    # Spelled out, a control character would take more room than one and move the caret.
    shown = "".join(a if a.isprintable() or a == _TAB else _UNPRINTABLE for a in line)
    begin = max(0, at.column - 1 - _SHOWN_BEFORE)
    shown, column = shown[begin : begin + _SHOWN], at.column - 1 - begin
    # The caret's own indentation repeats the line's tabs, so both are shifted alike.
    indent = "".join(_TAB if letter == _TAB else " " for letter in shown[:column])
    return f"\n    {shown}\n    {indent.ljust(column)}^"
