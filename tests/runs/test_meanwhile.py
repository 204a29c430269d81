"""What may come of a run that is asked for while another process edits, and how the model knows."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ring2_orchestrator.recorder import compile as compiler
from ring2_orchestrator.runs.state import Present
from tests.runs.model.edits import Edit
from tests.runs.model.lines import LINES
from tests.runs.model.world import Answer, World

pytestmark = pytest.mark.skipif(
    not compiler.can_record(), reason="programs are recorded on Linux only"
)
READS = LINES[0]  # a.txt, b.txt, the names in d, and whether c.txt is there


class HeldMeddler:
    """In place of the process that edits: does the edit just when it is told to, or at the end."""

    def __init__(self) -> None:
        self.do: Callable[[], None] | None = None

    def order(self, _delay_s: float, project: Path, edit: Edit) -> None:
        self.do = lambda: edit(project)
        self.begun(project)

    def begun(self, project: Path) -> None:
        """For the first half of an edit."""

    def wait(self) -> None:
        if self.do is not None:
            do, self.do = self.do, None
            do()


class HalfMeddler(HeldMeddler):
    """Its edit has begun when the run is asked for, and is over when it is waited for."""

    def begun(self, project: Path) -> None:
        beside = project.parent / "new-1"
        beside.write_text("what is to take a name\n")
        self.do = lambda: beside.replace(project / "c.txt") and None


@pytest.fixture
def answers(world: World, monkeypatch: pytest.MonkeyPatch) -> list[Answer]:
    """What Redoxa answers in the world from now on."""
    found: list[Answer] = []
    ask = world.ask

    def ask_and_note(*args: Any, **options: Any) -> Answer:
        found.append(ask(*args, **options))
        return found[-1]

    monkeypatch.setattr(world, "ask", ask_and_note)
    return found


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world in which somebody edits whenever it suits the test."""
    monkeypatch.setattr(World, "meddler", HeldMeddler(), raising=False)
    monkeypatch.setattr("tests.runs.model.world.note", _say_nothing)
    made = World()
    made.begin(lines=(READS, READS), asks_front=False)
    yield made
    made.teardown()


def test_the_files_are_looked_at_when_the_edit_is_over(
    world: World, answers: list[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.compare(READS)
    monkeypatch.setattr(World, "meddler", HalfMeddler())
    edit = Edit("replace", ("c.txt", "what is to take a name\n"))
    world.run_while_another_edits(first=True, edit=edit, delay_s=0.0)
    assert answers[1].is_reuse


@pytest.mark.parametrize(
    ("recorded", "stands", "names"),
    [
        pytest.param(("one\n", "one\n"), ("one\n", "two\n"), ("a.txt", "b.txt"), id="copy"),
        pytest.param(("two\n", None), ("two\n", "one\n"), ("b.txt", "a.txt"), id="removal"),
    ],
)
def test_each_file_counts_as_it_was_before_or_after_a_rename(
    world: World,
    answers: list[Answer],
    recorded: tuple[str, str | None],
    stands: tuple[str, str],
    names: tuple[str, str],
) -> None:
    """What is looked at before and what after a move tell of a world that never was, as to a run.

    The next run sees what is.
    """
    for state in (stands, recorded):
        put(world, state)
        world.compare(READS)
    put(world, stands)
    status = Present.status

    def status_after_the_edit(present: Present, path: bytes) -> object:
        if path.endswith(b"/b.txt"):
            World.meddler.wait()
        return status(present, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Present, "status", status_after_the_edit)
        world.run_while_another_edits(first=True, edit=Edit("move", names), delay_s=0.0)
    assert [answer.is_reuse for answer in answers] == [False, False, True, False, True]


def _say_nothing(_said: str) -> None:
    """Notes are for examples of hypothesis."""


def put(world: World, texts: tuple[str, str | None]) -> None:
    """What a.txt and b.txt hold from now on."""
    for name, text in zip(("a.txt", "b.txt"), texts, strict=True):
        path = world.project / name
        if text is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(text)
