"""A hint is said again by `redoxa-run` exactly as long as nothing that it rests on has changed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.recorder import compile as compiler
from ring2_orchestrator.runs.ask import ask_hint, question
from ring2_orchestrator.shortcuts import folder

FRONT = Path(sys.executable).with_name("redoxa-run")
SOURCES = Path(folder.__file__).parent / "front"
SILENT = 204  # nothing is known, and Python answers

pytestmark = pytest.mark.skipif(
    not FRONT.exists() or not compiler.carries(FRONT, compiler.digest(SOURCES)),
    reason="redoxa-run is not installed here, or of older sources",
)


class Asker:
    """A project with one script that was reused, so that it has a shortcut, and its home."""

    def __init__(self, base: Path) -> None:
        self.home = base / "home"
        self.project = base / "project"
        self.project.mkdir()
        (self.project / "data.txt").write_text("one\n")
        (self.project / "work.sh").write_text("cat data.txt\n")
        self.command = ["sh", "work.sh"]
        self.env = {"PATH": os.environ["PATH"], "REDOXA_HOME": str(self.home)}

    def redoxa(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "redoxa", *words],
            cwd=self.project, env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        return done.stdout

    def run(self) -> None:
        self.redoxa("run", "--", *self.command)

    def hint(self, *options: str) -> str:
        return self.redoxa("jit", "hint", *options, "--", *self.command)

    def again(self, *, json: bool = False, command: list[str] | None = None) -> str | None:
        """What the front end says by itself, with other streams than the run had."""
        done = subprocess.run(
            ["redoxa-hint?", question(json=json), *(command or self.command)],
            executable=FRONT, cwd=self.project, env=self.env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode == 0) == bool(done.stdout)
        assert done.returncode in (0, SILENT)
        return done.stdout or None


@pytest.fixture
def asker(tmp_path: Path) -> Asker:
    """One whose hint was said and kept."""
    made = Asker(tmp_path)
    for _ in range(50):
        made.run()
        made.hint()  # enters what is spooled
        made.hint()
        if made.again() is not None:
            return made
        time.sleep(0.05)
    raise AssertionError("no hint was kept")


def steady(asker: Asker, *, json: bool = False) -> str:
    """A hint, and what the front end says of it in the same minute of load."""
    options = ("--json",) if json else ()
    for _ in range(20):
        before, said = question(json=json), asker.hint(*options)
        again = asker.again(json=json)
        if before == question(json=json):
            assert again == said
            return said
    raise AssertionError("the load never stood still")


def test_it_says_the_very_same_again_in_either_form(asker: Asker) -> None:
    assert "reuse: yes" in steady(asker)
    assert '"reuse": true' in steady(asker, json=True)


def test_an_input_that_changed_is_never_overlooked(asker: Asker) -> None:
    steady(asker)
    (asker.project / "data.txt").write_text("two\n")
    assert asker.again() is None
    assert "data.txt: was content" in asker.hint()
    assert asker.again() is None, "what must run is decided anew each time"


def test_a_run_of_anything_makes_it_old(asker: Asker) -> None:
    steady(asker)
    asker.redoxa("run", "--", "sh", "-c", "exit 0")
    assert asker.again() is None


def test_reuses_that_nobody_entered_yet_are_news(asker: Asker) -> None:
    steady(asker)
    asker.run()
    assert (asker.home / "reuses").stat().st_size, "the front end answered the run"
    assert asker.again() is None


@pytest.mark.parametrize("change", ["file", "key", "shortcut", "head", "variable", "command"])
def test_nothing_is_said_on_another_footing(asker: Asker, change: str) -> None:
    steady(asker)
    shortcut = next(each for each in (asker.home / "shortcuts").iterdir() if "." not in each.name)
    match change:
        case "file":
            kept = folder.hint_of(shortcut)
            kept.write_bytes(kept.read_bytes().replace(b"yes", b"yet"))
        case "key":
            (asker.home / "environment.key").write_bytes(bytes(32))
        case "shortcut":
            shortcut.unlink()
        case "head":
            (asker.home / "ledger" / "checkpoint").unlink()
        case "variable":
            asker.env["COLOUR"] = "blue"
        case _:
            assert asker.again(command=["sh", "other.sh"]) is None
            return
    assert asker.again() is None


def test_what_is_forgotten_takes_its_hint_along(asker: Asker) -> None:
    (asker.project / "data.txt").write_text("two\n")
    asker.run()
    with Home(asker.home) as home:
        assert not list((home.path / "shortcuts").glob("*.hint"))


@pytest.mark.parametrize(
    "words",
    [
        ["jit", "hint"],
        ["jit", "hint", "--"],
        ["jit", "hint", "--home", "x", "work.py"],
        ["jit", "hint", "-q", "work.py"],
        ["jit", "hint", "missing.py"],
    ],
)
def test_words_that_say_more_than_a_command_are_for_python(words: list[str]) -> None:
    assert ask_hint(words) is None
