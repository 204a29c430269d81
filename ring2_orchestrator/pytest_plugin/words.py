"""The words with which each test file is run: those that were typed, but for what only shows.

Whatever may change how a test ends stays, and so counts for reuse.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from ring2_orchestrator.pytest_plugin.child import SHOWN

# Options with a value that only say how results are shown or how many files run at a time.
_VALUED = frozenset({
    "--code-highlight", "--color", "--dist", "--durations", "--durations-min", "--junit-prefix",
    "--junit-xml", "--junitprefix", "--junitxml", "--maxprocesses", "--numprocesses",
    "--redoxa-jobs", "--redoxa-order", "--show-capture", "--tb", "--verbosity", "-n", "-r",
})  # fmt: skip
_PLAIN = frozenset({
    "--disable-pytest-warnings", "--disable-warnings", "--force-short-summary", "--full-trace",
    "--no-header", "--no-redoxa", "--no-summary", "--quiet", "--redoxa", "--redoxa-why",
    "--showlocals", "--no-showlocals", "--verbose", "--xfail-tb",
})  # fmt: skip
_CLUSTER = re.compile(r"-[lqsvx]+")
_JOINED = re.compile(r"-r[a-zA-Z]+|-n(\d+|auto|logical)")
_FLAGS_WITH_VALUE = ("-X", "-W")
# What of them a failure's words depend on: handed on beside the words.
_SHOWING = ("verbose", "tbstyle", "showlocals", "showcapture", "fulltrace", "xfail_tb")


def head_of(config: pytest.Config) -> list[str] | None:
    """How this pytest was started, up to its own words; None where by another program."""
    given = [str(word) for word in config.invocation_params.args]
    at = len(sys.orig_argv) - len(given)
    if at < 2 or sys.orig_argv[at:] != given:
        return None
    head = sys.orig_argv[:at]
    if head[-2:] == ["-m", "pytest"]:
        flags = head[1:-2]
    elif Path(head[-1]).name in ("pytest", "py.test"):
        flags = head[1:-1]
    else:
        return None
    for before, flag in zip([head[0], *flags], flags, strict=False):
        if not flag.startswith("-") and before not in _FLAGS_WITH_VALUE:
            return None  # such as coverage, which measures one process
    return head


def options_of(config: pytest.Config, parser: pytest.Parser) -> list[str] | None:
    """The options that count; None where files are named elsewhere than among the typed words."""
    given = [str(word) for word in config.invocation_params.args]
    named = [str(word) for word in config.getoption("file_or_dir") or ()]
    kept: list[str] = []
    for at, word in enumerate(given):
        if word == "--":
            named = named[: len(named) - len(given[at + 1 :])]
            break
        if word in named and not word.startswith("-") and _is_name(given, at, parser):
            named.remove(word)
        else:
            kept.append(word)
    return None if named else list(_that_count(kept))


def _is_name(given: Sequence[str], at: int, parser: pytest.Parser) -> bool:
    """Whether a word is the name of a file, and not what an option before it was given."""
    rest = [*given[:at], *given[at + 1 :]]
    try:
        counts = [len(parser.parse_known_args(words).file_or_dir) for words in (list(given), rest)]
    except pytest.UsageError:
        return False  # without it an option lacks its value
    return counts[0] == counts[1] + 1


def _that_count(words: Sequence[str]) -> Iterator[str]:
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in _VALUED:
            skip = True
        elif word.partition("=")[0] in _VALUED or word in _PLAIN or _JOINED.fullmatch(word):
            continue
        elif _CLUSTER.fullmatch(word):
            # Several letters in one word: those that only show go.
            if left := "".join(letter for letter in word[1:] if letter in "sx"):
                yield f"-{left}"
        else:
            yield word


def child_environment(config: pytest.Config, given: Mapping[str, str]) -> dict[str, str]:
    """The variables for each file's process: those given to us, and how much failures tell."""
    env = dict(given)
    env.pop("PYTEST_VERSION", None)  # set by the pytest that runs here, and anew by the other
    showing = {name: config.getoption(name, None) for name in _SHOWING}
    env[SHOWN] = json.dumps({name: value for name, value in showing.items() if value is not None})
    return env
