"""What a run may see twice, or share with others, is not reused wrongly."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ring2_orchestrator.recorder.event import Event, Flag, Identity, Kind
from ring2_orchestrator.runs.fold import Folded, fold
from tests.runs.conftest import Person

PYTHON = sys.executable

# ---- sights, event by event ----

FILE, FOLDER, LINK = 0o100644, 0o040755, 0o120777


def thing(ino: int, mode: int = FILE, *, size: int = 1, time: int = 1) -> Identity:
    return Identity(mode, 1, ino, size, time, time)


def event(
    kind: Kind,
    path: str,
    before: Identity | None = None,
    *,
    to: str | None = None,
    before2: Identity | None = None,
    flags: int = 0,
) -> Event:
    path2 = None if to is None else to.encode()
    return Event(
        kind, 7, path.encode(), path2, flags, before, before2, None, None, b"/bin/program", 0
    )


def sights(path: str, *states: Identity | None) -> list[Event]:
    return [event(Kind.STAT, path, state) for state in states]


def told(folded: Folded) -> list[str]:
    return [detail for kind, detail in folded.problems if kind == "changed"]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (None, thing(1)),
        (thing(1), None),
        (thing(1), thing(2)),
        (thing(1), thing(1, size=2)),
        (thing(1), thing(1, time=2)),
        (thing(1), thing(1, FOLDER)),
        (thing(1, FOLDER), None),
        (thing(1, LINK), thing(2, LINK)),
    ],
)
def test_a_path_that_looks_different_later_was_changed_by_somebody(
    first: Identity | None, then: Identity | None
) -> None:
    for states in ((first, then), (first, then, first)):
        folded = fold(sights("/p/x", *states))
        assert told(folded) == ["/p/x changed while the run was going on"]
    assert fold(sights("/p/x", first, first)).problems == []


CREATE = int(Flag.CREATE)
OWN_DOING = {
    "times of a folder": sights("/p/d", thing(1, FOLDER), thing(1, FOLDER, size=9, time=9)),
    "files that the kernel makes up": sights("/proc/self/x", None, thing(1))
    + sights("/sys/x", thing(1), thing(2))
    + sights("/dev/x", thing(1), None),
    "written": [
        *sights("/p/x", None),
        event(Kind.WRITE, "/p/x", None, flags=CREATE),
        *sights("/p/x", thing(1), thing(1, size=2)),
    ],
    "removed": [
        *sights("/p/x", thing(1)),
        event(Kind.UNLINK, "/p/x", thing(1)),
        *sights("/p/x", None),
    ],
    "renamed": [
        *sights("/p/x", None),
        *sights("/p/y", thing(1)),
        event(Kind.RENAME, "/p/y", thing(1), to="/p/x"),
        *sights("/p/x", thing(1)),
        *sights("/p/y", None),
    ],
    "another name of a file": [
        *sights("/p/x", thing(1)),
        event(Kind.WRITE, "/p/y", thing(1)),
        *sights("/p/x", thing(1, size=2, time=2)),
    ],
    "a name of a file that got another": [
        *sights("/p/x", thing(1)),
        event(Kind.LINK, "/p/x", thing(1), to="/p/y"),
        event(Kind.WRITE, "/p/y", thing(1)),
        *sights("/p/x", thing(1, size=2, time=2)),
    ],
    "a folder above was made passable": [
        *sights("/p/d/x", None),
        event(Kind.METADATA, "/p/d", thing(2, FOLDER), flags=int(Flag.MODE)),
        *sights("/p/d/x", thing(1)),
    ],
    "a folder of its own was moved": [
        *sights("/p/e/x", None),
        event(Kind.MKDIR, "/p/d"),
        event(Kind.WRITE, "/p/d/x", None, flags=CREATE),
        event(Kind.RENAME, "/p/d", thing(2, FOLDER), to="/p/e"),
        *sights("/p/e/x", thing(1)),
        *sights("/p/d/x", None),
    ],
    "a rename that failed": [
        *sights("/p/x", thing(1)),
        event(Kind.RENAME, "/p/y", thing(2), to="/p/x", before2=thing(1)),
        *sights("/p/x", thing(1), thing(1)),
    ],
    "a rename that another process saw coming": [
        *sights("/p/x", thing(1)),
        event(Kind.RENAME, "/p/y", thing(2), to="/p/x", before2=thing(1)),
        *sights("/p/x", thing(1), thing(2), thing(2, size=2)),
    ],
    "a cache that every Python makes alike": sights(
        "/p/__pycache__/x.cpython-311.pyc", None, thing(1)
    ),
}


@pytest.mark.parametrize("name", OWN_DOING)
def test_what_the_run_did_itself_is_no_change_by_others(name: str) -> None:
    assert fold(OWN_DOING[name]).problems == []


def test_a_number_of_a_file_that_is_gone_excuses_nobody() -> None:
    # File systems give the numbers of removed files to new ones at once.
    own = [
        event(Kind.WRITE, "/p/own", None, flags=CREATE),
        *sights("/p/own", thing(5)),
        event(Kind.UNLINK, "/p/own", thing(5)),
    ]
    assert told(fold([*sights("/p/x", None), *own, *sights("/p/x", thing(5))]))


def test_a_failed_rename_leaves_an_earlier_change_standing() -> None:
    folded = fold([
        event(Kind.WRITE, "/p/x", None, flags=CREATE),
        event(Kind.RENAME, "/p/y", thing(2), to="/p/x", before2=thing(1)),
        *sights("/p/x", thing(1)),
    ])  # fmt: skip
    assert folded.edits[b"/p/x"].wrote


# ---- sights, in whole runs ----


@contextmanager
def meddling(act: Callable[[], None]) -> Generator[None]:
    """Somebody else at work while the run goes on."""
    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def await_(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def test_a_path_that_came_and_went_during_the_run_makes_it_unpublishable(person: Person) -> None:
    def act() -> None:
        await_(person.project / "first")
        person.write("x", "")
        await_(person.project / "second")
        (person.project / "x").unlink()

    line = (
        "test -e x || echo missing; : > first; until test -e x; do sleep 0.01; done; echo there; "
        ": > second; while test -e x; do sleep 0.01; done"
    )
    with meddling(act):
        result = person.run(line)
    assert [doubt.kind for doubt in result.doubts] == ["changed"]
    assert result.message.startswith("not reusable: x changed") or "/x changed" in result.message
    assert not person.decide(line).reuse


def test_a_link_that_changed_after_it_was_followed_makes_the_run_unpublishable(
    person: Person,
) -> None:
    person.write("one", "1")
    person.write("two", "2")
    (person.project / "link").symlink_to("one")

    def act() -> None:
        await_(person.project / "first")
        (person.project / "other").symlink_to("two")
        (person.project / "other").rename(person.project / "link")
        person.write("done", "")

    with meddling(act):
        result = person.run(
            "cat link; : > first; until test -e done; do sleep 0.01; done; cat link"
        )
    assert any("the link" in doubt.detail for doubt in result.doubts), result.doubts


BUILD = """\
all: one two
one two: %: %.in
\tcp $< $@.tmp && mv $@.tmp $@
"""


def test_programs_that_look_at_their_own_work_are_published(person: Person) -> None:
    person.write("one.in", "1")
    person.write("two.in", "2")
    person.write("Makefile", BUILD)
    for line in (
        "make -j2",
        "test -e x; echo 1 > x; test -s x; echo 2 >> x; cat x; ln x y; echo 3 >> y; cat x; rm x y",
        "mkdir -p d/e; test -e f; echo 1 > d/e/a; mv d f; cat f/e/a; test -e d; rm -r f",
        "mkdir -p d; tar cf o.tar one.in two.in; tar xf o.tar -C d; ls -l d; rm -r d o.tar",
    ):
        result = person.run(line)
        assert result.published, (line, result.message)


# ---- standard input that is a file ----


def rest_after(person: Person, source: Path, line: str, *, at: int = 0) -> tuple[bool, bytes]:
    """Whether the run was reused, and what it leaves of its input to whoever reads next."""
    with source.open("rb", buffering=0) as file:
        file.seek(at)
        result = person.run(line, stdin=file.fileno())
        return result.reused, file.read()


@pytest.mark.parametrize("line", ["head -n 1", "head -c 3", "cat", "true", "read a; read b"])
def test_a_reuse_leaves_as_much_of_a_file_as_the_run(person: Person, line: str) -> None:
    source = person.write("source", "one\ntwo\nthree\n")
    for place in (0, 4):
        (first, left), (second, again) = (
            rest_after(person, source, line, at=place) for _ in range(2)
        )
        assert (first, second) == (False, True)
        assert left == again
        plain = subprocess.run(
            ["sh", "-c", f"({line}) > /dev/null; cat"],
            stdin=opened(source, place), capture_output=True, check=True,
        )  # fmt: skip
        assert plain.stdout == left


def opened(source: Path, place: int) -> int:
    descriptor = os.open(source, os.O_RDONLY)
    os.lseek(descriptor, place, os.SEEK_SET)
    return descriptor


def test_an_input_that_is_wound_back_makes_the_run_unpublishable(person: Person) -> None:
    source = person.write("source", "one\ntwo\n")
    person.write("back.py", "import os\nos.lseek(0, 0, 0)\nprint(os.read(0, 2))\n")
    with source.open("rb", buffering=0) as file:
        file.seek(4)
        result = person.command(PYTHON, "back.py", stdin=file.fileno())
    assert [doubt.kind for doubt in result.doubts] == ["rewound"]


def test_an_input_file_that_changes_meanwhile_makes_the_run_unpublishable(person: Person) -> None:
    source = person.write("source", "one\n")

    def act() -> None:
        await_(person.project / "first")
        source.write_text("two\n")
        person.write("done", "")

    line = ": > first; until test -e done; do sleep 0.01; done; cat"
    with meddling(act), source.open("rb", buffering=0) as file:
        result = person.run(line, stdin=file.fileno())
    assert "changed" in {doubt.kind for doubt in result.doubts}
    assert any("standard input" in doubt.detail for doubt in result.doubts), result.doubts
