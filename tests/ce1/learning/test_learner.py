"""What the learner promises of its forecasts, told as stories of runs."""

import math
import sys
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ring2_orchestrator.ce1.learning.coding import (
    NotLearnedError,
    decode_learner,
    decode_mind,
    encode_learner,
    encode_mind,
)
from ring2_orchestrator.ce1.learning.happening import After, Before
from ring2_orchestrator.ce1.learning.learner import Learner
from ring2_orchestrator.ce1.learning.mind import Mind, posterior
from ring2_orchestrator.ce1.learning.subject import MEMORY, PATHS

PASSED = After(True, True, False, False, 1.0, 1.2, 3e7)
FAILED = PASSED._replace(failed=True)
REUSED = After(False, False)

BEFORES = st.builds(
    Before,
    subject=st.sampled_from(["a", "b", "c"]),
    name=st.sampled_from(["", "tests/test_cli.py", "x"]),
    changed=st.sampled_from([True, False, None]),
    paths=st.lists(st.sampled_from(["cli.py", "x", "a/b.py", ""]), max_size=4).map(tuple),
    own_changed=st.booleans(),
    returned=st.booleans(),
    lines=st.none() | st.integers(0, 10**9),
    load=st.none() | st.floats(0, 1e6),
)
COST = st.none() | st.floats(0, 1e12)
AFTERS = st.builds(
    After,
    must_rerun=st.booleans(),
    executed=st.booleans(),
    failed=st.booleans(),
    drifted=st.booleans(),
    cpu_s=COST,
    wall_s=COST,
    max_rss_bytes=COST,
)


class Home:
    """A learner and its minds."""

    def __init__(self) -> None:
        self.learner = Learner()
        self.minds: dict[str, Mind] = {}

    def mind(self, subject: str) -> Mind:
        return self.minds.setdefault(subject, Mind())

    def run(self, after: After, before: Before | None = None) -> None:
        asked = before if before is not None else Before("a", changed=after.must_rerun)
        self.mind(asked.subject).tick(self.learner, asked, after)

    def failure(self, before: Before | None = None) -> float:
        asked = before if before is not None else Before("a", changed=True)
        subject = self.mind(asked.subject).subject
        return self.learner.ends(asked, subject).failure.probability


@pytest.mark.slow
@given(st.lists(st.tuples(BEFORES, AFTERS), max_size=12), BEFORES)
@settings(deadline=None)
def test_any_story_leaves_probabilities_intervals_and_a_state_that_reads_back(
    story: list[tuple[Before, After]], asked: Before
) -> None:
    home = Home()
    for before, after in story:
        home.run(after, before)
    mind = home.mind(asked.subject)
    found = home.learner.forecast(asked, mind.subject)
    assert all(0 < chance.probability < 1 for chance in found.ends)
    assert math.isclose(math.fsum(posterior(found.ends, 0.3)), 1)
    for interval in found[1:]:
        if interval.low is not None and interval.high is not None:
            assert interval.value is not None
            assert 0 <= interval.low <= interval.high
    learner = decode_learner(encode_learner(home.learner))
    again = decode_mind(encode_mind(mind))
    assert learner.forecast(asked, again.subject) == found
    assert (again.prior, again.told) == (mind.prior, mind.told)


def test_from_nothing_confidence_is_a_half_and_grows_with_successes() -> None:
    home = Home()
    mind = home.mind("a")
    seen = [mind.told.confidence]
    for _ in range(30):
        home.run(PASSED)
        seen.append(mind.told.confidence)
    assert seen[0] == 0.5
    assert seen == sorted(set(seen))
    assert seen[-1] > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("before", [0, 1, 5, 50, 200])
def test_a_flipped_habit_is_learned_within_five_runs(before: int) -> None:
    home = Home()
    for _ in range(before):
        home.run(PASSED)
    for _ in range(5):
        home.run(FAILED)
    assert home.failure() > 0.75
    for _ in range(5):
        home.run(PASSED)
    assert home.failure() < 0.25


@pytest.mark.slow
def test_a_habit_of_one_command_flips_among_many_that_stay() -> None:
    home = Home()
    names = [f"c{number}" for number in range(10)]
    for _ in range(30):
        for name in names:
            home.run(PASSED, Before(name, changed=True))
    for _ in range(5):
        for name in names:
            after = FAILED if name == "c3" else PASSED
            home.run(after, Before(name, changed=True))
    assert home.failure(Before("c3", changed=True)) > 0.5
    assert home.failure(Before("c4", changed=True)) < 0.1


