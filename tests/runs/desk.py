"""A project with one command, and the native front end that may answer it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from cid_store.encoding import Node
from ring2_orchestrator.home import Home
from ring2_orchestrator.recorder import compile as compiler
from ring2_orchestrator.runs.execute import execute
from ring2_orchestrator.runs.result import RunResult
from ring2_orchestrator.shortcuts import folder
from ring2_orchestrator.shortcuts.spool import NAME as SPOOL

INSTALLED = Path(sys.executable).with_name("redoxa-run")
NOT_ANSWERED = 125  # there is no `redoxa` beside the copy that the tests use
SCRIPT = """
cat data/one data/two
ls data > names
if test -e extra; then cat extra; fi
cat link >&2
test -e none/there
cp data/one made
mkdir -p sub && cp data/two sub/made
"""
NEEDS_FRONT_END = pytest.mark.skipif(
    not INSTALLED.exists() and not os.environ.get("REDOXA_WHOLE"),
    reason="redoxa-run is not installed here",
)


class Desk:
    """A project with one command, its home, and `redoxa-run` without the Python it would call."""

    def __init__(self, base: Path, *, complaints: str = os.devnull) -> None:
        sources = Path(folder.__file__).parent / "front"
        if not compiler.carries(INSTALLED, compiler.digest(sources)):
            pytest.fail("redoxa-run is missing or of older sources; `pip install -e .` renews it")
        self.complaints = complaints  # where standard error leads; standard output goes nowhere
        self.home = base / "home"
        self.project = base / "project"
        self.front = base / "bin" / "redoxa-run"
        self.env = {"PATH": os.environ["PATH"], "REDOXA_HOME": str(self.home), "COLOUR": "blue"}
        self.words = ["sh", "-c", SCRIPT]
        (self.project / "data").mkdir(parents=True)
        (self.project / "data" / "one").write_text("1\n")
        (self.project / "data" / "two").write_text("2\n")
        (self.project / "link").symlink_to("data/two")
        (base / "bin").mkdir()
        shutil.copy2(INSTALLED, self.front)

    def run(self, **options: bool) -> RunResult:
        with Home(self.home) as home, unheard(self.complaints) as stdin:
            return execute(
                self.words,
                home=home,
                cwd=self.project,
                env=self.env,
                stdin=stdin,
                **{"shortcut": True, **options},  # pyright: ignore[reportArgumentType]
            )

    def answers(self, words: list[str] | None = None, **others: object) -> bool:
        """Whether the shortcut answers with the streams that `run` has."""
        call = cast("Callable[..., subprocess.CompletedProcess[bytes]]", subprocess.run)
        with Path(self.complaints).open("wb") as complaints:
            settings: dict[str, object] = {
                "cwd": self.project,
                "env": self.env,
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.DEVNULL,
                "stderr": complaints,
                **others,
            }
            done = call([str(self.front), "--", *(words or self.words)], check=False, **settings)
        assert done.returncode in (0, NOT_ANSWERED)
        return done.returncode == 0

    def prepare(self) -> Path:
        """Run until there is a shortcut: its files must have stood still for a moment."""
        for _ in range(50):
            self.run()
            if self.answers():
                return self.shortcuts()[0]
            time.sleep(0.05)
        raise AssertionError("no shortcut came to be")

    def spooled(self) -> int:
        """How many bytes wait for the ledger: an answer adds some before it prints any."""
        spool = self.home / SPOOL
        return spool.stat().st_size if spool.exists() else 0

    def shortcuts(self) -> list[Path]:
        return list((self.home / "shortcuts").iterdir())

    def entries(self) -> list[dict[str, Node]]:
        with Home(self.home) as home:
            return [cast("dict[str, Node]", batch.entries[0]) for batch in home.ledger.batches()]


@contextmanager
def unheard(complaints: str = os.devnull) -> Generator[int]:
    """Nothing on standard input, and nobody at the other two streams."""
    kept = [os.dup(number) for number in (1, 2)]
    nothing, other = os.open(os.devnull, os.O_RDWR), os.open(complaints, os.O_RDWR)
    try:
        os.dup2(nothing, 1)
        os.dup2(other, 2)
        yield nothing
    finally:
        os.close(nothing)
        os.close(other)
        for number, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)
