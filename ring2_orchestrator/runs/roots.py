"""Where a run's paths are counted from, and where its outputs may be put back."""

import os
from collections.abc import Mapping
from pathlib import Path

from ring2_orchestrator.runs.paths import canonical, folder_of, inside

_PROJECT = b"P"


class Roots:
    """The project folder of one run, and the folders a restore may write in.

    Paths inside the project are kept as `P/...`, relative to it; all others are kept absolute.
    """

    def __init__(self, *, project: bytes, writable: tuple[bytes, ...]) -> None:
        assert project.startswith(b"/"), "a root is an absolute path"
        self.project = project
        # The whole file system is nobody's root: a container's HOME=/ must not open all of it.
        roots = dict.fromkeys((project, *writable))
        self._writable = tuple(root for root in roots if root != b"/")

    @classmethod
    def around(cls, cwd: Path, env: Mapping[str, str]) -> "Roots":
        """The roots of a run started in `cwd`: its project, the person's home, the temp folder."""
        folder = canonical(cwd)
        # The run's own HOME and TMPDIR are what the program would use.
        named = [env.get("HOME"), env.get("TMPDIR") or "/tmp"]  # noqa: S108 - where programs go
        others = tuple(canonical(root) for root in named if root)
        return cls(project=_project_of(folder), writable=others)

    def short(self, path: bytes) -> bytes:
        """The path as a trace keeps it."""
        if path == self.project:
            return _PROJECT
        if path.startswith(self.project + b"/"):
            return _PROJECT + path[len(self.project) :]
        return path

    def full(self, short: bytes) -> bytes:
        """The absolute path that a trace means here and now."""
        return short if short.startswith(b"/") else self.project + short[1:]

    def may_write(self, path: bytes) -> bool:
        """Whether a restore may touch that absolute path."""
        return any(inside(path, root) for root in self._writable)

    def anchor(self, path: bytes) -> bytes:
        """The longest writable root that holds the path."""
        return max((root for root in self._writable if inside(path, root)), key=len)


def _project_of(folder: bytes) -> bytes:
    """The nearest folder upwards that is a git checkout, else the folder itself."""
    at = folder
    while at != b"/":
        if os.path.lexists(at + b"/.git"):
            return at
        at = folder_of(at)
    return folder
