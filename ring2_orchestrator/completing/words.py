"""What could stand at the end of a command line: its parser is walked as far as was typed."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, cast

from ring2_orchestrator.report import one_line

_MOST_LETTERS = 100

Candidates = tuple[tuple[str, str], ...]  # each word, and what it means


class Values(NamedTuple):
    """What an argument may be: some words, and files or folders, if those may stand there."""

    words: Candidates = ()
    places: str = ""  # "files", "folders" or neither


class Answer(NamedTuple):
    """What could be typed. `command_at` is the index of the first word of another's command."""

    words: Candidates = ()
    places: str = ""
    command_at: int | None = None

    def lines(self) -> Iterator[str]:
        """As the shells read it: what else may stand there, then word, tab, meaning."""
        yield (
            f"command {self.command_at}" if self.command_at is not None else self.places or "words"
        )
        for word, meaning in self.words:
            yield f"{word}\t{one_line(meaning)}"


# What an argument may be, told from the words of its command and the argument itself.
ValuesOf = Callable[[tuple[str, ...], argparse.Action], Values]


def answer(parser: argparse.ArgumentParser, words: Sequence[str], values_of: ValuesOf) -> Answer:
    """What could complete the last of the words; they are those after the program's name."""
    walk = _Walk(parser)
    for at, word in enumerate(words[:-1]):
        walk.take(at, word)
        if walk.command_at is not None:
            return Answer(command_at=walk.command_at)
    return walk.answer(len(words) - 1, words[-1] if words else "", values_of)


class _Walk:
    """How far a command line has come."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._path: tuple[str, ...] = ()
        self._seen: set[str] = set()
        self._ended = False  # by `--`
        self.command_at: int | None = None
        self._enter(parser)

    def _enter(self, parser: argparse.ArgumentParser) -> None:
        # argparse has no public way to read a parser; this list has not moved in 15 years.
        actions = cast("list[argparse.Action]", cast("Any", parser)._actions)  # noqa: SLF001
        self._parser = parser
        self._options = {name: act for act in actions for name in act.option_strings}
        self._positionals = [act for act in actions if not act.option_strings]
        self._wants: argparse.Action | None = None  # the option whose value comes next

    def take(self, at: int, word: str) -> None:
        """Go on by one word that is complete."""
        if self._wants is not None:
            self._wants = None
        elif self._ended:
            self._positional(at, word)
        elif word == "--":
            self._ended = True
            if self._runs_commands():
                self.command_at = at + 1
        elif word.startswith("-") and len(word) > 1:
            self._option(word)
        else:
            self._positional(at, word)

    def _option(self, word: str) -> None:
        name, equals, _ = word.partition("=")
        if not word.startswith("--"):  # one letter, and perhaps more of them, or its value
            name, equals = word[:2], word[2:]
        action = self._options.get(name)
        if action is None:
            return
        self._seen.add(action.dest)
        if not equals and action.nargs is None:
            self._wants = action

    def _positional(self, at: int, word: str) -> None:
        if not self._positionals:
            return
        action = self._positionals[0]
        if action.nargs == argparse.PARSER:
            choices = cast("dict[str, argparse.ArgumentParser]", action.choices)
            if word in choices:
                self._path = (*self._path, word)
                self._enter(choices[word])
            else:  # what would follow a word that is none, nobody knows
                self._positionals, self._options = [], {}
        elif action.nargs == argparse.REMAINDER:
            self._ended = True
            if self._begins_command(action):
                self.command_at = at
        elif action.nargs not in ("*", "+"):
            self._positionals = self._positionals[1:]

    def _runs_commands(self) -> bool:
        return getattr(self._parser, "takes_command", False) or any(
            "COMMAND" in str(action.metavar)
            for action in self._positionals
            if action.nargs == argparse.REMAINDER
        )

    def answer(self, at: int, last: str, values_of: ValuesOf) -> Answer:
        """What could complete that word here."""
        if self._wants is None and not self._ended and last.startswith("-"):
            return self._option_begun(last, values_of)
        action = self._wants or (self._positionals[0] if self._positionals else None)
        if action is None:
            return Answer()
        if self._begins_command(action):
            return Answer(command_at=at)
        return self._values(action, last, values_of)

    def _option_begun(self, last: str, values_of: ValuesOf) -> Answer:
        name, equals, begun = last.partition("=")
        if not equals:
            return Answer(tuple(self._names(last)))
        action = self._options.get(name)
        if action is None or action.nargs == 0:
            return Answer()
        found = self._values(action, begun, values_of)
        return found._replace(words=tuple((f"{name}={word}", said) for word, said in found.words))

    def _begins_command(self, action: argparse.Action) -> bool:
        """Whether the words are a command of their own, also without `--` before them."""
        own = action.nargs == argparse.REMAINDER and str(action.metavar).startswith("--")
        return own and not self._seen & {"script", "scripts"}

    def _values(self, action: argparse.Action, begun: str, values_of: ValuesOf) -> Answer:
        if action.nargs == argparse.PARSER:
            words = _parts(action)
        elif action.choices is not None:
            words = tuple((str(word), "") for word in action.choices)
        else:
            words, places = values_of(self._path, action)
            return Answer(_beginning(words, begun), places)
        return Answer(_beginning(words, begun))

    def _names(self, begun: str) -> Iterator[tuple[str, str]]:
        """The options, but for those that were given and may be given only once."""
        for name, action in self._options.items():
            again = action.nargs is None and isinstance(action.default, list)
            hidden = action.help == argparse.SUPPRESS or (action.dest in self._seen and not again)
            # A person who has typed one dash reads; the long names say what is meant.
            if name.startswith(begun) and not hidden and (name.startswith("--") or begun == name):
                yield name, _said(action)


def _parts(action: argparse.Action) -> Candidates:
    """The commands or verbs, each with its summary."""
    parts = cast("Any", action)._choices_actions  # noqa: SLF001 - as in _Walk._enter
    return tuple((str(part.dest), _said(part)) for part in parts)


def _said(action: argparse.Action) -> str:
    text = (action.help or "").replace("%%", "%")
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 3]}..."


def _beginning(words: Candidates, begun: str) -> Candidates:
    return tuple((word, said) for word, said in words if word.startswith(begun))
