"""Runs of one script entered in a ledger, and `redoxa jit` asked about them."""

import json
from pathlib import Path
from typing import Any

import pytest

from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.commands import main
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.memo import weak_key
from ring2_orchestrator.runs.script import script_command


def remember(home: Path, story: str, *, clock: ManualClock | None = None) -> None:
    """Enter runs of the script in the ledger, oldest first."""
    with Home(home, clock=clock or ManualClock()) as opened:
        for verdict in story.split():
            reused = verdict == "reused"
            entry = {
                "verdict": verdict,
                "exit_code": int(verdict == "failed"),
                "wall_s": 0.5 if reused else 2.0,
                "saved_s": 1.5 if reused else 0.0,
                "inputs_changed": 0 if reused else 1,
            }
            subject = weak_key(script_command("work.py"), Path.cwd())
            opened.ledger.append([entry], kind="run", subject=subject)


def answer(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> Any:
    capsys.readouterr()
    code = main(["--home", str(home), "jit", *words, "--json"])
    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    return json.loads(said.out)


def lines(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> str:
    capsys.readouterr()
    assert main(["--home", str(home), "jit", *words]) == 0
    return capsys.readouterr().out
