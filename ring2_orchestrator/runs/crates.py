"""The folders in which rustc looks for the crates that other crates need.

It lists them whole (`-L dependency=DIR`), while others of a parallel build come and go there. But
it takes from there only a crate whose hash is written in a library that it has read, and no other.
So the libraries that it opened are all that counts, and each of them is an input.
"""

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from ring2_orchestrator.runs.paths import canonical

_KIND = "dependency="


def dependency_folders(command: Sequence[str], cwd: Path) -> frozenset[bytes]:
    """The folders that a command gives rustc for this and nothing else."""
    if not command or Path(command[0]).name != "rustc":
        return frozenset()
    values = list(_values(command))
    mine = {value.removeprefix(_KIND) for value in values if value.startswith(_KIND)}
    others = {value.partition("=")[2] or value for value in values if not value.startswith(_KIND)}
    found = {_canonical(cwd, value) for value in mine}
    return frozenset(found - {_canonical(cwd, value) for value in others})


def _values(command: Sequence[str]) -> list[str]:
    """What was given with `-L`."""
    found = [word[2:] for word in command if word.startswith("-L") and len(word) > 2]
    return found + [value for word, value in pairwise(command) if word == "-L"]


def _canonical(cwd: Path, folder: str) -> bytes:
    return canonical(os.path.join(cwd, folder))  # noqa: PTH118 - may be absolute
