"""A restore leaves alone what stands, so that a build beside it finds nothing to do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring2_orchestrator.runs.times import Place, times_among
from tests.runs.conftest import Person

MAKEFILE = """all: prog other
prog: a.o b.o
\tcat a.o b.o > prog
\tchmod 755 prog
%.o: %.c gen.h
\tcat gen.h $< > $@
gen.h: gen.in
\tcat gen.in > gen.h
other: gen.in
\tcp gen.in other
\tln -sf other link
\tmkdir -p d && cp gen.in d/deep
"""
MADE = ("gen.h", "a.o", "b.o", "prog", "other", "d/deep")


@pytest.fixture
def built(person: Person) -> Person:
    person.write("Makefile", MAKEFILE)
    for name in ("a.c", "b.c", "gen.in"):
        path = person.write(name, f"{name}\n")
        os.utime(path, (1_700_000_000, 1_700_000_000))
    assert person.command("make").published
    return person


def times(person: Person) -> dict[str, int]:
    return {
        str(path.relative_to(person.project)): path.lstat().st_mtime_ns
        for path in person.project.rglob("*")
        if not path.is_dir()
    }


def is_quiet(person: Person) -> bool:
    """Whether a plain make finds nothing to do."""
    words = ["make", "-q", "-C", str(person.project)]
    return subprocess.run(words, env=person.env, check=False).returncode == 0


@pytest.mark.parametrize("gone", [(name,) for name in MADE] + [("gen.h", "b.o"), ("a.o", "b.o")])
def test_what_stands_keeps_its_time_and_make_is_quiet(built: Person, gone: tuple[str, ...]) -> None:
    before = times(built)
    for name in gone:
        (built.project / name).unlink()
    again = built.command("make")
    assert (again.verdict, again.restored) == ("reused", len(gone))
    after = times(built)
    assert {name for name in after if after[name] != before[name]} <= set(gone)
    assert is_quiet(built)
    # Of files of one tick of the clock none was the first, and no build asks for a link's own time.
    files = sorted(set(before) - {"link"})
    turned = {(a, b) for a in files for b in files if before[a] < before[b] if after[a] > after[b]}
    assert not turned, "the order of writing is the recorded one"


def test_a_wrong_mode_is_mended_in_place_and_no_time_changes(person: Person) -> None:
    line = "echo a > run.sh; echo b > other; echo c > none; chmod 755 run.sh"
    assert person.run(line).published
    before = times(person)
    inode = (person.project / "run.sh").stat().st_ino
    for name, mode in (("run.sh", 0o600), ("other", 0o444), ("none", 0)):
        (person.project / name).chmod(mode)
    again = person.run(line)
    assert (again.verdict, again.restored) == ("reused", 3), again.message
    assert (person.project / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (person.project / "run.sh").stat().st_ino == inode
    assert times(person) == before


def test_a_link_is_put_back_and_what_stands_beside_it_is_left_alone(person: Person) -> None:
    line = "rm -f l; ln -s to l; echo a > out"
    assert person.run(line).published
    before = times(person)
    (person.project / "l").unlink()
    again = person.run(line)
    assert (again.verdict, again.restored) == ("reused", 1), again.message
    assert os.readlink(person.project / "l") == "to"  # noqa: PTH115
    assert times(person)["out"] == before["out"]


def test_right_bytes_under_another_inode_stay_as_they_are(built: Person) -> None:
    copy = built.project / "copy"
    shutil.copy2(built.project / "prog", copy)
    copy.rename(built.project / "prog")
    before = times(built)
    again = built.command("make")
    assert (again.verdict, again.restored) == ("reused", 0)
    assert times(built) == before


def test_after_a_newer_input_of_the_same_bytes_everything_is_newer(built: Person) -> None:
    (built.project / "gen.in").touch()
    (built.project / "a.o").unlink()
    assert built.command("make").reused
    assert is_quiet(built)


@pytest.mark.slow
def test_the_program_without_python_leaves_everything_alone(built: Person) -> None:
    front = Path(sys.executable).with_name("redoxa-run")
    if not front.exists():
        pytest.skip("redoxa-run is not installed here")
    env = {**built.env, "REDOXA_HOME": str(built.home_path)}
    for name in ((), ("gen.h",), ("prog", "d/deep")):
        before = times(built)
        for each in name:
            (built.project / each).unlink()
        for _ in range(2):
            done = subprocess.run(
                [front, "make"], cwd=built.project, env=env, capture_output=True, check=False
            )
            assert done.returncode == 0
            after = times(built)
            assert {at for at in after if after[at] != before[at]} <= set(name)
            assert is_quiet(built)


@given(
    rows=st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=8),
    times_of_ranks=st.lists(st.integers(90, 130), min_size=7, max_size=7, unique=True).map(sorted),
    after_ns=st.integers(80, 120),
)
def test_new_times_keep_the_order_and_the_others(
    rows: list[tuple[int, bool]], times_of_ranks: list[int], after_ns: int
) -> None:
    places = [
        Place(b"%d" % at, rank, times_of_ranks[rank] if stands else None)
        for at, (rank, stands) in enumerate(rows)
    ]
    found = times_among(places, after_ns=after_ns, now_ns=10_000)
    assert {place.path for place in places if place.mtime_ns is None} <= set(found)
    assert all(time > after_ns for time in found.values())
    now = [(place.rank, found.get(place.path, place.mtime_ns) or 0) for place in places]
    for rank, time in now:
        for other, others in now:
            if rank < other:
                assert time < others


def test_a_file_between_two_that_stand_gets_a_time_between_theirs() -> None:
    places = [Place(b"a", 0, 100), Place(b"b", 1, None), Place(b"c", 2, None), Place(b"d", 3, 400)]
    assert times_among(places, after_ns=0, now_ns=900) == {b"b": 200, b"c": 300}
    far = [*places[1:3], Place(b"d", 3, 10_000)]
    assert times_among(far, after_ns=0, now_ns=90_000) == {b"b": 8000, b"c": 9000}
    assert times_among(places, after_ns=250, now_ns=900) == {b"b": 300, b"c": 350}
    crowded = times_among(places, after_ns=399, now_ns=900)
    assert crowded == {b"b": 1399, b"c": 2399, b"d": 3399}
