"""Which files of a folder are scripts, and which script a recorded command ran.

Light to load: `scripts/run.py` asks here before anything is known to be needed.
"""

import os
from collections.abc import Sequence

from ring2_orchestrator.runs.errors import NoSuchCommandError, NotExecutableError
from ring2_orchestrator.runs.script import script_command, this_python

SUFFIXES = (".py", ".sh", ".bash", ".js", ".mjs", ".pl", ".rb")
DEMOS = "demos"


def is_script(path: str) -> bool:
    """Whether a file's name or its permissions and first line say that it is a script."""
    if not os.path.isfile(path):  # noqa: PTH113
        return False
    if path.endswith(SUFFIXES):
        return True
    if not os.access(path, os.X_OK | os.R_OK):
        return False
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read(2) == b"#!"


def scripts_in(folder: str) -> list[str]:
    """The scripts that lie in a folder itself, by name; hidden ones and `_helpers.py` are none.

    Raises OSError where the folder cannot be read.
    """
    prefix = "" if folder in ("", ".") else folder.rstrip("/") + "/" if folder != "/" else "/"
    names = sorted(name for name in os.listdir(folder or ".") if not name.startswith((".", "_")))  # noqa: PTH208
    return [prefix + name for name in names if is_script(prefix + name)]


def several(words: Sequence[str]) -> bool:
    """Whether the words after `run.py` mean several scripts, not one script and its arguments."""
    if not words:
        return True
    if words[0] == "--":
        return False
    if len(words) == 1:
        return os.path.isdir(words[0])  # noqa: PTH112
    return all(
        os.path.isdir(word) or (word.endswith(SUFFIXES) and os.path.isfile(word))  # noqa: PTH112, PTH113
        for word in words
    )


def script_words(command: Sequence[str]) -> list[str] | None:
    """The script and its arguments that a command runs; None where it runs none that is known."""
    for at in range(min(3, len(command))):
        words = list(command[at:])
        try:
            if script_command(words[0], words[1:]) == list(command):
                return words
        except (NoSuchCommandError, NotExecutableError):
            continue
    if len(command) > 1 and command[0] == this_python() and command[1].endswith(".py"):
        return list(command[1:])  # the script is gone
    return None
