"""Whether a run may be reused in other folders, and on whose word: docs/running.md says how."""

import enum
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cid_store.errors import InputError
from ring2_orchestrator.runs.paths import canonical, inside
from ring2_orchestrator.runs.roots import Roots

VARIABLE = "REDOXA_RELOCATABLE"
_MAPS = ("-ffile-prefix-map", "--remap-path-prefix")


class Moving(enum.Enum):
    """On what grounds results may be used in another folder than that of the run."""

    NEVER = ""
    SAID = "1"  # a person says that the folder does not matter
    SHOWN = "clones"  # runs in two folders gave the same


def wanted(
    asked: Moving, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], compiler: bool
) -> Moving:
    """What was asked for by option, by variable, or by a compiler's own words.

    Raises InputError for a value of the variable that means nothing.
    """
    if asked is not Moving.NEVER:
        return asked
    value = env.get(VARIABLE, "")
    try:
        said = Moving("" if value == "0" else value)
    except ValueError:
        raise InputError(
            f"{VARIABLE} is {value!r}, which means nothing; set it to 1 (results do not depend on "
            "where the project lies) or to clones (reuse what two clones have shown), or unset it"
        ) from None
    if said is Moving.NEVER and compiler and maps_project(command, cwd=cwd, env=env):
        return Moving.SAID
    return said


def maps_project(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> bool:
    """Whether a compiler is told to write another name for the project, or for a folder on the way.

    So `-ffile-prefix-map=OLD=NEW`, and `--remap-path-prefix OLD=NEW` as one word or two.
    """
    folders = list(_mapped(command))
    if not folders:
        return False
    here, project = canonical(cwd), Roots.around(cwd, env).project
    return any(
        (folder == here or inside(here, folder)) and (folder == project or inside(folder, project))
        for folder in folders
    )


def _mapped(command: Sequence[str]) -> list[bytes]:
    """The folders that get another name."""
    found: list[bytes] = []
    for at, word in enumerate(command):
        option, equals, rest = word.partition("=")
        if option not in _MAPS:
            continue
        pair = rest if equals else "".join(command[at + 1 : at + 2])
        old, _, _ = pair.rpartition("=")
        if old.startswith("/"):
            found.append(os.fsencode(old.rstrip("/")))
    return found
