"""Commands as a person types them, in a process of their own or in this one, and what they say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ring2_orchestrator.commands import main

ROOT = Path(__file__).resolve().parents[2]
REDOXA = f"{sys.executable} -m redoxa"
ECHO = ("sh", "-c", "cat in.txt; cp in.txt out.txt")


def shell(line: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """One line as a person types it, standard input being empty."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, **environment},
        errors="surrogateescape",
        timeout=120,
        check=False,
    )


def sentence(done: "subprocess.CompletedProcess[str]") -> str:
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("redoxa: ")
    return lines[0]


def redoxa(*words: object) -> int:
    return main([os.fspath(word) if isinstance(word, Path) else str(word) for word in words])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a refusal in this process."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("redoxa: ")
    assert captured.err.count("\n") == 1, captured.err
    return captured.err
