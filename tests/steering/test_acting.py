"""What is expected of past runs, what fits into memory, what is fetched, what is planned."""

import os
from pathlib import Path

import pytest

from ring2_orchestrator.ce1.action import attempts_for
from ring2_orchestrator.ce1.history import History, PastRun
from ring2_orchestrator.ce1.learning.happening import After, Before
from ring2_orchestrator.ce1.learning.learner import Forecast, Learner
from ring2_orchestrator.ce1.learning.mind import Mind
from ring2_orchestrator.ce1.outcome import Outcome
from ring2_orchestrator.runs.marks import Marks
from ring2_orchestrator.runs.order import order_of
from ring2_orchestrator.runs.past import Run
from ring2_orchestrator.runs.verify import weight_of
from ring2_orchestrator.steering.campaign import Campaign, Task, campaign_of
from ring2_orchestrator.steering.expectation import (
    Expectation,
    expectation_of,
    rounds_in,
    seconds_of,
)
from ring2_orchestrator.steering.prefetch import fetch
from ring2_orchestrator.steering.several import Several, available_memory


def a_run(wall_s: float, code: int = 0, word: str = "ran", saved_s: float = 0.0) -> PastRun:
    return PastRun(0, "s", Outcome(word), code, wall_s, max_rss_bytes=1e6 * wall_s, saved_s=saved_s)


def test_a_failure_long_before_the_end_says_nothing_of_how_long_a_run_takes() -> None:
    past = History((a_run(20.0), a_run(0.1, 1, "failed"), a_run(20.0)))
    found = expectation_of(past)
    assert found.seconds == pytest.approx(20.0)
    assert found.failure == pytest.approx(1.5 / 4)
    assert expectation_of(History((a_run(3.0, 1, "failed"),))).seconds == pytest.approx(3.0)


def test_what_was_only_reused_lately_takes_what_it_took_then() -> None:
    found = expectation_of(History((a_run(0.1, word="reused", saved_s=7.9),)))
    assert found.seconds == pytest.approx(8.0)
    assert expectation_of(History(())) == Expectation()


def test_what_does_not_fit_into_memory_beside_others_waits_and_alone_it_never_does() -> None:
    expected = tuple(Expectation(memory_bytes=size) for size in (600.0, 600.0, None))
    several = Several(expected, available_bytes=1000.0)
    assert not several.fits(0, [1])
    assert several.fits(2, [0])
    assert several.fits(0, [])
    assert Several(expected).fits(0, [1])
    assert (available_memory() or 1) > 0


def test_nothing_but_files_is_fetched_and_no_more_than_fits(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 5000)
    (tmp_path / "large").write_bytes(b"x" * 9000)
    os.mkfifo(tmp_path / "pipe")
    names = ["pipe", "missing", "large", ".", "file"]
    paths = [os.fsencode(tmp_path / name) for name in names]
    assert fetch(paths, most_bytes=8000) == 5000


def test_attempts_leave_a_tenth_and_stay_few() -> None:
    assert [attempts_for(failure) for failure in (0.01, 0.3, 0.5, 0.9, 1.0)] == [2, 2, 4, 5, 5]


def test_what_drifted_is_verified_more_often_and_nothing_less_than_asked() -> None:
    assert weight_of(0, 20) == weight_of(0, 0) == 1.0
    assert 1 < weight_of(1, 20) < weight_of(5, 20)
    assert weight_of(20, 20) >= 1.0


def campaign(*tasks: Task, width: int = 2, marks: list[Marks] | None = None) -> Campaign:
    return campaign_of(tasks, order_of(marks or [Marks() for _ in tasks]), width)


def a_task(name: str, seconds: float | None, *, reuse: bool = False) -> Task:
    return Task(name, reuse, Expectation(seconds=seconds), 0.1)


