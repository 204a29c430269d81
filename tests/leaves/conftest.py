"""A C project that make builds inside recorded runs, its compilers wrapped."""

import os
import pty
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.recorder import compile as compiler
from ring2_orchestrator.runs.execute import execute
from ring2_orchestrator.runs.leaves.masquerade import with_leaves
from ring2_orchestrator.runs.paths import name_of
from ring2_orchestrator.runs.result import RunResult
from ring2_orchestrator.shortcuts import folder
from tests.runs.desk import unheard

ROOT = Path(__file__).parents[2]
INSTALLED = Path(sys.executable).with_name("redoxa-run")
NAMES = ("one", "two", "three")
MAKEFILE = """\
OBJECTS = one.o two.o three.o
prog: $(OBJECTS)
	gcc -o $@ $(OBJECTS)
%.o: %.c
	gcc -O1 -Iearly -Ilate -MD -c $< -o $@
-include *.d
"""


@dataclass
class Works:
    """The project, its home, and what the ledger says of each build."""

    base: Path
    project: Path
    home: Path
    env: dict[str, str] = field(default_factory=dict)
    _seen: int = 0

    def write(self, name: str, text: str) -> Path:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(self, *words: str, reuse: bool = True) -> RunResult:
        """A recorded run with wrapped compilers, as `redoxa run --leaves` has it."""
        with Home(self.home) as home, unheard() as stdin:
            return execute(
                words,
                home=home,
                cwd=self.project,
                env=with_leaves(self.env),
                stdin=stdin,
                reuse=reuse,
            )

    def typed(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """`redoxa run --leaves -- words`, typed in a shell whose streams go elsewhere."""
        line, env = self._line(words)
        return subprocess.run(
            line,
            cwd=self.project,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )

    def shown(self, *words: str) -> bytes:
        """What the same line shows in a terminal, in which nobody presses a key."""
        line, env = self._line(words)
        master, slave = pty.openpty()
        with subprocess.Popen(
            line, cwd=self.project, env=env, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave
        ):
            os.close(slave)
            found = b""
            with suppress(OSError):  # the end of a terminal
                while block := os.read(master, 4096):
                    found += block
        os.close(master)
        return found

    def _line(self, words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        env = {**self.env, "TERM": "xterm", "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"]}
        env |= {"PYTHONPATH": str(ROOT), "REDOXA_HOME": str(self.home)}
        return [sys.executable, "-m", "redoxa", "run", "--leaves", "--", *words], env

    def make(self, *words: str, reuse: bool = True) -> RunResult:
        return self.run("make", "-s", *words, reuse=reuse)

    def sh(self, text: str) -> RunResult:
        return self.run("sh", "-c", text)

    def news(self) -> list[tuple[str, str]]:
        """Verdict and last word of each compiler call since the last time this was asked."""
        found: list[tuple[str, str]] = []
        with Home(self.home) as home:
            batches = list(home.ledger.batches())
            for batch in batches[self._seen :]:
                for entry in batch.entries:
                    assert isinstance(entry, dict)
                    words = cast("list[bytes]", entry["command"])
                    if name_of(words[0]).startswith(b"gcc"):
                        found.append((str(entry["verdict"]), os.fsdecode(words[-1])))
        self._seen = len(batches)
        return found

    def counts(self) -> Counter[str]:
        return Counter(verdict for verdict, _ in self.news())

    def clean(self) -> None:
        for path in self.project.iterdir():
            if path.suffix in (".o", ".d") or path.name == "prog":
                path.unlink()

    def made(self) -> dict[str, bytes]:
        names = [*(f"{name}.o" for name in NAMES), "prog"]
        return {name: (self.project / name).read_bytes() for name in names}


@pytest.fixture
def works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Works:
    if shutil.which("gcc") is None or shutil.which("make") is None:
        pytest.skip("there is no C compiler, or no make")
    if not INSTALLED.exists():
        pytest.skip("redoxa-run is not installed here")
    sources = Path(folder.__file__).parent / "front"
    if not compiler.carries(INSTALLED, compiler.digest(sources)):
        pytest.fail("redoxa-run is of older sources; `pip install -e .` renews it")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    project = tmp_path / "project"
    for name in ("early", "late"):
        (project / name).mkdir(parents=True)
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    found = Works(tmp_path, project, tmp_path / "redoxa", env)
    found.write("Makefile", MAKEFILE)
    found.write("late/word.h", '#define WORD "hello"\n')
    found.write("late/other.h", "#define OTHER 1\n")
    found.write("one.c", '#include "word.h"\n#include <stdio.h>\nint two(void);\nint main(void)'
                "{ return puts(WORD) < two(); }\n")  # fmt: skip
    found.write("two.c", '#include "other.h"\nint three(void);\nint two(void)'
                "{ return three() - OTHER; }\n")  # fmt: skip
    found.write("three.c", "int three(void) { return 1; }\n")
    return found
