"""`redoxa store` as it is typed, in a folder of the test's own."""

from pathlib import Path

import pytest

from ring2_orchestrator.commands import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home that the commands use; the working directory is the folder around it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDOXA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def store(*words: object) -> int:
    """Type `redoxa store` and these words; the exit code."""
    return main(["store", *map(str, words)])


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that was said, with nothing on standard output."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    return captured.err
