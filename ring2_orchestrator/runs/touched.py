"""The paths that a run touched, and whether another run at the same time may have harmed it.

A run is harmed when what it saw or left may be the other's work. The bytes are specified in
docs/formats/home.md.
"""

import os
from collections.abc import Collection, Iterable
from itertools import chain
from typing import NamedTuple, Self, cast

from cid_store.encoding import decode, encode
from cid_store.errors import MalformedNodeError
from ring2_orchestrator.runs.paths import folder_of
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.state import What
from ring2_orchestrator.runs.trace import Output

_Paths = frozenset[bytes]
_NONE: _Paths = frozenset()


class Touched(NamedTuple):
    """Absolute paths, by what a run did there."""

    wrote: _Paths = _NONE  # put there, changed or removed
    made: _Paths = _NONE  # folders that it made where nothing was, and left
    read: _Paths = _NONE  # it learned what stands there, in part or whole
    missed: _Paths = _NONE  # those of them at which nothing stood

    def encoded(self) -> bytes:
        """The same as bytes."""
        lists = {name: b"\0".join(sorted(paths)) for name, paths in self._asdict().items()}
        return encode({**lists, "type": "touched", "v": 1})

    @classmethod
    def decoded(cls, data: bytes) -> Self:
        """What those bytes say. Raises MalformedNodeError for any others."""
        node = decode(data)
        if not isinstance(node, dict) or node.get("type") != "touched" or node.get("v") != 1:
            raise MalformedNodeError("a node that should name the paths of a run does not")
        lists = [node.get(name) for name in cls._fields]
        if not all(isinstance(paths, bytes) for paths in lists):
            raise MalformedNodeError("a node that should list the paths of a run does not")
        return cls(*(_paths_in(cast("bytes", paths)) for paths in lists))


def touched_by_restore(outputs: Iterable[Output], due: Collection[bytes], roots: Roots) -> Touched:
    """What putting back the `due` ones of these outputs is about to touch."""
    wrote: set[bytes] = set()
    made: set[bytes] = set()
    for output in outputs:
        if output.path in due:
            path = roots.full(output.path)
            new = output.what == What.DIR and not os.path.lexists(path)
            (made if new else wrote).add(path)
    return Touched(frozenset(wrote), frozenset(made))


def harm(mine: Touched, theirs: Touched) -> bytes | None:
    """A path at which their run may have harmed mine while both went on; None: there is none."""
    # Their changes count also for what lies below, because a folder may be moved or removed.
    touched = chain(mine.wrote, mine.made, mine.read)
    found = _beneath(touched, theirs.wrote)
    # Two may make the same folder: whoever comes second finds what it wanted to make.
    found |= theirs.made & (mine.wrote | (mine.missed - mine.made))
    return min(found, default=None)


def _beneath(paths: Iterable[bytes], changed: _Paths) -> set[bytes]:
    """Those of the paths that were changed, or lie in a folder that was; the root is none."""
    if not changed:
        return set()
    # Most paths share their folders, and each folder is asked about once.
    known = {b"/": False}
    return {path for path in paths if _is_beneath(path, changed, known)}


def _is_beneath(path: bytes, changed: _Paths, known: dict[bytes, bool]) -> bool:
    way: list[bytes] = []
    while path not in known:
        way.append(path)
        if path in changed:
            known[path] = True
            break
        path = folder_of(path)
    answer = known[path]
    known.update(dict.fromkeys(way, answer))
    return answer


def _paths_in(data: bytes) -> _Paths:
    return frozenset(data.split(b"\0")) if data else _NONE
