"""Which runs of one home go on at the same time, and which of their traces may be published.

Nobody waits for anybody, for that would change what the commands do. A run that ends while others
go on leaves a note of what it touched, and whoever ends later compares. Only when everybody is
known to have left a trace alone is it published, so no look-up ever has to ask about others.

Each run has one file, which stays locked as long as the run or any of its processes lives. Its name
says when the run came and went, its bytes what it touched: see docs/formats/home.md.
"""

import fcntl
import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from cid_store.cid import Cid
from cid_store.errors import MalformedCidError, MalformedNodeError
from ring2_orchestrator.plainfile import open_plain, read_plain
from ring2_orchestrator.runs.paths import shown
from ring2_orchestrator.runs.touched import Touched, harm

_FOLDER = "running"
_GATE = "gate"
_FLAGS = os.O_RDWR | os.O_CREAT


class Candidate(NamedTuple):
    """A trace that may be published unless another run harmed it."""

    subject: str
    entry: Cid  # as `Memo.put` gives it


class Withdrawn(NamedTuple):
    """A trace that waited for other runs to end, and how one of them harmed it."""

    candidate: Candidate
    harm: str


class Parting(NamedTuple):
    """What the end of a run means for its own trace and for those of others.

    A trace that neither was harmed nor waits may be published at once. `settled` are those that
    waited for this end: publish them, then `forget` them.
    """

    harm: str | None
    waits: bool
    withdrawn: tuple[Withdrawn, ...]
    settled: tuple[Candidate, ...]


class _File(NamedTuple):
    """One run, as the name of its file has it."""

    name: str
    came: int
    went: int | None
    candidate: Candidate | None


