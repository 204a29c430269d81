"""From the file a person names to the command that runs it, and from a name to its program."""

import os
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

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
    path = Path(script)
    mode = _mode(script)
    if stat.S_ISDIR(mode):
        raise NotExecutableError(f"{script} is a directory; name the script inside it")
    if not stat.S_ISREG(mode):
        raise NotExecutableError(f"{script} is not a regular file; name the file of a script")
    if path.suffix == ".py":
        _require_readable(script)
        return [this_python(), script, *arguments]
    if os.access(script, os.X_OK):
        # A bare name would be searched on PATH; the person meant the file.
        return [script if "/" in script else f"./{script}", *arguments]
    _require_readable(script)
    if interpreter := _shebang(path) or list(_INTERPRETERS.get(path.suffix, ())):
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
    here = Path(sys.executable)
    folder = Path(os.path.realpath(here.parent))
    names = ("python", "python3", f"python3.{sys.version_info.minor}")
    return next((str(folder / name) for name in names if _same(folder / name, here)), str(here))


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def find_program(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Path:
    """The program file that the command's first word means, searched as a shell would.

    Raises NoSuchCommandError or NotExecutableError.
    """
    word = command[0]
    found: Path | None = None
    for candidate in program_candidates(word, cwd=cwd, env=env):
        if not _stands(candidate):
            continue
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
        found = found or candidate
    if found is None:
        where = "" if "/" in word else " on PATH"
        raise NoSuchCommandError(f"there is no program '{word}'{where}; check its spelling")
    if found.is_dir():
        raise NotExecutableError(f"{found} is a directory; name a program inside it")
    raise NotExecutableError(f"{found} is not executable; chmod +x it, or name its interpreter")


def program_candidates(word: str, *, cwd: Path, env: Mapping[str, str]) -> list[Path]:
    """Where a program of that name would be looked for, in order."""
    if not word:
        return []
    if "/" in word:
        return [cwd / word]
    folders = env.get("PATH", os.defpath).split(os.pathsep)
    return [cwd / folder / word for folder in folders]


def _stands(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False  # a name too long for a file, or a folder that may not be searched


def _mode(script: str) -> int:
    if not script:
        raise NoSuchCommandError("the name of the script is empty; name a file")
    try:
        return Path(script).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise NoSuchCommandError(f"there is no file {script}; check its spelling") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise NotExecutableError(f"{script} cannot be looked at ({reason})") from error


def _require_readable(script: str) -> None:
    if not os.access(script, os.R_OK):
        raise NotExecutableError(f"{script} may not be read; check its permissions (chmod u+r)")


def _shebang(path: Path) -> list[str] | None:
    with path.open("rb") as file:
        first = file.readline(256)
    if not first.startswith(b"#!"):
        return None
    words = first[2:].decode("utf-8", "surrogateescape").strip().split(None, 1)
    return words or None
