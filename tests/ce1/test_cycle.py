"""The loop's own actions, on real programs: retry, run again and compare, and what is recorded."""

from pathlib import Path

import pytest

from cid_store.encoding import Node
from ring2_orchestrator.ce1.cycle import run_cycle
from ring2_orchestrator.ce1.laws.sphere import Grid
from ring2_orchestrator.ce1.learning.mind import UNIFORM
from ring2_orchestrator.ce1.outcome import Outcome
from ring2_orchestrator.ce1.policy import replays
from ring2_orchestrator.ce1.reseeding import Reseeding
from ring2_orchestrator.clock import SystemClock
from ring2_orchestrator.commands._jit_outlook import outlook_of
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.memo import weak_key
from ring2_orchestrator.runs.script import script_command

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Home(tmp_path / "home", clock=SystemClock())


def remember(home: Home, command: list[str], verdict: str, exit_code: int) -> None:
    entry: dict[str, Node] = {"verdict": verdict, "exit_code": exit_code, "wall_s": 1.0}
    home.ledger.append([entry], kind="run", subject=weak_key(command, Path.cwd()))


def never(pause_s: float) -> None:
    pytest.fail(f"slept for {pause_s} s although nothing failed")


def test_a_flaky_command_is_tried_until_one_failure_in_ten_is_left(home: Home) -> None:
    Path("bad.py").write_text("raise SystemExit(1)\n")
    command = script_command("bad.py")
    remember(home, command, "failed", 1)
    remember(home, command, "drifted", 0)
    pauses: list[float] = []
    before = outlook_of(command, home)
    assert before.plan.action.name == "K3"
    cycle = run_cycle(before, home, sleep=pauses.append)
    assert (cycle.outcome, cycle.exit_code, cycle.attempts) == (Outcome.FAILED, 1, 4)
    assert pauses == [0.5, 1.0, 2.0]
    batch = home.ledger.read(cycle.seq)
    assert batch.kind == "jit"
    [entry] = batch.entries
    assert isinstance(entry, dict)
    assert entry["runs"] == list(cycle.runs) == [2, 3, 4, 5]


def test_a_retry_that_succeeds_is_the_last(home: Home) -> None:
    Path("good.py").write_text("print('fine')\n")
    command = script_command("good.py")
    remember(home, command, "failed", 1)
    remember(home, command, "drifted", 0)
    cycle = run_cycle(outlook_of(command, home), home, sleep=never)
    assert (cycle.outcome, cycle.attempts) == (Outcome.RAN, 1)


def test_a_drifting_command_is_run_again_and_compared(home: Home) -> None:
    Path("steady.py").write_text("print('same')\n")
    command = script_command("steady.py")
    first = outlook_of(command, home)
    assert run_cycle(first, home, sleep=never).outcome is Outcome.RAN
    remember(home, command, "drifted", 0)
    before = outlook_of(command, home)
    assert (before.decided.reuse, before.plan.action.name) == (True, "K5")
    assert before.forecast is Outcome.RAN
    cycle = run_cycle(before, home, sleep=never)
    assert (cycle.outcome, cycle.saved_s) == (Outcome.RAN, 0.0)


def test_what_was_predicted_is_recorded_before_it_is_known(home: Home) -> None:
    Path("steady.py").write_text("print('same')\n")
    command = script_command("steady.py")
    run_cycle(outlook_of(command, home), home, sleep=never)
    before = outlook_of(command, home)
    cycle = run_cycle(before, home, sleep=never)
    [entry] = home.ledger.read(cycle.seq).entries
    assert isinstance(entry, dict)
    predicted = entry["predicted"]
    assert isinstance(predicted, dict)
    assert predicted["outcome"] == "reused"
    assert predicted["confidence"] == before.confidence
    assert predicted["posterior"] == {each.value: before.belief.at(each) for each in Outcome}
    assert home.ledger.verify().size == 4


def test_every_decision_replays_and_every_step_is_undone_from_the_ledger(home: Home) -> None:
    Path("bad.py").write_text("raise SystemExit(1)\n")
    command = script_command("bad.py")
    for _ in range(3):
        run_cycle(outlook_of(command, home), home, sleep=lambda _: None)
    point: Grid | None = None
    for batch in home.ledger.batches("jit", newest_first=True):
        [entry] = batch.entries
        assert isinstance(entry, dict)
        assert replays(entry["policy"])
        noted = entry["reseeds"]
        assert isinstance(noted, list)
        steps = [Reseeding.of_node(each) for each in noted]
        assert [step and step.run for step in steps] == entry["runs"]
        for step in reversed(steps):
            assert step is not None
            assert point in (None, step.now)
            point = step.undone
            assert point == step.was
    assert point == UNIFORM
