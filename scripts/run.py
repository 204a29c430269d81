"""Run a script, recorded; reuse its results when nothing it depends on changed.

    python scripts/run.py [OPTIONS] SCRIPT [ARGS]

The same as `redoxa run --script`, from a source checkout with the dependencies installed.
"""

import os
import sys

# Without pathlib, which would take a good part of what a reused run takes.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))  # noqa: PTH120

from redoxa.__main__ import main

WITH_A_VALUE = ("--home", "--timeout", "--kill-after", "--retries", "--retry-delay")


def command_line(words: list[str]) -> list[str]:
    """The words as `redoxa run` takes them: what stands before the script is for us."""
    at = 0
    while at < len(words) and words[at].startswith("-") and words[at] != "--":
        at += 2 if words[at] in WITH_A_VALUE else 1
    rest = words[at:]
    separator = [] if not rest or rest[0] == "--" else ["--"]
    return ["run", "--script", *words[:at], *separator, *rest]


if __name__ == "__main__":
    main(command_line(sys.argv[1:]))
