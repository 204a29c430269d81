"""Wrong command lines are one sentence and exit code 2."""

import sys
from pathlib import Path

import pytest

from ring2_orchestrator.commands import COMMANDS
from tests.manners.shell import ROOT, redoxa, said, sentence, shell


def wrong_lines() -> list[list[str]]:
    verbs = [["gene", "list"], ["kernel", "list"], ["store", "stat"], ["ledger", "log"]]
    return [
        ["teleport"],
        ["--frobnicate"],
        *([name, "--frobnicate"] for name in COMMANDS if name not in ("run", "why")),
        *([name] for name in COMMANDS if name not in ("log", "view")),
        *([name, "explode"] for name in ("gene", "kernel", "jit", "ledger", "store")),
        *([*words, "more", "words"] for words in verbs),
        ["run", "--frobnicate", "--", "true"],
        ["why", "--frobnicate"],
        ["ledger", "show", "first"],
        ["ledger", "log", "-n", "many"],
        ["log", "-n", "-1"],
        ["log", "--since", "yesterday"],
    ]


@pytest.mark.parametrize("words", wrong_lines(), ids=" ".join)
def test_a_wrong_command_line_is_one_sentence(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    if words == ["why", "--frobnicate"]:
        assert redoxa(*words) in (2, 3)  # it may be a script's name
    else:
        assert redoxa(*words) == 2
    said(capsys)


def test_a_script_may_be_typed_wrongly(here: Path) -> None:
    for line, code in (
        ("scripts/run.py", 2),
        ("scripts/run.py --frobnicate in.txt", 2),
        ("scripts/run.py absent.py", 127),
        ("scripts/jit.py", 2),
        ("scripts/jit.py guess", 2),
        ("scripts/jit.py hint absent.py", 3),
    ):
        done = shell(f"{sys.executable} {ROOT}/{line}")
        assert done.returncode == code
        sentence(done)


def test_a_missing_interpreter_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = here / "tool"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    assert redoxa("run", "--", "./tool") == 126
    assert "the program that runs ./tool is missing; correct its #! line" in said(capsys)
