"""A small project with tests of its own, and a person who runs pytest there."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = "ring2_orchestrator.pytest_plugin.entry"


class Told(NamedTuple):
    """What one session said."""

    code: int
    text: str
    errors: str

    @property
    def counts(self) -> dict[str, int]:
        """The last line: how many tests passed, failed, were skipped."""
        last = self.text.rstrip().rpartition("\n")[2]
        return {word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", last)}

    @property
    def files(self) -> tuple[int, int]:
        """How many files were skipped, and how many ran."""
        line = re.search(r"redoxa: (\d+) test files? skipped .*, (\d+) test files? run", self.text)
        assert line, self.text + self.errors
        return int(line[1]), int(line[2])


@dataclass
class Author:
    """Types `python -m pytest` in one project."""

    project: Path
    env: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def plain(self, *words: str, env: Mapping[str, str] | None = None) -> Told:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", PLUGIN, *words],
            cwd=self.project,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Told(done.returncode, done.stdout, done.stderr)

    def test(self, *words: str, env: Mapping[str, str] | None = None) -> Told:
        return self.plain("--redoxa", *words, env=env)


def author_in(folder: Path) -> Author:
    """A person with a home, a temporary folder and an empty project."""
    for name in ("project", "person", "temp"):
        (folder / name).mkdir()
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder / "person"),
        "TMPDIR": str(folder / "temp"),
        "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # whatever else is installed here
        "REDOXA_HOME": str(folder / "redoxa"),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
    }
    (folder / "project" / ".git").mkdir()
    return Author(folder / "project", env)


@pytest.fixture
def author(tmp_path: Path) -> Author:
    return author_in(tmp_path)
