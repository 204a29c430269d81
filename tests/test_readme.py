"""The README is run: its Python lines as a doctest, its commands through the parser."""

import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ring2_orchestrator.commands import build_parser

README = Path(__file__).resolve().parent.parent / "README.md"


@pytest.mark.slow
def test_the_python_lines_do_what_they_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDOXA_HOME", str(tmp_path / "home"))
    results = doctest.testfile(str(README), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert results.attempted >= 5
    assert results.failed == 0, "the report is above, in the captured output"


def shown_commands() -> list[list[str]]:
    """Every `redoxa` command line in an indented block, its comment left out."""
    lines = re.findall(r"^ {4}(?:\$ )?\S*\bredoxa (.+)$", README.read_text("utf-8"), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines if not line.startswith(":")]


def test_commands_are_shown() -> None:
    assert len(shown_commands()) >= 4


@pytest.mark.parametrize("words", shown_commands(), ids=" ".join)
def test_a_shown_command_is_one_that_can_be_typed(words: list[str]) -> None:
    build_parser(only=words[0]).parse_args(words)


@pytest.mark.slow
def test_the_commands_for_your_own_work_do_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "clean.py").write_text("import sys; print(open(sys.argv[1]).read())\n")
    (tmp_path / "data.csv").write_text("1,2\n")
    (tmp_path / "data.bin").write_bytes(bytes(range(256)) * 16)
    section = README.read_text("utf-8").split("## On your own work")[1].split("## ")[0]
    lines = re.findall(r"^ {4}\.venv/bin/redoxa (.+)$", section, re.MULTILINE)
    assert len(lines) >= 4
    environment = {
        **os.environ,
        "REDOXA_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(README.parent),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    said: list[str] = []
    for line in lines:
        done = subprocess.run(
            [sys.executable, "-m", "redoxa", *shlex.split(line, comments=True)],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(done.stdout + done.stderr)
    assert "recorded: " in said[0]
    assert "would be reused: " in said[1]
    assert (tmp_path / "again.bin").read_bytes() == (tmp_path / "data.bin").read_bytes()


def without_numbers(line: str) -> str:
    """The line with every number that differs from machine to machine taken out."""
    return re.sub(r"(?<=[ :])[\d,.]+(?= (?:inputs|paths|by|missing|m?s saved))", "N", line)


@pytest.mark.slow
def test_what_redoxa_says_of_the_demo_is_what_is_shown(tmp_path: Path) -> None:
    shutil.copytree(
        README.parent / "demos", tmp_path / "demos", ignore=shutil.ignore_patterns("weather")
    )
    environment = {
        **os.environ,
        "REDOXA_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(README.parent),
    }

    def redoxa(*words: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "redoxa", *words],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return [without_numbers(line) for line in (done.stderr or done.stdout).splitlines()]

    shown = [without_numbers(line.strip()) for line in README.read_text("utf-8").splitlines()]
    script = "demos/clean_weather.py"
    assert redoxa("run", "--script", script)[-1] in shown
    shutil.rmtree(tmp_path / "demos" / "out" / "weather")
    assert redoxa("run", "--script", script)[-1].replace(" ms ", " s ") in shown
    table = tmp_path / "demos" / "data" / "seattle-weather.csv"
    table.write_text(table.read_text("utf-8").replace("2012/01/02,10.9", "2012/01/02,10.8"))
    at = shown.index(f"would run: {table.relative_to(tmp_path)} changed")
    would, change, depends, leaves = redoxa("why", script)
    assert (would, change.strip(), leaves) == (shown[at], shown[at + 1], shown[at + 3])
    # Which kinds of inputs there are depends on the Python, too.
    assert depends.split(", ")[0] == shown[at + 2].split(", ")[0]
