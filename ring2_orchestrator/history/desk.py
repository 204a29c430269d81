"""Somebody at work between two commits: faults come in, are looked for, mended or made worse.

What is done next is drawn from a seed, and never asks how a run ended: so one seed gives the same
states everywhere, and a recording that was cut off goes on where it stopped.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ring2_orchestrator.history.draws import Draws
from ring2_orchestrator.history.mutation import comment_places, is_python, mutations

_TRIES = 40
_NOTE = b"# A note on what comes next.\n"
# How often of a hundred. Some faults are mended at the next look, some take several.
_FROM_GOOD = {"mutate": 70, "comment": 20, "test": 10}
_FROM_FAULTY = {"mend": 45, "again": 20, "more": 10, "comment": 25}


class Edit(NamedTuple):
    """One thing done: what, of which kind, where."""

    what: str
    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.what}@{self.path}:{self.line}"


class Desk:
    """The files of a commit as they are being changed. `read` gives a file as committed."""

    def __init__(
        self,
        *,
        sources: Sequence[str],
        scripts: Sequence[str],
        read: Callable[[str], bytes],
        draws: Draws,
    ) -> None:
        self._sources, self._scripts, self._draws = sources, scripts, draws
        self._read = read
        self._faulty: dict[str, int] = {}  # file to line of its newest fault
        self._notes: dict[str, bytes] = {}  # files as they are without faults
        self._texts: dict[str, bytes] = {}
        self._newest: str | None = None

    @property
    def texts(self) -> dict[str, bytes]:
        """The files that are not as committed."""
        return dict(self._texts)

    def step(self) -> list[Edit]:
        """Do what is done next; what that was. Nothing where nothing could be done."""
        habits = _FROM_FAULTY if self._faulty else _FROM_GOOD
        at = self._draws.below(100)
        for what, often in habits.items():
            at -= often
            if at < 0:
                return self._do(what)
        raise AssertionError("habits sum to a hundred")

    def _do(self, what: str) -> list[Edit]:
        if what == "mend":
            mended = [self._mend()]
            # Who mends a thing often touches another on the way, and sometimes breaks it.
            return mended + (self._do("mutate") if self._draws.happens(25) else [])
        if what == "again":
            return self._mutate(self._draws.one_of(sorted(self._faulty)), "again")
        if what in ("mutate", "more"):
            edits = self._mutate(self._chosen(), "mutate")
            others = self._mutate(self._chosen(), "mutate") if self._rarely() else []
            # A file has one fault at a time: the second one in the same file is in its place.
            return [each for each in edits if each.path not in {at.path for at in others}] + others
        return self._note(self._scripts if what == "test" else self._sources)

    def _rarely(self) -> bool:
        return self._draws.happens(15)

    def _chosen(self) -> str | None:
        """The file that is worked on: often the same as before."""
        if self._newest in self._sources and self._draws.happens(40):
            return self._newest
        return self._draws.one_of(self._sources) if self._sources else None

    def _clean(self, path: str) -> bytes:
        return self._notes[path] if path in self._notes else self._read(path)

    def _mend(self) -> Edit:
        path = self._draws.one_of(sorted(self._faulty))
        line = self._faulty.pop(path)
        self._texts.pop(path)
        if path in self._notes:
            self._texts[path] = self._notes[path]
        return Edit("mend", path, line)

    def _mutate(self, path: str | None, what: str) -> list[Edit]:
        """A fault in the file, in place of the one it has: who looked in vain changes another line.

        Where the file has none that could be made, another file is tried.
        """
        for _ in range(_TRIES):
            if path is None:
                break
            clean = self._clean(path)
            possible = mutations(clean)
            if possible:
                # First the kind, so that rare kinds are as likely as common ones.
                kind = self._draws.one_of(sorted({each.kind for each in possible}))
                mutation = self._draws.one_of([each for each in possible if each.kind == kind])
                text = mutation.applied(clean)
                if text not in (clean, self._texts.get(path)) and is_python(text):
                    self._texts[path], self._newest = text, path
                    self._faulty[path] = mutation.line
                    return [Edit(f"{what}:{kind}", path, mutation.line)]
            path = self._draws.one_of(self._sources) if self._sources else None
        return []

    def _note(self, files: Sequence[str]) -> list[Edit]:
        """A comment, in a file that has no fault."""
        for _ in range(_TRIES):
            path = self._draws.one_of(files) if files else None
            if path is None:
                break
            clean = self._clean(path)
            places = list(comment_places(clean))
            if path in self._faulty or not places:
                continue
            at = self._draws.one_of(places)
            self._notes[path] = self._texts[path] = clean[:at] + _NOTE + clean[at:]
            return [Edit("comment", path, clean.count(b"\n", 0, at) + 1)]
        return []
