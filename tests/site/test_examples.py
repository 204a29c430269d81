"""The command lines that the pages show are typed into a project that has what they name."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parent.parent.parent
# Typed and compared word by word elsewhere.
ELSEWHERE = {"tutorial.md", "kernels.md", "cli.md"}
BEGINS = r"(?:redoxa |python scripts/(?:run|jit)\.py|pytest --redoxa|make CC=)"
LINE = re.compile(rf"^ {{4}}(?:\$ )?({BEGINS}.*?)(?: {{2,}}.*)?$", re.MULTILINE)
# An answer of no, and a server that cannot be asked from here, are answers.
CODES = {"redoxa diff": {0, 1}, "redoxa fetch": {0, 1, 3, 5}, "redoxa probe": {0, 1, 3, 5}}
TEST = "def test_it():\n    assert 1 + 1 == 2\n"


def shown() -> list[tuple[str, str]]:
    """The page and the line, in the order in which a reader comes upon them."""
    found: list[tuple[str, str]] = []
    for page in sorted((ROOT / "docs").glob("*.md")):
        if page.name not in ELSEWHERE:
            found += [(page.name, line) for line in LINE.findall(page.read_text("utf-8"))]
    return found


def repository(folder: Path, env: dict[str, str]) -> None:
    """A package with a test, in a few commits."""
    folder.mkdir(parents=True)
    (folder / "test_it.py").write_text(TEST)
    git = ["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], env=env, check=True)
    for number in range(3):
        (folder / "it.py").write_text(f"def it():\n    return {number} < 3\n")
        subprocess.run([*git, "add", "."], env=env, check=True)
        subprocess.run([*git, "commit", "-qm", str(number)], env=env, check=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    place = tmp_path_factory.mktemp("examples")
    env = {
        **os.environ,
        "HOME": str(place / "person"),
        "REDOXA_HOME": str(place / "home"),
        "TMPDIR": str(place / "temp"),
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for folder in ("person/.config/fish/completions", "temp", "work/prepare", "work/demos"):
        (place / folder).mkdir(parents=True)
    for name in ("lark", "click"):
        repository(place / "person" / "src" / name, env)
    work = place / "work"
    shutil.copytree(
        ROOT / "scripts", work / "scripts", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("clean.py", "report.py", "prepare/first.py", "prepare/second.py", "demos/one.py"):
        (work / name).write_text(f"print({name!r})\n")
    (work / "data.csv").write_text("a,b\n1,2\n" * 50)
    (work / "data.bin").write_bytes(bytes(range(256)) * 16)
    save_file({"weights": np.arange(512, dtype="<f4")}, work / "model.safetensors")
    (work / "fetch.sh").write_text("#!/bin/sh\ntrue\n")
    (work / "fetch.sh").chmod(0o755)
    (work / "test_it.py").write_text(TEST)
    (work / "one.c").write_text("int main(void) { return 0; }\n")
    (work / "Makefile").write_text("one: one.o\n\t$(CC) one.o -o one\n")
    for words in (["pack", "data.bin", "-o", "samples.rdx"], ["run", "--", "cat", "data.csv"]):
        subprocess.run(["redoxa", "-q", *words], cwd=work, env=env, check=True, capture_output=True)
    (work / "data.csv").write_text("a,b\n3,4\n")
    subprocess.run(
        ["redoxa", "run", "--", "cat", "data.csv"], cwd=work, env=env, check=True,
        capture_output=True,
    )  # fmt: skip
    return work, env


@pytest.mark.slow
@pytest.mark.parametrize(("page", "line"), shown())
def test_what_a_page_shows_can_be_typed(
    project: tuple[Path, dict[str, str]], page: str, line: str
) -> None:
    work, env = project
    if line.startswith("redoxa view"):
        line += "" if "--no-open" in line or "--json" in line else " --no-open"
        assert_serves(line, work, env)
        return
    if "@" in line:  # the last runs are of a kind that can be compared and run again
        for value in (1, 2):
            (work / "in.txt").write_text(f"{value}\n")
            subprocess.run(
                ["redoxa", "-q", "run", "-f", "--", "cat", "in.txt"], cwd=work, env=env, check=True
            )
    line = re.sub(r"(--commits|--mutate) \d+", r"\1 2", line)  # fewer: each is a run
    done = subprocess.run(
        ["sh", "-c", line], cwd=work, env=env, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    allowed = CODES.get(" ".join(line.split()[:2]), {0})
    assert done.returncode in allowed, (page, done.stdout[-2000:], done.stderr[-2000:])
    assert "Traceback" not in done.stderr


def assert_serves(line: str, work: Path, env: dict[str, str]) -> None:
    """It prints an address, and ends when it is told to."""
    child = subprocess.Popen(
        ["sh", "-c", f"exec {line}"], cwd=work, env=env, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert "http://127.0.0.1:" in child.stdout.readline()
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 0, err


def test_all_pages_with_commands_are_read() -> None:
    lines = shown()
    assert len(lines) > 25
    assert {"running.md", "history.md", "network.md", "view.md", "wrappers.md"} <= {
        page for page, _ in lines
    }
