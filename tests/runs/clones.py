"""Several folders of one project, one home, and a person who runs commands in them."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.clones.wanted import Moving
from ring2_orchestrator.runs.execute import execute
from ring2_orchestrator.runs.result import RunResult

SAID, SHOWN = Moving.SAID, Moving.SHOWN


@dataclass
class Clones:
    """Runs shell lines in folders below `base`; each run opens the home anew."""

    base: Path

    def folder(self, name: str, **files: str) -> Path:
        """A folder that holds these files; a `.txt` is added to each name."""
        path = self.base / name
        path.mkdir(parents=True, exist_ok=True)
        for each, text in files.items():
            (path / f"{each}.txt").write_text(text)
        return path

    def env(self, folder: Path, **more: str) -> dict[str, str]:
        for name in ("person", "temp"):
            (self.base / name).mkdir(exist_ok=True)
        mine = {"HOME": str(self.base / "person"), "TMPDIR": str(self.base / "temp")}
        return {"PATH": "/usr/bin:/bin", "PWD": str(folder), **mine, **more}

    def run(
        self, folder: Path, line: str, *words: str, moving: Moving | None = SAID, **options: object
    ) -> RunResult:
        env = {**self.env(folder), **options.pop("env", {})}  # pyright: ignore[reportGeneralTypeIssues]
        command = ["sh", "-c", line, "sh", *words]
        with Home(self.base / "redoxa") as home:
            return execute(command, home=home, cwd=folder, env=env, moving=moving, **options)  # pyright: ignore[reportArgumentType]

    def plain(self, folder: Path, line: str, *words: str) -> tuple[int, bytes]:
        """Exit code and output without Redoxa."""
        done = subprocess.run(
            ["sh", "-c", line, "sh", *words],
            cwd=folder,
            env=self.env(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    def outside(self, but: Path) -> dict[str, bytes]:
        """Every file below the base but for Redoxa's and those of one folder."""
        skipped = (self.base / "redoxa", self.base / "temp", but)
        return {
            str(path): path.read_bytes()
            for path in self.base.rglob("*")
            if path.is_file() and not any(path.is_relative_to(each) for each in skipped)
        }


def tree(folder: Path) -> dict[str, bytes | str]:
    """Everything in a folder: contents, and where links point."""
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else b"a folder"
        for path in sorted(folder.rglob("*"))
    }


def put_back(folder: Path, kept: Path) -> None:
    """Make the folder what its copy is."""
    shutil.rmtree(folder)
    shutil.copytree(kept, folder, symlinks=True)


def null() -> int:
    """A standard input with nothing in it."""
    return os.open(os.devnull, os.O_RDONLY)
