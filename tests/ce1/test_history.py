"""What the ledger remembers of runs, and what is passed over."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cid_store.cid import Cid
from cid_store.encoding import Node
from ring2_orchestrator.ce1.belief import forecast
from ring2_orchestrator.ce1.history import History, PastRun, history_of
from ring2_orchestrator.ce1.outcome import Counts, Outcome
from ring2_orchestrator.ledger import Batch

MakeHistory = Callable[..., History]
GOOD: dict[str, Node] = {
    "verdict": "ran",
    "exit_code": 0,
    "wall_s": 2.0,
    "cpu_s": 1.5,
    "max_rss_bytes": 9_000_000,
    "saved_s": 0.0,
    "inputs_changed": 1,
    "trace": None,
    "doubts": [],
    "counts": {"read": 4},
}


def batch(*entries: Node, seq: int = 0) -> Batch:
    return Batch(seq, Cid.of(b""), "run", "subject", 0, entries)


def test_a_run_batch_is_read() -> None:
    [run] = history_of([batch(GOOD)]).runs
    assert run == PastRun(0, "subject", Outcome.RAN, 0, 2.0, 1.5, 9e6, 0.0, 1)


def test_more_keys_and_more_entries_do_no_harm() -> None:
    assert history_of([batch({**GOOD, "colour": "red"}, "more")]).counts == Counts(ran=1)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {},
        {**GOOD, "verdict": "exploded"},
        {**GOOD, "verdict": 1},
        {**GOOD, "wall_s": "2"},
        {**GOOD, "wall_s": -1.0},
        {**GOOD, "wall_s": float("nan")},
        {**GOOD, "exit_code": None},
    ],
)
def test_what_is_no_run_is_counted_and_passed_over(entry: Node) -> None:
    found = history_of([batch(entry), batch(GOOD), batch()])
    assert (len(found.runs), found.passed_over) == (1, 2)


@pytest.mark.parametrize("value", [None, "x", float("inf"), -3.0, []])
def test_a_cost_that_is_none_stays_unknown(value: Node) -> None:
    [run] = history_of([batch({**GOOD, "cpu_s": value, "max_rss_bytes": value})]).runs
    assert (run.cpu_s, run.max_rss_bytes) == (None, None)


def test_newest_first_is_turned_round() -> None:
    batches = [batch(GOOD, seq=seq) for seq in (9, 5, 2)]
    assert [run.seq for run in history_of(batches, newest_first=True).runs] == [2, 5, 9]


def test_energy_is_one_before_any_run() -> None:
    assert History(()).energy == 1.0


def test_energy_is_plain_seconds_by_spent_seconds(history: MakeHistory) -> None:
    # Executed once (2 s), reused three times (0.1 s each): plainly 8 s, spent 2.3 s.
    found = history("ran reused reused reused", wall_s=2.0)
    assert found.spent_s == pytest.approx(2.3)
    assert found.saved_s == pytest.approx(5.7)
    assert found.energy == pytest.approx(8.0 / 2.3)


@given(st.lists(st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)), min_size=1, max_size=20))
def test_energy_by_its_definition(pairs: list[tuple[float, float]]) -> None:
    runs = [
        PastRun(at, "s", Outcome.REUSED, 0, spent, saved_s=plain - spent)
        for at, (plain, spent) in enumerate(pairs)
    ]
    expected = sum(plain for plain, _ in pairs) / sum(spent for _, spent in pairs)
    assert History(tuple(runs)).energy == pytest.approx(expected)


def test_a_loop_of_executions_alone_has_energy_one(history: MakeHistory) -> None:
    assert history("ran failed drifted").energy == 1.0


def test_twenty_two_and_a_half_percent_more_work_a_second() -> None:
    run = PastRun(0, "s", Outcome.REUSED, 0, 1.0, saved_s=0.225)
    assert History((run,)).energy == pytest.approx(1.225)


def test_failure_is_judged_by_executions_and_their_exit_codes(history: MakeHistory) -> None:
    assert History(()).failure_probability == 0.5
    assert history("reused " * 50).failure_probability == 0.5
    assert history("ran " * 9 + "reused").failure_probability == 0.05
    drifted = PastRun(0, "s", Outcome.DRIFTED, 3, 1.0)
    assert History((drifted,)).failures == 1


def test_confidence_starts_at_one_half_and_grows_with_success(history: MakeHistory) -> None:
    words = ["ran", *["reused"] * 6]
    steps = [history(" ".join(words[:length])).confidence for length in range(len(words) + 1)]
    assert steps[0] == 0.5
    assert steps == sorted(set(steps))
    assert steps[-1] == 7.5 / 8


def test_confidence_falls_when_a_habit_breaks_and_recovers_when_it_is_learned(
    history: MakeHistory,
) -> None:
    good = "ran ran ran ran "
    assert history(good + "failed").confidence < history(good).confidence
    broken = good + "failed " * 5
    assert history(broken + "failed").confidence > history(broken).confidence


def test_confidence_keeps_commands_apart(history: MakeHistory) -> None:
    mixed = [run._replace(subject=run.outcome.value) for run in history("ran failed " * 8).runs]
    # Seen alone, one always succeeds and the other always fails after its first time.
    assert History(tuple(mixed)).confidence == 15.5 / 17


@given(st.lists(st.sampled_from(Outcome), max_size=60))
def test_confidence_is_a_share_of_past_forecasts(seen: list[Outcome]) -> None:
    runs = [PastRun(at, "s", outcome, 0, 1.0) for at, outcome in enumerate(seen)]
    true = sum(
        forecast(Counts.of(seen[:at]), reuse=outcome is Outcome.REUSED) is outcome
        for at, outcome in enumerate(seen)
    )
    assert History(tuple(runs)).confidence == (true + 0.5) / (len(seen) + 1)
