"""From the script that a person names to the command that runs it.

Light to load, because a reused run asks this first of all: no pathlib, no typing.
"""

import os
import stat
import sys
from collections.abc import Mapping, Sequence

from ring2_orchestrator.runs.errors import NoSuchCommandError, NotExecutableError

# What runs a script that is neither executable nor names its interpreter in a `#!` line.
_INTERPRETERS: Mapping[str, tuple[str, ...]] = {
    ".sh": ("sh",),
    ".bash": ("bash",),
    ".js": ("node",),
    ".mjs": ("node",),
    ".pl": ("perl",),
    ".rb": ("ruby",),
}


def script_command(script: str, arguments: Sequence[str] = ()) -> list[str]:
    """The command that runs a script file.

    A `.py` file runs under this Python; an executable file runs itself; a `#!` line names the
    program otherwise, then the suffix. Raises NoSuchCommandError (missing) or NotExecutableError
    (a directory, unreadable, or nothing says how to run it).
    """
    mode = _mode(script)
    suffix = os.path.splitext(script)[1]  # noqa: PTH122
    if stat.S_ISDIR(mode):
        raise NotExecutableError(f"{script} is a directory; name the script inside it")
    if not stat.S_ISREG(mode):
        raise NotExecutableError(f"{script} is not a regular file; name the file of a script")
    if suffix == ".py":
        _require_readable(script)
        return [this_python(), script, *arguments]
    if os.access(script, os.X_OK):
        # A bare name would be searched on PATH; the person meant the file.
        return [script if "/" in script else f"./{script}", *arguments]
    _require_readable(script)
    if interpreter := _shebang(script) or list(_INTERPRETERS.get(suffix, ())):
        return [*interpreter, script, *arguments]
    raise NotExecutableError(
        f"nothing says how to run {script}: make it executable (chmod +x), "
        "begin it with a #! line, or use redoxa run -- PROGRAM " + script
    )


def this_python() -> str:
    """The Python we run under, spelled the same whatever name it was started by.

    A run is found again by its words, and a virtual environment has two or three names for one
    interpreter. Its folder stays: that is where an interpreter finds its environment.
    """
    here = sys.executable
    folder = os.path.realpath(os.path.dirname(here))  # noqa: PTH120
    names = ("python", "python3", f"python3.{sys.version_info.minor}")
    named = (f"{folder}/{name}" for name in names)
    return next((path for path in named if _same(path, here)), here)


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)  # noqa: PTH121
    except OSError:
        return False


def _mode(script: str) -> int:
    if not script:
        raise NoSuchCommandError("the name of the script is empty; name a file")
    try:
        return os.stat(script).st_mode  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        raise NoSuchCommandError(f"there is no file {script}; check its spelling") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise NotExecutableError(f"{script} cannot be looked at ({reason})") from error


def _require_readable(script: str) -> None:
    if not os.access(script, os.R_OK):
        raise NotExecutableError(f"{script} may not be read; check its permissions (chmod u+r)")


def _shebang(script: str) -> list[str] | None:
    with open(script, "rb") as file:  # noqa: PTH123
        first = file.readline(256)
    if not first.startswith(b"#!"):
        return None
    words = first[2:].decode("utf-8", "surrogateescape").strip().split(None, 1)
    return words or None