def test_unchanged_inputs_end_as_they_did() -> None:
    home = Home()
    for after in [PASSED, FAILED] * 10:
        home.run(after, Before("a", changed=True))
        home.run(after._replace(must_rerun=False), Before("a", changed=False))
    home.run(FAILED, Before("a", changed=True))
    assert home.failure(Before("a", changed=False)) > 0.7 > home.failure()


def test_what_fails_in_a_round_makes_the_rest_of_it_likelier_to_fail() -> None:
    home = Home()
    names = [f"c{number}" for number in range(6)]
    for step in range(40):
        after = FAILED if step % 4 == 0 else PASSED
        for name in names:
            home.run(after, Before(name, changed=True))
    early = home.failure(Before("c5", changed=True))
    home.run(FAILED, Before("c0", changed=True))
    home.run(FAILED, Before("c1", changed=True))
    assert home.failure(Before("c5", changed=True)) > max(0.6, early)


def test_asking_learns_nothing() -> None:
    home = Home()
    for after in [PASSED, FAILED, REUSED, PASSED]:
        home.run(after)
    before = encode_learner(home.learner), encode_mind(home.mind("a"))
    for changed in (True, False, None):
        home.learner.forecast(Before("a", changed=changed), home.mind("a").subject)
    assert (encode_learner(home.learner), encode_mind(home.mind("a"))) == before


@pytest.mark.slow
def test_intervals_hold_four_in_five_of_costs_that_wander() -> None:
    home, inside = Home(), 0
    for number in range(600):
        cost = math.exp(math.sin(number * 1.7) * 0.2 + math.sin(number / 90))
        found = home.learner.forecast(Before("a", changed=True), home.mind("a").subject).cpu_s
        if number >= 100 and found.low is not None and found.high is not None:
            inside += found.low <= cost <= found.high
        home.run(PASSED._replace(cpu_s=cost))
    assert 0.77 <= inside / 500 <= 0.83


def test_one_cost_that_is_far_off_leaves_an_interval_of_use() -> None:
    home = Home()
    for number in range(60):
        cost = 1 + number % 7 / 1000
        home.run(PASSED._replace(cpu_s=cost / 1000 if number in (50, 58) else cost))
        found = home.learner.forecast(Before("a", changed=True), home.mind("a").subject).cpu_s
        if found.low is not None and found.high is not None and found.value is not None:
            assert 0.0999 * found.value <= found.low <= found.high <= 10.01 * found.value


def test_wall_time_follows_the_load() -> None:
    home = Home()
    for number in range(100):
        load = float(number % 5)
        home.run(PASSED._replace(wall_s=1 + load), Before("a", changed=True, load=load))
    subject = home.mind("a").subject
    idle, busy = (
        home.learner.forecast(Before("a", changed=True, load=load), subject).wall_s.value
        for load in (0.0, 4.0)
    )
    assert idle is not None
    assert busy is not None
    assert busy > 2 * idle


def test_the_state_of_a_command_does_not_grow_with_its_runs() -> None:
    home = Home()
    for number in range(300):
        paths = tuple(f"p{number + k}" for k in range(5))
        home.run(FAILED if number % 2 else PASSED, Before("a", changed=True, paths=paths))
    subject = home.mind("a").subject
    assert len(subject.touched) == PATHS
    assert len(subject.failure.latest) == MEMORY
    assert len(encode_mind(home.mind("a"))) < 4096


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused(data: bytes) -> None:
    for decode in (decode_learner, decode_mind):
        with pytest.raises(NotLearnedError):
            decode(data)


def test_a_state_that_was_cut_or_mixed_up_is_refused() -> None:
    home = Home()
    home.run(PASSED)
    with pytest.raises(NotLearnedError):
        decode_mind(encode_learner(home.learner))
    with pytest.raises(NotLearnedError):
        decode_learner(encode_mind(home.mind("a")))
    with pytest.raises(NotLearnedError):
        decode_learner(encode_learner(home.learner)[:-8])


def calls(home: Home, before: Before) -> int:
    """How many functions one tick calls."""
    count = 0

    def seen(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    kept = sys.getprofile()
    sys.setprofile(seen)
    try:
        home.run(FAILED, before)
    finally:
        sys.setprofile(kept)
    return count


@pytest.mark.slow
def test_a_tick_does_no_more_however_many_runs_went_before() -> None:
    home = Home()
    work: list[int] = []
    for number in range(1, 2001):
        subject, paths = f"c{number % 7}", (f"m{number % 50}.py", "x.py")
        before = Before(subject, name=subject, changed=True, paths=paths, load=1.0)
        if number in (500, 2000):
            work.append(calls(home, before))
        else:
            home.run(PASSED if number % 5 else FAILED, before)
    assert work[1] <= 1.02 * work[0]
