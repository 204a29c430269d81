"""`redoxa jit status`: figures kept online, the view, the drawing."""

import sys
from pathlib import Path

import pytest

from ring2_orchestrator.ce1.plot import newest_runs
from ring2_orchestrator.ce1.standing import Standing, standing_of
from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.commands import main
from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger import Ledger
from tests.ce1.asked import answer, lines, remember

STORY = "ran ran failed ran reused reused failed failed ran drifted ran reused " * 3


def test_figures_are_those_of_learning_all_runs_anew(
    capsys: pytest.CaptureFixture[str], home: Path, place: Path
) -> None:
    for verdict in STORY.split():
        remember(home, verdict)
        answer(capsys, home, "status")
    found = answer(capsys, home, "status")
    with Home(home, clock=ManualClock()) as opened:
        last = newest_runs(opened.ledger)[-1].losses
    failure = found["log_loss"]["failure"]
    assert failure["ce1"] == last["CE1"]
    assert failure["baselines"] == {name: last[name] for name in failure["baselines"]}
    assert {"constant", "last_value", "ewma", "beta_bernoulli"} <= set(failure["baselines"])
    assert found["runs"] == len(STORY.split())
    assert found["counts"]["failed"] == STORY.split().count("failed")
    assert failure["forecasts"] == found["counts"]["ran"] + found["counts"]["failed"] + 3 - 1
    wall = found["calibration"]["intervals"]["wall_s"]
    assert 0 <= wall["held"] <= wall["intervals"]
    for tenths in found["calibration"]["reliability"].values():
        for tenth in tenths:
            assert tenth["begin"] <= tenth["expected"] <= tenth["end"]
            assert 0 <= tenth["happened"] <= 1


def test_no_past_run_is_read_again(
    capsys: pytest.CaptureFixture[str],
    home: Path,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remember(home, STORY)
    before = answer(capsys, home, "status")

    def refuse(*_args: object, **_words: object) -> None:
        pytest.fail("a past run was read")

    monkeypatch.setattr(Ledger, "read", refuse)
    monkeypatch.setattr(Ledger, "batches", refuse)
    for words in (["status"], ["status", "work.py"], ["hint", "work.py"], ["plan", "work.py"]):
        answer(capsys, home, *words)
    assert answer(capsys, home, "status") == before


def test_the_lines(capsys: pytest.CaptureFixture[str], home: Path, place: Path) -> None:
    assert "none was put to the test yet" in lines(capsys, home, "status")
    remember(home, STORY)
    said = lines(capsys, home, "status", "work.py")
    for part in (
        "state  ",
        "█",
        "log loss",
        "CE1",
        " best",
        "reliability",
        "coverage",
        "root hash",
    ):
        assert part in said
    assert "\x1b" not in said
    assert max(map(len, said.splitlines())) <= 100


@pytest.mark.parametrize("ending", ["svg", "png", "SVG"])
def test_the_drawing_is_a_picture(
    capsys: pytest.CaptureFixture[str], home: Path, place: Path, ending: str
) -> None:
    pytest.importorskip("matplotlib")
    for runs in ("", STORY):
        remember(home, runs)
        assert main(["--home", str(home), "jit", "status", "--plot", f"a.{ending}"]) == 0
        assert f"drawn: a.{ending}" in capsys.readouterr().err
    begun = {"svg": b"<?xml", "png": b"\x89PNG"}[ending.lower()]
    first = Path(f"a.{ending}").read_bytes()
    assert first.startswith(begun)
    assert main(["--home", str(home), "jit", "status", "--plot", f"b.{ending}"]) == 0
    assert Path(f"b.{ending}").read_bytes() == first


@pytest.mark.parametrize(
    ("file", "code", "sentence"),
    [
        ("a.jpg", 3, "neither .svg nor .png"),
        ("a", 3, "neither .svg nor .png"),
        ("/dev/null", 3, "neither .svg nor .png"),
        ("", 3, "neither .svg nor .png"),
        ("no/such/a.svg", 5, "cannot be written"),
        ("folder.svg", 5, "cannot be written"),
        ("/proc/a.png", 5, "cannot be written"),
    ],
)
def test_what_cannot_be_drawn(
    capsys: pytest.CaptureFixture[str],
    home: Path,
    place: Path,
    *,
    file: str,
    code: int,
    sentence: str,
) -> None:
    pytest.importorskip("matplotlib")
    Path("folder.svg").mkdir()
    found = main(["--home", str(home), "jit", "status", "--plot", file])
    said = capsys.readouterr()
    assert (found, said.out, said.err.count("\n")) == (code, "", 1)
    assert sentence in said.err


def test_without_matplotlib_a_sentence_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], home: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["--home", str(home), "jit", "status", "--plot", "a.svg"]) == 3
    assert "pip install redoxa[plot]" in capsys.readouterr().err


def test_nothing_forecast_has_no_best() -> None:
    from ring2_orchestrator.ce1.learning.learner import Learner  # noqa: PLC0415

    found: Standing = standing_of(Learner())
    assert all(one.best is None and one.ce1 is None for one in found.questions.values())
    assert all(one.share is None for one in found.coverage.values())
