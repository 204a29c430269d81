"""Looks above a project, told of another place: what they would have to find there.

A program that looks outside its project may name what it looks at by an absolute path, count
upwards (`../x`), or search upwards until it finds something. No call says which. So in another
place each of these must come to the same: what stands above the project there counts as well as
what stood here.
"""

from collections.abc import Iterable, Iterator, Mapping

from ring2_orchestrator.runs.paths import folder_of, inside, join
from ring2_orchestrator.runs.state import MISSING, State, What

_TOP = b"/"
_ABSENT = (What.MISSING, What.BLANK)
_PLACES = (What.DIR, What.LINK)


class TiedError(Exception):
    """A trace cannot be told of another folder; the text says why."""


class Above:
    """The folders above a project here and there; `there` is where a trace is to hold."""

    def __init__(self, here: bytes, there: bytes, home: bytes | None, *, strict: bool) -> None:
        self._here, self._there = folders_above(here), folders_above(there)
        self._place = there
        self._strict = strict  # the folders' own permissions count, too
        # What lies in the person's home under a hidden name is found by the home's name.
        both = home is not None and home in self._here and home in self._there
        self._home = home if both and home != _TOP else None
        self._hidden = self._home is not None and here[len(self._home) + 1 :].startswith(b".")

    def demands(self, rows: Iterable[tuple[bytes, State]]) -> dict[bytes, State]:
        """What must hold there besides these rows, which are those outside the project.

        Raises TiedError where nothing could hold.
        """
        looks = [(*self._level(path), path, state) for path, state in rows]
        stood = self._stood(looks)
        found: dict[bytes, State] = {}
        for level, rest, path, state in looks:
            for place, wanted in self._wanted(level, rest, state, stood.get(rest, {})):
                if place == self._place or inside(place, self._place):
                    raise TiedError(f"it looked at {_text(path)}, which here is the project's own")
                if found.setdefault(place, wanted) != wanted:
                    raise TiedError(f"it looked at {_text(path)}, above its project")
        return found | self._folders_themselves(looks)

    def _level(self, path: bytes) -> tuple[int, bytes]:
        """How far above the project the path branches off, and the rest of it."""
        for level, folder in enumerate(self._here, 1):
            if path == folder:
                return level, b""
            if inside(path, folder):
                return level, path[len(folder) :].lstrip(b"/")
        raise AssertionError("everything lies below the top")

    def _stood(
        self, looks: Iterable[tuple[int, bytes, bytes, State]]
    ) -> dict[bytes, dict[int, int]]:
        """Of each name that was found: at which levels here, and at which that is there."""
        found: dict[bytes, dict[int, int]] = {}
        for level, rest, _, state in looks:
            if state.what not in _ABSENT:
                found.setdefault(rest, {})[level] = self._counterpart(level, rest)
        return found

    def _counterpart(self, level: int, rest: bytes) -> int:
        folder = self._here[level - 1]
        if folder == _TOP or self._is_homes(folder, rest):
            return self._there.index(folder) + 1
        return level

    def _is_homes(self, folder: bytes, rest: bytes) -> bool:
        return folder == self._home and rest.startswith(b".") and not self._hidden

    def _wanted(
        self, level: int, rest: bytes, state: State, stood: Mapping[int, int]
    ) -> Iterator[tuple[bytes, State]]:
        folder = self._here[level - 1]
        if not rest or (folder == _TOP and not self._may_be_found(rest, state)):
            return
        lower = max((there for here, there in stood.items() if here < level), default=0)
        if state == MISSING or state.what == What.BLANK:
            upper = min(
                (there for here, there in stood.items() if here > level),
                default=len(self._there) + 1,
            )
            # Whoever searched upwards would look in all folders between what was found.
            for each in self._there[lower : upper - 1]:
                yield join(each, rest), state
            return
        if folder == _TOP or self._is_homes(folder, rest):
            for each in self._there[lower : self._there.index(folder)]:
                yield join(each, rest), MISSING
            return
        yield join(self._there[min(level, len(self._there)) - 1], rest), state

    def _may_be_found(self, rest: bytes, state: State) -> bool:
        """Whether a path that only the top holds may be one that is searched for upwards."""
        if state.what in _PLACES:
            return rest.startswith(b".") and b"/" not in rest
        return b"/" not in rest or len(self._here) == 1

    def _folders_themselves(
        self, looks: Iterable[tuple[int, bytes, bytes, State]]
    ) -> dict[bytes, State]:
        """The folders above are folders there, too; their permissions count where it is `strict`.

        Their names are another matter: who lists a folder above is told what lies there.
        """
        found: dict[bytes, State] = {}
        seen = {level: state for level, rest, path, state in looks if not rest and path != _TOP}
        for level, state in seen.items():
            if state.what == What.DIR and not self._strict:
                continue
            if level >= len(self._there):
                raise TiedError("it looked at more folders above its project than there are here")
            found[self._there[level - 1]] = state
        if self._strict and seen:
            for level, folder in enumerate(self._there[:-1], 1):
                if level < len(self._here):
                    continue
                if len(set(seen.values())) > 1:
                    raise TiedError("it looked at the folders above, and here are more of them")
                found[folder] = next(iter(seen.values()))
        return found


def folders_above(root: bytes) -> list[bytes]:
    """The folders that a folder lies in, the nearest first; `/` is the last."""
    found: list[bytes] = []
    while root != _TOP:
        root = folder_of(root)
        found.append(root)
    return found


def _text(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
