"""A project folder, a home, and a person who runs commands in them."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.execute import execute
from ring2_orchestrator.runs.memo import Decision, Memo
from ring2_orchestrator.runs.result import RunResult
from tests.runs.desk import Desk

ROOT = Path(__file__).resolve().parents[2]
RUN = str(ROOT / "scripts" / "run.py")
Done = subprocess.CompletedProcess[bytes]


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


def environment(person: Person) -> dict[str, str]:
    """The person's variables, with what it takes to start this Redoxa quickly."""
    caches = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    mine = {"PYTHONPATH": str(ROOT), "REDOXA_HOME": str(person.home_path)}
    return {**person.env, **mine, "XDG_CACHE_HOME": caches}


@pytest.fixture
def typed(person: Person) -> Callable[..., Done]:
    """Type words after `redoxa`, or after `python scripts/run.py` where they begin with RUN."""

    def type_words(*words: str, stdin: bytes = b"") -> Done:
        program = list(words) if words[0] == RUN else ["-m", "redoxa", *words]
        return subprocess.run(
            [sys.executable, *program],
            cwd=person.project,
            env=environment(person),
            input=stdin,
            capture_output=True,
            timeout=120,
            check=False,
        )

    return type_words


@pytest.fixture
def typed_text(typed: Callable[..., Done]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same, and what it prints is text."""

    def type_words(*words: str) -> subprocess.CompletedProcess[str]:
        done = typed(*words)
        printed = done.stdout.decode(), done.stderr.decode()
        return subprocess.CompletedProcess(done.args, done.returncode, *printed)

    return type_words


def named_keys(page: Path, command: str) -> tuple[set[str], set[str]]:
    """The keys that a page names for a command's answer, and those of the things listed in it."""
    part = page.read_text(encoding="utf-8").partition(f"## `redoxa {command}")[2]
    heads = re.findall(r"^\| (.+?) \| ", part.partition("\n## ")[0], re.MULTILINE)
    at = heads.index("key", 1)
    outer, inner = (re.findall(r"`(\w+)`", "".join(some)) for some in (heads[:at], heads[at:]))
    return set(outer), set(inner)


def sentence(done: Done) -> str:
    """The one line on standard error."""
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("redoxa: ")
    return lines[0].removeprefix("redoxa: ")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"))
