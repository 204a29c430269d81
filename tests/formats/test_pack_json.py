"""The answers with `--json` have the keys that docs/formats/pack-json.md says, and no others."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ring2_orchestrator.commands import main

PAGE = Path(__file__).parents[2] / "docs" / "formats" / "pack-json.md"
DATA = bytes(range(256)) * 12


def documented(command: str) -> set[str]:
    """The keys in the first column of a command's table."""
    section = PAGE.read_text("utf-8").split(f"## `redoxa {command}`\n")[1].split("\n## ")[0]
    rows = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    return {key for row in rows for key in re.findall(r"`(\w+)`", row)}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)
    assert main(["pack", str(path), "--gene", "repeats", "-q"]) == 0
    return path


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("pack", ["{}", "-f", "--gene", "repeats"]),
        ("inspect", ["{}.rdx"]),
        ("explain", ["{}.rdx"]),
        ("gene search", ["{}", "-p", "fast", "--budget", "0"]),
        ("gene check", ["genes/repeats.gene"]),
        ("gene print", ["repeats"]),
        ("gene run", ["repeats", "{}"]),
    ],
)
def test_an_answer_has_the_documented_keys(
    data: Path,
    command: str,
    words: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(PAGE.parents[2])
    capsys.readouterr()
    assert main([*command.split(), *(word.format(data) for word in words), "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert set(answer) == documented(command)
    page = PAGE.read_text("utf-8")
    for key in _inner_keys(answer):
        assert f"`{key}`" in page, f"docs/formats/pack-json.md does not say what {key} is"


def _inner_keys(value: Any) -> set[str]:
    """Every key at any depth."""
    if isinstance(value, dict):
        entries: dict[str, Any] = value
        return set(entries).union(*map(_inner_keys, entries.values()))
    items: list[Any] = value if isinstance(value, list) else []
    return set[str]().union(*map(_inner_keys, items))
