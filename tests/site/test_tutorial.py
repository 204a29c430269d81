"""The tutorial is typed, line by line, into an empty folder, and prints what it shows."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "tutorial.md"
SCRIPT = re.compile(r"`(\w+\.py)`:\n\n```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def steps() -> Iterator[tuple[str, list[str]]]:
    """Each line to type, with what the page shows beneath it."""
    command, shown = "", list[str]()
    text = SCRIPT.sub("", PAGE.read_text("utf-8"))
    for line in re.findall(r"^ {4}(.*)$", text, re.MULTILINE):
        if line.startswith("$ "):
            if command:
                yield command, shown
            command, shown = line.removeprefix("$ "), []
        elif command:
            shown.append(line)
    yield command, shown


def without_numbers(line: str) -> str:
    """The line with what differs from machine to machine taken out."""
    line = re.sub(r"nothing saved|[\d.]+ m?s saved", "T saved", line)
    return line if not line.startswith("redoxa:") else re.sub(r"[\d.,]+ ?[kM]?B?\b", "N", line)


@pytest.mark.slow
def test_the_tutorial_does_what_it_shows(tmp_path: Path) -> None:
    folder = tmp_path / "redoxa-tutorial"
    folder.mkdir()
    for name, text in SCRIPT.findall(PAGE.read_text("utf-8")):
        (folder / name).write_text(text)
    environment = {
        **os.environ,
        "REDOXA_HOME": str(tmp_path / "home"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    typed = 0
    for command, shown in steps():
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        said = [without_numbers(line) for line in (done.stdout + done.stderr).splitlines()]
        # These answer with their exit code, too: there is a change.
        assert done.returncode == int(" why " in command or " diff " in command), (command, said)
        for line in shown:
            assert without_numbers(line) in said, (command, said)
        typed += 1
    assert typed >= 18
