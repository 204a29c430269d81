"""Which states of a repository are run, in which order: its commits, and edits between them."""

import json
from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

from cid_store.errors import InputError
from ring2_orchestrator.history.desk import Desk
from ring2_orchestrator.history.draws import Draws
from ring2_orchestrator.history.repository import Commit, Scratch

TEST_FILES = ("test_*.py", "*_test.py")
_NO_SOURCES = ("test", "tests", "testing", "docs", "doc", "examples", "benchmarks")
_NO_SOURCE_FILES = ("conftest.py", "setup.py", *TEST_FILES)


class State(NamedTuple):
    """One state: its tree, the commit it is or comes of, when, and how it was made."""

    tree: str
    commit: str
    date: str
    kind: str  # commit or edit
    edits: str
    scripts: tuple[str, ...]


class Asked(NamedTuple):
    """What a history is to be of; two that are equal have equal states."""

    repository: str
    commits: int
    revision: str
    command: tuple[str, ...]
    scripts: tuple[str, ...]
    sources: tuple[str, ...]
    mutate: int
    seed: int


class NoPlanError(ValueError):
    """What was kept of a plan cannot be read."""


class Plan(NamedTuple):
    """The states of a history, as they were fixed when it was begun."""

    asked: Asked
    states: tuple[State, ...]

    @property
    def runs(self) -> int:
        """How many runs they are."""
        return sum(len(state.scripts) for state in self.states)

    def save(self, file: Path) -> None:
        """Keep it; whole, or not at all."""
        states = [state._asdict() for state in self.states]
        text = json.dumps({"asked": self.asked._asdict(), "states": states})
        beside = file.with_suffix(".new")
        beside.write_text(text, encoding="ascii")
        beside.replace(file)

    @classmethod
    def load(cls, file: Path) -> Self | None:
        """The plan that was kept; None where there is none. Raises NoPlanError where it is none."""
        try:
            node = json.loads(file.read_bytes())
            asked = Asked(**_with_tuples(node["asked"]))
            return cls(asked, tuple(State(**_with_tuples(row)) for row in node["states"]))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise NoPlanError(f"{file} is no plan of a history") from error


def _with_tuples(node: dict[str, Any]) -> dict[str, Any]:
    """The values as they were before JSON made lists of tuples."""
    return {
        name: tuple(cast("list[Any]", value)) if isinstance(value, list) else value
        for name, value in node.items()
    }


def is_like(path: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern fits: with a slash the whole path, else the name. `*` fits slashes, too."""
    name = path.rpartition("/")[2]
    return any(fnmatchcase(path if "/" in at else name, at) for at in patterns)


def plan(asked: Asked, commits: Sequence[Commit], scratch: Scratch, *, once: str | None) -> Plan:
    """The states of these commits; the trees of edited ones are made in the scratch repository.

    With `once` the command runs once in each state, under that name. Raises InputError where no
    state has a script, or there is nothing that could be edited.
    """
    states: list[State] = []
    for at, commit in enumerate(commits):
        files = scratch.files(commit.tree)
        scripts = (once,) if once else tuple(each for each in files if is_like(each, asked.scripts))
        edits = "commit" if at else "start"
        states.append(State(commit.tree, commit.hash, commit.date, "commit", edits, scripts))
        if asked.mutate and at + 1 < len(commits):
            states += _edited(asked, commits[at : at + 2], states[-1], files, scratch)
    if not any(state.scripts for state in states):
        among = "1 commit" if len(commits) == 1 else f"{len(commits)} commits"
        raise InputError(
            f"no file of {among} is like {' or '.join(asked.scripts)}; name "
            "the scripts with --scripts, or leave {script} out to run the command once a state"
        )
    return Plan(asked, tuple(states))


def _edited(
    asked: Asked,
    between: Sequence[Commit],
    first: State,
    files: Sequence[str],
    scratch: Scratch,
) -> list[State]:
    """The states between two commits; `first` is that of the earlier one."""
    commit, following = between
    desk = Desk(
        sources=[path for path in files if _is_source(path, asked)],
        scripts=[path for path in files if path in first.scripts],
        read=lambda path: scratch.read(commit.tree, path),
        draws=Draws("redoxa.history/1", asked.seed, commit.hash),
    )
    states: list[State] = []
    tree = commit.tree
    for number in range(asked.mutate):
        edits = desk.step()
        now = scratch.edited(commit.tree, desk.texts)
        if now == tree:
            continue
        tree = now
        date = _between(commit.date, following.date, (number + 1) / (asked.mutate + 1))
        said = "+".join(str(edit) for edit in edits)
        states.append(first._replace(tree=tree, date=date, kind="edit", edits=said))
    return states


def _is_source(path: str, asked: Asked) -> bool:
    if asked.sources:
        return is_like(path, asked.sources) and not is_like(path, asked.scripts)
    folders = path.split("/")[:-1]
    return (
        path.endswith(".py")
        and not is_like(path, (*_NO_SOURCE_FILES, *asked.scripts))
        and not any(folder in _NO_SOURCES for folder in folders)
    )


def _between(was: str, then: str, part: float) -> str:
    """A time between two, as if the work had been spread evenly."""
    first, last = datetime.fromisoformat(was), datetime.fromisoformat(then)
    return (first + (last - first) * part).replace(microsecond=0).isoformat()
