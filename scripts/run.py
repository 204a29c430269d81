"""Run scripts, recorded; reuse their results when nothing they depend on changed.

    python scripts/run.py [OPTIONS] SCRIPT [ARGS]       one script, as `redoxa run --script`
    python scripts/run.py [OPTIONS] -- SCRIPT [ARGS]    the same, even if ARGS are scripts
    python scripts/run.py [OPTIONS] [SCRIPT|FOLDER]...  several, as `redoxa run --scripts`

Several are meant when every word is a script's file or a folder; without any word, all scripts in
`demos` are. From a source checkout with the dependencies installed.
"""

import os
import sys

# Without pathlib, which would take a good part of what a reused run takes.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))  # noqa: PTH120

from redoxa.__main__ import main
from ring2_orchestrator.runs.scripts_in import several

WITH_A_VALUE = (
    "--home", "--timeout", "--kill-after", "--retries", "--retry-delay", "-j", "--jobs", "--verify",
)  # fmt: skip


def command_line(words: list[str]) -> list[str]:
    """The words as `redoxa run` takes them: what stands before the script is for us."""
    at = 0
    while at < len(words) and words[at].startswith("-") and words[at] != "--":
        at += 2 if words[at] in WITH_A_VALUE else 1
    options, rest = words[:at], words[at:]
    if several(rest) and not {"-l", "--list", "-h", "--help"} & set(options):
        return ["run", "--scripts", *options, "--", *rest]
    separator = [] if not rest or rest[0] == "--" else ["--"]
    return ["run", "--script", *options, *separator, *rest]


if __name__ == "__main__":
    main(command_line(sys.argv[1:]))
