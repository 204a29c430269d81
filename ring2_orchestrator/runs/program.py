"""From a word to the program that a shell would take it for."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ring2_orchestrator.runs.errors import NoSuchCommandError, NotExecutableError
from ring2_orchestrator.runs.paths import canonical, join


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


def searched_in_vain(
    command: Sequence[str], program: Path, *, cwd: Path, env: Mapping[str, str]
) -> list[bytes]:
    """Where the program was looked for before it was found."""
    missed: list[bytes] = []
    for candidate in program_candidates(command[0], cwd=cwd, env=env):
        if candidate == program:
            break
        missed.append(join(canonical(candidate.parent), os.fsencode(candidate.name)))
    return missed


def _stands(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False  # a name too long for a file, or a folder that may not be searched
