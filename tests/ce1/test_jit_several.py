"""`redoxa jit plan` and `loop` where the target is several scripts."""

import json
from pathlib import Path
from typing import Any

import pytest

from ring2_orchestrator.ce1.policy import replays
from ring2_orchestrator.ce1.reseeding import Reseeding
from ring2_orchestrator.home import Home
from tests.ce1.test_jit_command import PLAN, check, jit


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, being the current one."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def folder(place: Path) -> Path:
    """A folder of scripts, one of which reads what another writes."""
    scripts = place / "work"
    scripts.mkdir()
    (scripts / "a.sh").write_text("cat work/b.out\n")
    (scripts / "b.sh").write_text("cat in.txt > work/b.out\n")
    (scripts / "c.sh").write_text("cat in.txt\n")
    (place / "in.txt").write_text("one\n")
    return scripts


SEVERAL = {
    **{name: kind for name, kind in PLAN.items() if name != "estimates"},
    "order": "list",
}


def test_several_scripts_are_planned_and_run_as_one_target(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, place: Path, folder: Path
) -> None:
    home = tmp_path / "home"
    first = several(capfd, home, "plan", "-j2", "work")
    check(first, SEVERAL)
    assert (first["action"]["name"], first["expected"]["seconds"]) == ("K4", None)
    assert first["target"]["scripts"] == ["work/a.sh", "work/b.sh", "work/c.sh"]
    done = several(capfd, home, "loop", "-j2", "work")
    check(done, {**SEVERAL, "outcome": "dict", "predicted": "str", "reseeds": "list"})
    assert (done["outcome"]["verdict"], done["outcome"]["exit_code"]) == ("ran", 0)
    with Home(home) as opened:
        [batch] = opened.ledger.batches("jit")
        [entry] = batch.entries
        assert isinstance(entry, dict)
        assert (entry["runs"], batch.seq) == (done["outcome"]["runs"], done["outcome"]["entry"])
        assert replays(entry["policy"])
        steps = [Reseeding.of_node(each) for each in entry["reseeds"]]  # pyright: ignore[reportOptionalIterable, reportGeneralTypeIssues]
        assert {step.run for step in steps if step} == set(done["outcome"]["runs"])
    again = several(capfd, home, "plan", "work")
    assert again["action"]["name"] == "K1"
    assert (again["decided"]["reuse"], again["expected"]["saving_s"] is None) == (True, False)
    (place / "in.txt").write_text("two\n")
    changed = several(capfd, home, "plan", "-j2", "work")
    [script] = [each for each in changed["order"] if each["name"] == "work/a.sh"]
    assert script["after"] == ["work/b.sh"]


def test_a_script_of_several_that_fails_is_told(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, folder: Path
) -> None:
    (folder / "b.sh").write_text("exit 3\n")
    code, out, err = jit(capfd, tmp_path / "home", "loop", "-j2", "work")
    assert (code, out) == (1, "one\n")
    assert "K4 run in parallel" in err
    assert jit(capfd, tmp_path / "home", "plan", "-j0", "work")[0] == 2


def several(capfd: pytest.CaptureFixture[str], home: Path, verb: str, *words: str) -> Any:
    code, out, _ = jit(capfd, home, verb, *words, "--json")
    assert (code, out.count("\n")) == (0, 1)
    return json.loads(out)
