"""Which test file is run first, from what changed and what failed before."""

from hypothesis import given
from hypothesis import strategies as st

from ring2_orchestrator.runs.marks import Marks
from ring2_orchestrator.steering.order import Round, first_to_last, rounds_of
from ring2_orchestrator.steering.suspicion import Foreseen, Past, Suspicions

PASSED = Past(("src/core.py",), failed=False)
FAILED = Past(("src/core.py",), failed=True)


def a_file(name: str, *past: Past, **more: object) -> Foreseen:
    settings: dict[str, object] = {"changed": ("src/core.py",), "known": bool(past), **more}
    return Foreseen(name, past, **settings)  # pyright: ignore[reportArgumentType]


def names(*files: Foreseen) -> list[str]:
    return [files[at].name for at in first_to_last(files)]


def test_what_failed_on_these_very_inputs_comes_first_and_what_is_unchanged_last() -> None:
    same = a_file("a", PASSED, unchanged=True)
    other = a_file("b", PASSED)
    failed = a_file("c", FAILED, failed_so=True)
    assert names(same, other, failed) == ["c", "b", "a"]


def test_a_change_that_broke_a_file_before_is_likelier_to_break_it_again() -> None:
    assert names(a_file("a", PASSED, PASSED), a_file("b", FAILED, PASSED)) == ["b", "a"]


def test_of_equally_likely_ones_the_shorter_comes_first() -> None:
    assert names(a_file("a", PASSED, seconds=9.0), a_file("b", PASSED, seconds=1.0)) == ["b", "a"]


def test_names_tell_which_file_tests_what_was_changed() -> None:
    files = [
        a_file(name, Past((), failed=False), changed=("src/pkg/formatter.py",))
        for name in ("tests/test_cli.py", "tests/test_format.py", "tests/test_formatter.py")
    ]
    assert names(*files) == ["tests/test_formatter.py", "tests/test_format.py", "tests/test_cli.py"]


def test_a_large_change_does_not_make_all_files_alike() -> None:
    many = tuple(f"src/{number}.py" for number in range(50))
    failing = a_file("b", FAILED, FAILED, FAILED, FAILED, changed=(*many, "src/core.py"))
    assert names(a_file("a", PASSED, changed=many), failing)[0] == "b"


def test_files_that_share_what_one_of_them_writes_stay_in_their_order() -> None:
    writes = Marks(writes=frozenset({b"/p/x"}))
    reads = Marks(reads=frozenset({b"/p/x"}))
    calm = a_file("a", PASSED, marks=reads)
    middle = a_file("b", PASSED)
    suspect = a_file("c", FAILED, failed_so=True, marks=writes)
    # What must come before a suspect comes early, too.
    assert names(calm, middle, suspect) == ["a", "c", "b"]


PASTS = st.builds(
    Past, st.just(("src/a.py", "src/b.py")), st.booleans(), st.sampled_from([None, 1, 2])
)
files = st.builds(
    Foreseen,
    st.sampled_from(["tests/test_a.py", "tests/test_b.py", "x.py"]),
    st.lists(PASTS, max_size=4),
    st.sampled_from([(), ("src/a.py",), ("src/a.py", "src/new.py")]),
    known=st.booleans(),
    failed_so=st.booleans(),
    unchanged=st.booleans(),
    seconds=st.sampled_from([None, 0.0, 0.5, 3.0]),
    learned=st.sampled_from([None, 0.0, 0.4, 1.0]),
    marks=st.sampled_from(
        [None, Marks(writes=frozenset({b"/w"})), Marks(reads=frozenset({b"/w"}))]
    ),
)


@given(st.lists(files, max_size=9))
def test_every_file_has_its_turn_once_and_conflicts_keep_their_order(
    some: list[Foreseen],
) -> None:
    order = first_to_last(some)
    assert sorted(order) == list(range(len(some)))
    assert all(0 <= Suspicions(some).of(file) <= 1 for file in some)
    for at, file in enumerate(some):
        for later in range(at + 1, len(some)):
            if _conflict(file.marks, some[later].marks):
                assert order.index(at) < order.index(later)


def _conflict(one: Marks | None, other: Marks | None) -> bool:
    if one is None or other is None:
        return False
    return bool(one.writes & (other.reads | other.writes) or other.writes & one.reads)


def test_of_files_of_which_nothing_is_known_the_order_is_kept() -> None:
    unknown = [Foreseen(name) for name in "abc"]
    assert names(*unknown) == ["a", "b", "c"]


def test_what_failed_together_with_a_file_that_passes_is_no_longer_urgent() -> None:
    # One fault breaks `a` and `b` at once, often; another `c`, now and then.
    def past(*failed: bool) -> tuple[Past, ...]:
        return tuple(Past(("src/core.py",), each, at) for at, each in enumerate(failed))

    a = a_file("a", *past(True, True, False, True, False))
    b = a_file("b", *past(True, True, False, True, False))
    c = a_file("c", *past(False, False, True, False, False))
    assert names(a, b, c) == ["a", "c", "b"]
    assert Suspicions([a, b, c]).of(b) > Suspicions([a, b, c]).of(c)


def test_rounds_of_another_change_say_nothing() -> None:
    other = Past(("src/other.py",), failed=True, round=1)
    assert rounds_of([a_file("a", other)]) == []
    assert rounds_of([a_file("a", FAILED._replace(round=1))]) == [Round(1.0, frozenset({0}))]


def test_what_was_learned_of_all_runs_counts_where_little_was_seen() -> None:
    changed = ("src/new.py",)
    likely = a_file("b", PASSED, changed=changed, learned=0.9)
    assert names(a_file("a", PASSED, changed=changed, learned=0.1), likely) == ["b", "a"]
    assert Suspicions([]).of(Foreseen("a", learned=0.05)) == 0.05


def test_a_release_that_changes_all_does_not_make_a_file_that_passes_suspect() -> None:
    many = tuple(f"src/{number}.py" for number in range(40))
    calm = a_file("a", *[Past((path,), failed=False) for path in many], changed=many)
    assert Suspicions([calm]).of(calm) < 0.3
