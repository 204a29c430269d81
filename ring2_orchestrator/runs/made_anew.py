"""Folders that hold nothing but what the run leaves in them, whatever lay there before."""

from collections.abc import Mapping

from ring2_orchestrator.runs.fold import Edit
from ring2_orchestrator.runs.paths import folder_of, name_of


def made_anew(edits: Mapping[bytes, Edit]) -> list[bytes]:
    """The folders that the run made after it had removed them, or had looked for them in vain.

    Who looks for a folder and then makes it (`rm -rf out; cp -r in out`) would have removed it, had
    it been there, or may have: what another run left there would be gone. Folders in such a folder
    are made anew as well. Python's caches of bytecode are left out: their files stand alone.
    """
    return [path for path in edits if name_of(path) != b"__pycache__" and _is_anew(path, edits)]


def _is_anew(path: bytes, edits: Mapping[bytes, Edit]) -> bool:
    while (edit := edits.get(path)) is not None and edit.made_dir:
        if edit.sought or edit.before is not None:
            return True
        path = folder_of(path)
    return False
