"""A small repository with two scripts, and a person who records its history."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@invalid", "-c", "commit.gpgsign=false")
Done = subprocess.CompletedProcess[str]


@dataclass
class Recorder:
    """Makes commits, and types the command."""

    repository: Path
    place: Path
    home: Path

    def git(self, *words: str) -> str:
        made = {
            "GIT_AUTHOR_DATE": "2026-01-31T12:00:00Z",
            "GIT_COMMITTER_DATE": "2026-01-31T12:00:00Z",
        }
        done = subprocess.run(
            [*GIT, *words], cwd=self.repository, capture_output=True, text=True, check=True,
            env={**os.environ, **made},
        )  # fmt: skip
        return done.stdout

    def commit(self, files: Mapping[str, str | None]) -> None:
        for name, text in files.items():
            path = self.repository / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a step")

    def words(self, *words: str) -> list[str]:
        begin = [sys.executable, "-m", "redoxa", "--home", str(self.home), "history", "record"]
        return [*begin, str(self.repository), "-o", "out.csv", *words]

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT)}

    def record(self, *words: str) -> Done:
        return subprocess.run(
            self.words(*words),
            cwd=self.place,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )

    def recorded(self, *words: str) -> list[dict[str, str]]:
        done = self.record(*words)
        assert done.returncode == 0, done.stderr
        return self.rows()

    def summary(self, *words: str) -> dict[str, object]:
        done = self.record("--json", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def rows(self) -> list[dict[str, str]]:
        with (self.place / "out.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def left(self) -> list[Path]:
        """What the home still holds of histories."""
        folder = self.home / "history"
        return sorted(folder.iterdir()) if folder.exists() else []


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    made = Recorder(tmp_path / "small", tmp_path / "place", tmp_path / "home")
    made.repository.mkdir()
    made.place.mkdir()
    made.git("init", "-q", "-b", "main", ".")
    return made
