"""`redoxa run` asks `redoxa-run` first, and is right whatever that says."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ring2_orchestrator.runs import ask as asking
from ring2_orchestrator.runs.ask import NO_ANSWER, ask
from tests.runs.desk import INSTALLED, NEEDS_FRONT_END, Desk

pytestmark = NEEDS_FRONT_END
SCRIPTS_RUN = Path(__file__).parent.parent.parent / "scripts" / "run.py"
REDOXA = (sys.executable, "-m", "redoxa", "run")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    (made.project / "work.py").write_text("import sys\nprint(open('data/one').read(), sys.argv)\n")
    made.env["PYTHONPATH"] = str(SCRIPTS_RUN.parent.parent)
    return made


def typed(desk: Desk, words: Sequence[str | Path]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        words, cwd=desk.project, env=desk.env, stdin=subprocess.DEVNULL, capture_output=True,
        check=False,
    )  # fmt: skip


def answered(desk: Desk, words: Sequence[str | Path]) -> subprocess.CompletedProcess[bytes]:
    """Type it until Python need not answer any more."""
    for _ in range(50):
        waiting = desk.spooled()
        done = typed(desk, words)
        assert done.returncode == 0, done.stderr
        if desk.spooled() > waiting:
            return done
        time.sleep(0.05)
    raise AssertionError("it was never answered")


WAYS = {
    "run --": (*REDOXA, "--", sys.executable, "work.py", "-x"),
    "run": (*REDOXA, sys.executable, "work.py", "-x"),
    "run --script": (*REDOXA, "--script", "--", "work.py", "-x"),
    "scripts/run.py": (sys.executable, SCRIPTS_RUN, "work.py", "-x"),
    "the installed redoxa": (INSTALLED.with_name("redoxa"), "run", sys.executable, "work.py", "-x"),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_reuse_is_answered_and_a_change_is_seen(desk: Desk, way: str) -> None:
    first = typed(desk, WAYS[way])
    assert b"recorded: " in first.stderr
    last = answered(desk, WAYS[way])
    assert last.stdout == first.stdout == b"1\n ['work.py', '-x']\n"
    assert last.stderr.startswith(b"redoxa: reused: ")
    entries = len(desk.entries())
    assert desk.spooled() == 0, "whoever opens the ledger enters it"
    (desk.project / "data/one").write_text("other\n")
    changed = typed(desk, WAYS[way])
    assert changed.stdout == b"other\n ['work.py', '-x']\n"
    assert changed.stderr.startswith(b"redoxa: ran again: data/one changed")
    assert len(desk.entries()) == entries + 1


def test_options_and_other_commands_are_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        pytest.fail("it was asked")

    monkeypatch.setattr(os, "posix_spawn", fail)
    lines: list[str] = [
        "", "run", "run --", "run --script", "run --script --", "run --json -- true",
        "run --shortcut -- true", "run --no-reuse true", "run -v true", "run --script -v x.py",
        "run --script no-such.py", "run --home x -- true", "run --help", "run --debug -- true",
    ]  # fmt: skip
    for words in lines:
        assert ask(words.split()) is None


def front_end(folder: Path, text: str) -> Path:
    made = folder / "redoxa-run"
    made.write_text(f"#!/bin/sh\n{text}\n")
    made.chmod(made.stat().st_mode | stat.S_IXUSR)
    return made


@pytest.mark.parametrize(
    ("text", "code"),
    [("exit 0", 0), ("exit 125", 125), (f"exit {NO_ANSWER}", NO_ANSWER), ("kill -9 $$", 137)],
)
def test_its_end_is_told_as_a_shell_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, code: int
) -> None:
    front_end(tmp_path, f'test "$*" = "-- a b" || exit 1\n{text}')
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "redoxa")])
    assert ask(["run", "a", "b"]) == code


def test_only_what_is_installed_beside_redoxa_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front_end(tmp_path, "exit 7")
    monkeypatch.chdir(tmp_path)
    for started, python in (("redoxa", ""), ("./redoxa", ""), ("-c", "python"), ("", "bin/python")):
        monkeypatch.setattr(sys, "argv", [started])
        monkeypatch.setattr(sys, "executable", python)
        assert ask(["run", "true"]) is None
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert ask(["run", "true"]) == 7


def test_asking_loads_hardly_anything() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "import redoxa.__main__, ring2_orchestrator.runs.ask as asking\n"
        "asking.ask(['run', '--script', 'none.py'])\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=SCRIPTS_RUN.parent.parent, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    unwanted = {"argparse", "pathlib", "re", "subprocess", "typing", "ring2_orchestrator.commands"}
    assert not unwanted & set(done.stdout.split())
    assert asking.__name__ in done.stdout.split()
