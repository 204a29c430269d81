"""A project folder, a home, and a person who runs commands in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.execute import execute
from ring2_orchestrator.runs.memo import Decision, Memo
from ring2_orchestrator.runs.result import RunResult


@dataclass
class Person:
    """Runs shell lines in one project; each run opens the home anew, as each command does."""

    project: Path
    home_path: Path
    env: dict[str, str] = field(default_factory=dict)

    def run(self, line: str, **options: object) -> RunResult:
        return self.command("sh", "-c", line, **options)

    def command(self, *words: str, **options: object) -> RunResult:
        settings: Mapping[str, object] = {"cwd": self.project, "env": self.env, **options}
        with Home(self.home_path) as home:
            return execute(words, home=home, **settings)  # pyright: ignore[reportArgumentType]

    def decide(self, line: str) -> Decision:
        with Home(self.home_path) as home:
            return Memo(home).decide(["sh", "-c", line], cwd=self.project, env=self.env)

    def write(self, name: str, text: str) -> Path:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def read(self, name: str) -> str:
        return (self.project / name).read_text()

    def tree(self) -> dict[str, tuple[int, bytes | str]]:
        """Everything in the project: mode and content, or where a link points."""
        found: dict[str, tuple[int, bytes | str]] = {}
        for path in sorted(self.project.rglob("*")):
            name, mode = str(path.relative_to(self.project)), path.lstat().st_mode
            if path.is_symlink():
                found[name] = (mode, str(path.readlink()))
            else:
                found[name] = (mode, path.read_bytes() if path.is_file() else b"")
        return found


@pytest.fixture
def person(tmp_path: Path) -> Person:
    project = tmp_path / "project"
    project.mkdir()
    temp = tmp_path / "temp"
    temp.mkdir()
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path / "person"), "TMPDIR": str(temp)}
    (tmp_path / "person").mkdir()
    return Person(project, tmp_path / "redoxa", env)