class Presence:
    """One run, from before its program starts until its outputs are read.

    Whoever keeps a copy of `descriptor` prolongs it: the recorder's helper does, so that a program
    whose recorder was killed still counts as going on.
    """

    def __init__(self, home: Path) -> None:
        self._folder = home / _FOLDER
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with self._gate():
            self._withdrawn = self._bury()
            self._came = self._next()
            self._name = str(self._came)
            self.descriptor = open_plain(self._folder / self._name, _FLAGS | os.O_EXCL)
            fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        # Without a parting the file stays as it is: what this run touched is not known.
        os.close(self.descriptor)

    def part(
        self,
        touched: Touched | None,
        candidate: Candidate | None = None,
        *,
        leaves_some: bool = False,
    ) -> Parting:
        """End this run. `touched` is None where not all of it was seen.

        The candidate's entry must be durable. `leaves_some`: processes of the run live on, and what
        they do from now on is not seen.
        """
        assert candidate is None or touched is not None, "what has a trace was seen"
        with self._gate():
            self._withdrawn += self._bury()
            harmed, others_go_on = self._meet(touched)
            waits = candidate is not None and harmed is None and others_go_on
            self._go(touched, candidate if waits else None, leaves_some=leaves_some)
            return Parting(harmed, waits, tuple(self._withdrawn), tuple(self._clear()))

    def part_alone(self) -> bool:
        """End this run if it is the only one that anybody remembers; whether it was."""
        with self._gate():
            if self._withdrawn or [file.name for file in _files(self._folder)] != [self._name]:
                return False
            (self._folder / self._name).unlink()
            return True

    def forget(self, settled: Iterable[Candidate]) -> None:
        """Remove the notes of traces that have been published."""
        published = set(settled)
        for file in _files(self._folder):
            if file.candidate in published:
                (self._folder / file.name).unlink(missing_ok=True)

    # All that follows is done behind the gate.

    @contextmanager
    def _gate(self) -> Generator[None]:
        """Coming and going are matters of several steps, so all pass one by one."""
        gate = open_plain(self._folder / _GATE, _FLAGS)
        try:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield
        finally:
            os.close(gate)

    def _next(self) -> int:
        """A number greater than that of every coming and going that anybody remembers."""
        return 1 + max((max(file.came, file.went or 0) for file in _files(self._folder)), default=0)

    def _bury(self) -> list[Withdrawn]:
        """Let those go that ended without a word, or whose last process has ended now."""
        withdrawn: list[Withdrawn] = []
        now = self._next()
        for file in _files(self._folder):
            if file.went is not None or self._is_locked(file):
                continue
            if (touched := self._touched(file)) is None:
                withdrawn += self._withdraw(file.came, touched)
            self._rename(file.name, f"{file.came}-{now}")
        return withdrawn

    def _meet(self, touched: Touched | None) -> tuple[str | None, bool]:
        """How others harmed this run, and whether some go on; what it harmed is given up."""
        harmed: str | None = None
        others_go_on = False
        for file in _files(self._folder):
            if file.came == self._came or (file.went is not None and file.went < self._came):
                continue
            if self._goes_on(file):
                others_go_on = True
            elif harmed is None:
                harmed = _harm(touched, self._touched(file))
        self._withdrawn += self._withdraw(self._came, touched)
        return harmed, others_go_on

    def _withdraw(self, came: int, touched: Touched | None) -> list[Withdrawn]:
        """Give up the traces that a run which came then and touched this has harmed."""
        withdrawn: list[Withdrawn] = []
        for file in _files(self._folder):
            if file.candidate is None or file.went is None or file.went < came:
                continue
            if (reason := _harm(self._touched(file), touched)) is not None:
                self._rename(file.name, f"{file.came}-{file.went}")
                withdrawn.append(Withdrawn(file.candidate, reason))
        return withdrawn

    def _go(
        self, touched: Touched | None, candidate: Candidate | None, *, leaves_some: bool
    ) -> None:
        if touched is not None:
            os.pwrite(self.descriptor, touched.encoded(), 0)
            if leaves_some:
                return  # whoever meets what it left behind is to compare, so its lock goes on
        name = f"{self._came}-{self._next()}"
        if candidate is not None:
            name += f"-{candidate.subject}-{candidate.entry}"
        self._rename(self._name, name)

    def _clear(self) -> list[Candidate]:
        """Remove what nobody who goes on has met; the traces among it are settled."""
        files = _files(self._folder)
        oldest = min((file.came for file in files if self._goes_on(file)), default=None)
        settled: list[Candidate] = []
        for file in files:
            if file.went is None or (oldest is not None and oldest < file.went):
                continue
            if file.candidate is not None:
                settled.append(file.candidate)
            else:
                (self._folder / file.name).unlink()
        return settled

    def _goes_on(self, file: _File) -> bool:
        """Whether the run has not ended, so that nobody knows yet what it will have touched."""
        # Its lock is not asked: whoever is killed after the burial goes on until the next one.
        return file.went is None and (self._folder / file.name).stat().st_size == 0

    def _is_locked(self, file: _File) -> bool:
        descriptor = open_plain(self._folder / file.name, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _touched(self, file: _File) -> Touched | None:
        """What an ended run touched; None where nobody knows."""
        try:
            return Touched.decoded(read_plain(self._folder / file.name))
        except MalformedNodeError:
            return None

    def _rename(self, old: str, new: str) -> None:
        (self._folder / old).rename(self._folder / new)


def waiting(home: Path, subject: str) -> list[Cid]:
    """The entries of a command's traces that wait for other runs to end."""
    candidates = (file.candidate for file in _files(home / _FOLDER))
    return [each.entry for each in candidates if each is not None and each.subject == subject]


def _harm(mine: Touched | None, theirs: Touched | None) -> str | None:
    """In words, why what I saw or left may be theirs; None where it is not."""
    if mine is None or theirs is None:
        return "another command ran at the same time, and what it touched is not known"
    path = harm(mine, theirs)
    return None if path is None else f"another command changed {shown(path)} at the same time"


def _files(folder: Path) -> list[_File]:
    """The runs that have a file, in the order in which they came."""
    try:
        with os.scandir(folder) as found:
            files = [file for entry in found if (file := _parsed(entry.name)) is not None]
    except FileNotFoundError:
        return []
    return sorted(files, key=lambda file: file.came)


def _parsed(name: str) -> _File | None:
    came, *rest = name.split("-")
    if not came.isdecimal() or len(rest) not in (0, 1, 3) or not all(rest):
        return None
    try:
        candidate = Candidate(rest[1], Cid.parse(rest[2])) if len(rest) == 3 else None
        return _File(name, int(came), int(rest[0]) if rest else None, candidate)
    except (MalformedCidError, ValueError):
        return None
