"""Histories made from words, so that a test reads like a story."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ring2_orchestrator.ce1.history import History, PastRun
from ring2_orchestrator.ce1.outcome import Outcome

MakeHistory = Callable[..., History]


@pytest.fixture
def history() -> MakeHistory:
    """`history("ran reused failed", wall_s=2)`: those outcomes, oldest first."""

    def make(words: str, *, wall_s: float = 2.0) -> History:
        runs = [
            PastRun(
                seq=number,
                subject="s",
                outcome=Outcome(word),
                exit_code=1 if word == "failed" else 0,
                wall_s=0.1 if word == "reused" else wall_s,
                cpu_s=None if word == "reused" else wall_s / 2,
                max_rss_bytes=None if word == "reused" else 1e6,
                saved_s=wall_s - 0.1 if word == "reused" else 0.0,
            )
            for number, word in enumerate(words.split())
        ]
        return History(tuple(runs))

    return make


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a script to ask about, being the current one."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "work.py").write_text("print('done')\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"
