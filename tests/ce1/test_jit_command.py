"""`redoxa jit`: the documented JSON, the lines, bad input, and scripts/jit.py being the same."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cid_store.encoding import Node
from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.commands import main
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.memo import weak_key
from ring2_orchestrator.runs.script import script_command, this_python

ROOT = Path(__file__).resolve().parent.parent.parent
COMMON = {
    "action": "dict|None",
    "confidence": "float",
    "counts": "dict",
    "doubts": "list",
    "energy": "float",
    "passed_over": "int",
    "posterior": "dict",
    "prior": "dict",
    "runs": "int",
    "schema": "str",
    "target": "dict|None",
    "verb": "str",
}
HINT = {**COMMON, "decided": "dict", "estimates": "dict"}
PLAN = {**HINT, "alternatives": "list", "expected": "dict", "policy": "dict"}
LOOP = {**PLAN, "outcome": "dict", "predicted": "str", "reseeds": "list"}
STATUS = {
    **COMMON,
    "calibration": "dict",
    "ledger": "dict",
    "log_loss": "dict",
    "seconds": "dict",
    "store": "dict|None",
    "subjects": "int",
}
ESTIMATE = {"high", "level", "low", "method", "observations", "value"}


def remember(home: Path, command: list[str], story: str) -> None:
    """Enter runs in the ledger as they would have been recorded, oldest first."""
    with Home(home, clock=ManualClock()) as opened:
        for number, verdict in enumerate(story.split()):
            reused = verdict == "reused"
            entry: dict[str, Node] = {
                "verdict": verdict,
                "exit_code": 1 if verdict == "failed" else 0,
                "wall_s": 0.05 if reused else 2.0 + 0.01 * number,
                "cpu_s": 0.0 if reused else 1.0 + 0.01 * number,
                "max_rss_bytes": 0 if reused else 30_000_000,
                "saved_s": 1.95 if reused else 0.0,
                "inputs_changed": 0,
            }
            opened.ledger.append([entry], kind="run", subject=weak_key(command, Path.cwd()))


def jit(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["--home", str(home), "jit", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def answer(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> Any:
    code, out, err = jit(capsys, home, *words, "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    return json.loads(out)


def check(found: Any, shape: dict[str, str]) -> None:
    """Every documented key with its type, no other, and the laws that bind them."""
    assert set(found) == set(shape)
    for key, kinds in shape.items():
        name = "None" if found[key] is None else type(found[key]).__name__
        assert name in kinds.split("|"), key
    assert found["schema"] == "redoxa.jit/2"
    names = ["reused", "ran", "failed", "drifted"]
    assert set(found["posterior"]) == set(found["counts"]) == set(names)
    belief = [found["posterior"][name] for name in names]
    assert abs(math.fsum(belief) - 1) < 1e-12
    theta, phi, psi = (found["prior"][name] for name in ("theta", "phi", "psi"))
    rest = math.sin(theta) * math.sin(phi)
    point = [
        math.cos(theta),
        math.sin(theta) * math.cos(phi),
        rest * math.cos(psi),
        rest * math.sin(psi),
    ]
    for share, coordinate in zip(belief, point, strict=True):
        assert abs(share - coordinate**2) < 1e-12
    assert sum(found["counts"].values()) == found["runs"]
    assert 0 < found["confidence"] < 1
    check_parts(found)


def check_parts(found: Any) -> None:
    if found["action"] is not None:
        assert set(found["action"]) == {"expected_s", "name", "parameters", "rationale", "title"}
        assert found["action"]["name"] in {"K1", "K2", "K3", "K4", "K5"}
        assert isinstance(found["action"]["parameters"], dict)
        assert found["action"]["rationale"]
    if "decided" in found:
        assert set(found["decided"]) == {"changed", "reason", "reuse", "trace"}
    if "estimates" in found:
        estimates = dict(found["estimates"])
        failure = estimates.pop("failure")
        assert set(failure) == {"experts", "failures", "observations", "probability"}
        assert failure["experts"]
        for expert in failure["experts"]:
            assert set(expert) == {"name", "probability", "weight"}
        assert set(estimates) == {"cpu_s", "max_rss_bytes", "reuse_s", "wall_s"}
        assert all(set(estimate) == ESTIMATE for estimate in estimates.values())
    if "expected" in found:
        assert set(found["expected"]) == {"plain_s", "saving_s", "seconds"}
        assert all(
            set(other) == {"expected_s", "name", "why_not", "worse_by_s"}
            for other in found["alternatives"]
        )


@pytest.mark.parametrize("verb", ["hint", "plan"])
def test_what_takes_several_lines_is_wrapped_and_a_name_is_not(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, place: Path, verb: str
) -> None:
    (place / "two\nlines.txt").write_text("1")
    line = ("--", "sh", "-c", "cat two*")
    assert main(["--home", str(tmp_path / "home"), "run", *line]) == 0
    code, out, _ = jit(capsys, tmp_path / "home", verb, *line)
    assert code == 0
    assert "\\n" not in out
    assert "(nothing\n            it depends on changed)" in out
    (place / "two\nlines.txt").write_text("2")
    assert "two\\nlines.txt changed" in jit(capsys, tmp_path / "home", "hint", *line)[1]


@pytest.mark.parametrize(("verb", "shape"), [("hint", HINT), ("plan", PLAN)])
def test_before_any_run(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    place: Path,
    verb: str,
    shape: dict[str, str],
) -> None:
    found = answer(capsys, tmp_path / "home", verb, "work.py")
    check(found, shape)
    assert (found["confidence"], found["energy"], found["runs"]) == (0.5, 1.0, 0)
    assert found["decided"]["reuse"] is False
    assert found["estimates"]["wall_s"]["value"] is None
    assert found["estimates"]["wall_s"]["method"] == "none"
    assert found["action"]["name"] == "K2"
    assert found["target"]["command"] == [this_python(), "work.py"]


def test_status_of_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path, place: Path) -> None:
    found = answer(capsys, tmp_path / "home", "status")
    check(found, STATUS)
    assert (found["target"], found["action"], found["subjects"]) == (None, None, 0)
    assert found["seconds"] == dict.fromkeys(("gained", "lost", "plain", "saved", "spent"), 0.0)
    assert set(found["posterior"].values()) == {0.25}
    assert found["log_loss"]["failure"]["forecasts"] == 0
    assert found["log_loss"]["failure"]["ce1"] is None
    assert found["ledger"]["size"] == 0


def test_figures_come_from_the_runs_of_this_command_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, place: Path
) -> None:
    home = tmp_path / "home"
    remember(home, script_command("work.py"), "ran reused reused reused failed")
    remember(home, script_command("work.py", ["--other"]), "failed failed")
    found = answer(capsys, home, "hint", "work.py")
    check(found, HINT)
    assert found["counts"] == {"reused": 3, "ran": 1, "failed": 1, "drifted": 0}
    assert found["posterior"]["drifted"] < 0.25  # it never did
    assert found["confidence"] == 4.5 / 6
    assert found["energy"] == pytest.approx((2.0 + 3 * 2.0 + 2.04) / (2.0 + 3 * 0.05 + 2.04))
    wall = found["estimates"]["wall_s"]
    assert (wall["observations"], wall["method"], wall["level"]) == (
        2,
        "range",
        pytest.approx(1 / 3),
    )
    assert (wall["low"], wall["high"]) == (2.0, 2.04)
    failure = found["estimates"]["failure"]
    assert (failure["failures"], failure["observations"]) == (1, 2)
    assert 0 < failure["probability"] < 1
    everything = answer(capsys, home, "status")
    check(everything, STATUS)
    assert (everything["runs"], everything["subjects"]) == (7, 2)
    one = answer(capsys, home, "status", "work.py")
    check(one, STATUS)
    assert (one["runs"], one["subjects"], one["ledger"]["size"]) == (5, 1, 7)


def test_the_lines_say_the_same(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, place: Path
) -> None:
    home = tmp_path / "home"
    remember(home, script_command("work.py"), "ran " * 12 + "reused")
    code, out, err = jit(capsys, home, "hint", "work.py")
    assert (code, err) == (0, "")
    assert "decided     reuse: no, no run of it has been kept for reuse yet" in out
    assert "estimated   from 13 runs: 1 reused, 12 ran" in out
    assert "%, 0 of 12 executions did (" in out
    assert "80 % interval" in out
    assert "(12 observations)" in out
    assert "  memory    30 MB" in out
    assert "advice      K2 run: it must run" in out
    assert max(map(len, out.splitlines())) < 100
    code, out, _ = jit(capsys, home, "plan", "work.py")
    assert "s; saves nothing against plain running" in out
    assert "instead of  K1" in out
    code, out, _ = jit(capsys, home, "status")
    assert "runs        13 runs: 1 reused, 12 ran" in out
    assert "ledger      13 entries, redoxa/ledger/" in out


def test_batches_that_are_no_runs_are_a_stated_doubt(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, place: Path
) -> None:
    with Home(tmp_path / "home") as home:
        home.ledger.append(["a stranger's"], kind="run", subject="s")
    found = answer(capsys, tmp_path / "home", "status")
    assert (found["passed_over"], found["runs"]) == (1, 0)
    assert "1 run batch could not be read as runs" in jit(capsys, tmp_path / "home", "status")[1]


def test_words_after_two_dashes_belong_to_the_target(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, place: Path
) -> None:
    home = tmp_path / "home"
    found = json.loads(jit(capsys, home, "hint", "--json", "work.py", "a", "--", "--json", "-q")[1])
    assert found["target"]["command"] == [this_python(), "work.py", "a", "--json", "-q"]
    found = json.loads(jit(capsys, home, "hint", "--json", "--", "ls", "--", "-l")[1])
    assert found["target"]["command"] == ["ls", "--", "-l"]


def test_two_askings_give_one_answer(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, place: Path
) -> None:
    home = tmp_path / "home"
    remember(home, script_command("work.py"), "ran failed reused")
    assert jit(capsys, home, "plan", "work.py", "--json") == jit(
        capsys, home, "plan", "work.py", "--json"
    )


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["hint", "missing.py"], 3, "there is no file missing.py"),
        (["hint", "."], 3, ". is a directory"),
        (["loop", "data.bin"], 3, "nothing says how to run data.bin"),
        (["status", "missing.py"], 3, "there is no file missing.py"),
        (["hint", "--", "no-such-program"], 3, "there is no program 'no-such-program'"),
        (["hint"], 2, "jit hint needs a target"),
        (["loop", "--json"], 2, "jit loop needs a target"),
    ],
)
def test_bad_input_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    place: Path,
    *,
    words: list[str],
    code: int,
    sentence: str,
) -> None:
    (place / "data.bin").write_bytes(b"\x00\x01")
    found, out, err = jit(capsys, tmp_path / "home", *words)
    assert (found, out) == (code, "")
    assert sentence in err
    assert err.startswith("redoxa: ")
    assert err.count("\n") == 1


def test_a_verb_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["jit"], ["jit", "guess"]):
        assert main(words) == 2
        assert "`redoxa jit --help` says what can be typed" in capsys.readouterr().err


# The program itself runs from here on.


def start(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "jit.py"), *words, "--home", str(home)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_the_script_is_the_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, place: Path
) -> None:
    home = tmp_path / "home"
    remember(home, script_command("work.py"), "ran reused")
    for words in (["hint", "work.py"], ["plan", "work.py", "--json"], ["status"]):
        child = start(home, *words)
        assert (child.returncode, child.stdout, child.stderr) == jit(capsys, home, *words)


@pytest.mark.slow
def test_a_loop_runs_then_reuses_and_remembers_both(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, place: Path
) -> None:
    home = tmp_path / "home"
    first = start(home, "loop", "work.py")
    assert (first.returncode, first.stdout) == (0, "done\n")
    assert "K2 run: ran (as predicted)" in first.stderr
    assert "recorded: " in first.stderr
    second = start(home, "loop", "work.py", "--json")
    found = json.loads(second.stdout)
    check(found, LOOP)
    assert second.stderr.startswith("done\n")
    assert (found["predicted"], found["outcome"]["verdict"]) == ("reused", "reused")
    assert (found["action"]["name"], found["decided"]["reuse"]) == ("K1", True)
    assert found["counts"] == {"reused": 1, "ran": 1, "failed": 0, "drifted": 0}
    assert found["confidence"] == 2.5 / 3
    with Home(home) as opened:
        [ran, _, reused, cycle] = opened.ledger.batches()
        assert [ran.kind, reused.kind, cycle.kind] == ["run", "run", "jit"]
        assert (cycle.seq, [reused.seq]) == (found["outcome"]["entry"], found["outcome"]["runs"])
        [entry] = cycle.entries
        assert isinstance(entry, dict)
        assert entry["action"] == found["action"]
        assert opened.ledger.verify().size == 4
    assert answer(capsys, home, "status")["action"] == found["action"]


@pytest.mark.slow
def test_a_loop_on_a_failing_script_says_no(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, place: Path
) -> None:
    (place / "bad.py").write_text("raise SystemExit(3)\n")
    home = tmp_path / "home"
    for _ in range(2):
        child = start(home, "loop", "bad.py")
        assert child.returncode == 1
        assert "failed" in child.stderr
        assert "exit code 3" in child.stderr
    found = answer(capsys, home, "hint", "bad.py")
    assert found["counts"]["failed"] == 2
    assert found["estimates"]["failure"]["probability"] > 0.7


@pytest.mark.slow
def test_a_hint_names_what_changed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, place: Path
) -> None:
    home = tmp_path / "home"
    (place / "data.txt").write_text("one")
    (place / "work.py").write_text("print(open('data.txt').read())\n")
    assert "recorded: " in start(home, "loop", "work.py").stderr
    assert answer(capsys, home, "hint", "work.py")["decided"]["reuse"] is True
    (place / "data.txt").write_text("two")
    found = answer(capsys, home, "hint", "work.py")
    assert found["decided"]["reuse"] is False
    assert [change["path"] for change in found["decided"]["changed"]] == ["data.txt"]
    assert "data.txt" in found["action"]["rationale"]
