"""bench/predict.py: what it says of histories that are none, and of those that are."""

import csv
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("REDOXA_SHARED", ROOT.parent / "shared"))
HEADER = (
    "step,script,first,changed_strict,ran,exit_code,wall_s,user_s,sys_s,maxrss_kb,load1,"
    "script_changed,hit_any_strict,commit_lines,out_hash,changed_inputs,edit_kind"
)


ROW = ",".join("9" if name == "wall_s" else "1" for name in HEADER.split(","))


@pytest.fixture
def predict(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    return import_module("predict")


def history(path: Path, *, steps: int = 20, kind: str = "none") -> Path:
    """Two scripts; `b.py` fails at every third step, when `x.py` changed."""
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(HEADER.split(","))
        for step in range(steps):
            for script in ("a.py", "b.py"):
                fails = script == "b.py" and step % 3 == 0
                known = (step, script, int(step == 0), 1, 1, int(fails))
                costs = (1 + step % 4 / 10, 0.9, 0.1, 30000 + step, 0.5)
                path_changed = "x.py" if fails else "y.py"
                out.writerow((*known, *costs, 0, 0, 2, f"{fails}", path_changed, kind))
    return path


def test_what_is_no_history_is_refused_with_a_sentence(predict: Any, tmp_path: Path) -> None:
    none = tmp_path / "none.csv"
    for text, said in (
        (None, "cannot be read as a history"),
        ("", "has no runs"),
        ("step,script\n1,a\n", "has no column first"),
        (HEADER + "\nx" + ",1" * HEADER.count(",") + "\n", "line 2"),
        (f"{HEADER}\n{ROW}\n1,torn\n", "line 3"),
        (f"{HEADER}\n{ROW.replace('9', '-9')}\n", "line 2: wall_s is -9"),
        (f"{HEADER}\n{ROW.replace('9', 'nan')}\n", "line 2: wall_s is nan"),
        (f"{HEADER}\n{ROW.replace('9', 'inf')}\n", "line 2: wall_s is inf"),
    ):
        if text is not None:
            none.write_text(text)
        with pytest.raises(SystemExit, match=said):
            predict.report(none)


def test_everything_is_scored_on_the_last_two_fifths(predict: Any, tmp_path: Path) -> None:
    found = predict.report(history(tmp_path / "h.csv"))
    assert (found["runs"], found["scored"], found["executed"]) == (40, 16, 16)
    losses = found["log_loss"]["fails"]
    assert losses["CE1"] < losses["rules"]["constant"]
    assert sum(row["runs"] for row in found["reliability"]) == 16
    assert len(predict.gates(found)) == 6
    assert any("must rerun" in line for line in predict.page([found]))


def test_how_an_edit_was_made_is_never_looked_at(predict: Any, tmp_path: Path) -> None:
    plain = predict.report(history(tmp_path / "h.csv"))
    told = predict.report(history(tmp_path / "h.csv", kind="mutate"))
    assert plain == told


def test_what_comes_later_changes_no_forecast(predict: Any, tmp_path: Path) -> None:
    runs = predict.read_history(history(tmp_path / "h.csv"))
    turned = [
        run._replace(after=run.after._replace(failed=not run.after.failed))
        if run.step >= 15
        else run
        for run in runs
    ]
    for one, other in zip(predict.predict(runs), predict.predict(turned), strict=True):
        if one.run.step < 15:
            assert one.forecast == other.forecast
        elif one.run.step == 15:
            assert one.ahead == other.ahead


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "history").is_dir(), reason="needs the shared histories")
def test_the_rules_come_to_the_figures_that_were_given(predict: Any) -> None:
    found = predict.report(SHARED / "history" / "runs_sqlparse.csv")
    rerun, fails = (found["log_loss"][name]["rules"] for name in ("must rerun", "fails"))
    for value, given in (
        (rerun["constant"], 0.569),
        (rerun["Beta-Bernoulli"], 0.574),
        (rerun["EWMA"], 0.593),
        (rerun["last value"], 1.339),
        (fails["constant"], 0.401),
        (fails["EWMA"], 0.392),
        (fails["changed or not"], 0.389),
        (fails["failed last time"], 0.366),
        (fails["both together"], 0.343),
        (found["cpu_error"]["rules"]["EWMA of logarithms"], 0.128),
    ):
        assert value == pytest.approx(given, abs=0.0006)
    assert all(held for _, held in predict.gates(found))