def test_several_that_have_to_run_are_run_at_a_time_the_longest_first() -> None:
    some = campaign(a_task("a", 1.0), a_task("b", 4.0), a_task("c", 3.0))
    plan = some.plan()
    assert plan.action.name == "K4"
    assert plan.action.expected_s == pytest.approx(4.0)
    assert plan.saving_s == pytest.approx(4.0)
    in_turn = next(other for other in plan.alternatives if other.name == "K2")
    assert plan.worse_by_s(in_turn) == pytest.approx(4.0)
    assert [slot.task for slot in some.slots(2)] == [1, 2, 0]


def test_nothing_runs_beside_another_where_each_waits_for_the_one_before() -> None:
    marks = [
        Marks(writes=frozenset({b"/a"})),
        Marks(reads=frozenset({b"/a"}), writes=frozenset({b"/b"})),
        Marks(reads=frozenset({b"/b"})),
    ]
    chain = campaign(*(a_task(name, 2.0) for name in "abc"), marks=marks)
    assert chain.plan().action.name == "K2"
    assert campaign(a_task("a", 1.0), a_task("b", 1.0), width=1).plan().action.name == "K2"


def test_what_is_unchanged_is_reused_and_counts_as_plain_running_does() -> None:
    plan = campaign(a_task("a", 5.0, reuse=True), a_task("b", 3.0, reuse=True)).plan()
    assert (plan.action.name, plan.plain_s) == ("K1", 8.0)
    assert plan.saving_s == pytest.approx(7.8)
    assert {other.name for other in plan.alternatives} == {"K2", "K3", "K4", "K5"}


def test_the_first_time_no_seconds_are_known_and_one_that_is_new_counts_as_usual() -> None:
    new = campaign(a_task("a", None), a_task("b", None))
    assert (new.plan().action.name, new.plan().action.expected_s) == ("K4", None)
    mixed = campaign(a_task("a", 2.0), a_task("b", 4.0), a_task("c", None))
    assert mixed.plan().plain_s == pytest.approx(9.0)
    assert "1 never ran" in mixed.plan().action.rationale


def forecast_after(*walls: float) -> Forecast:
    learner, mind = Learner(), Mind()
    before = Before("s", changed=True)
    for wall_s in walls:
        ended = After(must_rerun=True, executed=True, wall_s=wall_s, max_rss_bytes=1e6 * wall_s)
        mind.tick(learner, before, ended)
    return learner.forecast(before, mind.subject)


def test_what_was_learned_of_all_runs_is_what_is_expected() -> None:
    walls = [2.0, 2.2, 1.9, 2.1] * 5
    found = expectation_of(History(tuple(map(a_run, walls))), learned := forecast_after(*walls))
    assert (found.seconds, found.low_s) == (learned.wall_s.value, learned.wall_s.low)
    assert found.memory_bytes == learned.max_rss_bytes.high
    assert found.failure == learned.ends.failure.probability


def test_where_too_little_was_learned_the_past_of_the_command_alone_counts() -> None:
    past = History((a_run(2.0), a_run(3.0)))
    found, alone = expectation_of(past, forecast_after(2.0, 3.0)), expectation_of(past)
    assert (found.seconds, found.memory_bytes) == (alone.seconds, alone.memory_bytes)
    assert expectation_of(History(()), forecast_after()) == Expectation()


def test_whole_runs_count_for_a_schedule_and_all_for_who_waits_for_a_failure() -> None:
    past = History((*map(a_run, [20.0] * 12), a_run(0.1, 1, "failed")))
    learned = forecast_after(*[20.0] * 12, 0.1)
    assert expectation_of(past, learned).seconds == pytest.approx(20.0)
    assert (seconds_of(past, learned) or 0.0) < 20.0


def test_a_round_ends_where_a_command_comes_again() -> None:
    def run(seq: int, subject: str) -> Run:
        return Run(seq, "", subject, 0, (), "ran", 0, 1.0)

    pasts = {"a": [run(1, "a"), run(3, "a")], "b": [run(2, "b"), run(5, "b")], "c": [run(4, "c")]}
    assert rounds_in(pasts) == {1: 0, 2: 0, 3: 1, 4: 1, 5: 1}
