"""Where commands are tried out."""

from pathlib import Path

import pytest

from tests.manners.shell import ROOT


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a home beside it."""
    place = tmp_path / "place"
    place.mkdir()
    (place / "in.txt").write_text("21\n")
    monkeypatch.chdir(place)
    monkeypatch.setenv("REDOXA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return place
