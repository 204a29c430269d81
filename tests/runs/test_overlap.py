"""Commands that run at the same time: those that meet at a path are not published, all others are.

Lines wait for a line of standard input, so that each test has them do what they do in one order.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cid_store.cid import Cid
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.presence import Candidate, Presence, waiting
from ring2_orchestrator.runs.result import RunResult
from ring2_orchestrator.runs.touched import Touched, harm
from ring2_orchestrator.runs.why import explain
from tests.runs.conftest import Person

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 20.0
NOT_ENDED = "another command that ran at the same time has not ended"


class Going:
    """A line that goes on, until it has been told often enough to go further."""

    def __init__(self, future: "Future[RunResult]", prompt: int) -> None:
        self._future = future
        self._prompt = prompt

    def go(self) -> None:
        """Let it read one more line."""
        os.write(self._prompt, b"\n")

    def end(self) -> RunResult:
        """Let it go to its end."""
        self.go()
        return self._future.result(PATIENCE_S)


class Crowd:
    """One person's lines, several at a time."""

    def __init__(self, person: Person, stack: ExitStack) -> None:
        self.person = person
        self._stack = stack
        self._pool = stack.enter_context(ThreadPoolExecutor(16))

    def start(self, line: str, *, until: str) -> Going:
        """Run a line, and come back when it has made the path `until`."""
        source, prompt = os.pipe()
        self._stack.callback(os.close, source)
        # Closed first: whoever waits for the prompt when a test fails reads the end instead.
        self._stack.callback(os.close, prompt)
        future = self._pool.submit(self.person.run, line, stdin=source)
        wait_for(lambda: future.done() or (self.person.project / until).exists())
        assert not future.done(), future.result().message
        return Going(future, prompt)

    def again(self, line: str) -> RunResult:
        """Run a line that has all the standard input it asks for."""
        source, prompt = os.pipe()
        os.write(prompt, b"\n\n\n")
        os.close(prompt)
        with os.fdopen(source):
            return self.person.run(line, stdin=source)

    def left_over(self) -> set[str]:
        """What `running` holds beside the gate."""
        return {path.name for path in (self.person.home_path / "running").iterdir()} - {"gate"}


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def crowd(person: Person) -> Iterator[Crowd]:
    with ExitStack() as stack:
        yield Crowd(person, stack)


def short(name: str, path: str = "out") -> str:
    """A line that writes `path` and then waits once."""
    return f": > begun-{name}; echo {name} > {path}; read w"


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_two_that_write_one_path_are_both_not_published(
    crowd: Crowd, *, first_ends_first: bool
) -> None:
    lines = [short("A"), short("B")]
    going = [crowd.start(short(name), until=f"begun-{name}") for name in "AB"]
    order = going if first_ends_first else going[::-1]
    early, late = [each.end() for each in order]
    assert early.waits
    assert not early.published
    assert late.message.endswith(
        f"another command changed {crowd.person.project}/out at the same time"
    )
    assert not crowd.left_over()
    for line, name in zip(lines, "AB", strict=True):
        result = crowd.again(line)
        assert not result.reused
        assert result.published
        assert crowd.person.read("out") == f"{name}\n"


def test_what_was_given_up_later_is_told(crowd: Crowd) -> None:
    going = [crowd.start(short(name), until=f"begun-{name}") for name in "AB"]
    for each in going:
        each.end()
    with Home(crowd.person.home_path) as home:
        words = ["sh", "-c", short("A")]
        found = explain(words, home=home, cwd=crowd.person.project, env=crowd.person.env)
    assert found.prevented_by == (
        ("overlap", f"another command changed {crowd.person.project}/out at the same time"),
    )


def test_a_run_is_not_reused_before_all_that_it_met_have_ended(crowd: Crowd) -> None:
    line = "echo A > a"
    other = crowd.start(short("B", "b"), until="begun-B")
    result = crowd.person.run(line)
    assert result.message.endswith("; reusable when the commands running beside it have ended")
    decision = crowd.person.decide(line)
    assert not decision.reuse
    assert decision.reason == NOT_ENDED
    assert not crowd.person.run(line).reused
    other.end()
    assert crowd.person.decide(line).reuse
    assert crowd.person.decide(short("B", "b")).reuse
    assert not crowd.left_over()


def test_what_was_published_before_is_reused_meanwhile(crowd: Crowd) -> None:
    crowd.person.run("echo A > a")
    other = crowd.start(short("B", "b"), until="begun-B")
    assert crowd.person.run("echo A > a").reused
    other.end()


def test_a_change_that_prevents_reuse_is_told_before_others_are(crowd: Crowd) -> None:
    crowd.person.write("in", "1")
    other = crowd.start(short("B", "b"), until="begun-B")
    crowd.person.run("cat in > a")
    crowd.person.write("in", "2")
    assert crowd.person.decide("cat in > a").reason == "in changed"
    other.end()


def test_each_link_of_a_chain_is_judged_by_those_it_met(crowd: Crowd) -> None:
    """A meets B, and B meets C: that A and C write one path harms nobody."""
    a = crowd.start(short("A"), until="begun-A")
    b = crowd.start(short("B", "b"), until="begun-B")
    assert a.end().waits
    c = crowd.start(short("C"), until="begun-C")
    assert b.end().waits
    assert not crowd.person.decide(short("B", "b")).reuse
    assert crowd.person.decide(short("A")).reuse, "all that it met have ended"
    assert c.end().published
    assert all(crowd.person.decide(short(*each)).reuse for each in (("A",), ("B", "b"), ("C",)))
    assert not crowd.left_over()


def test_a_chain_in_which_the_middle_meets_both_ends(crowd: Crowd) -> None:
    a = crowd.start(short("A"), until="begun-A")
    b = crowd.start(short("B"), until="begun-B")
    a.end()
    c = crowd.start(short("C", "c"), until="begun-C")
    assert not b.end().waits
    assert c.end().published
    reusable = [crowd.person.decide(short(*each)).reuse for each in (("A",), ("B",), ("C", "c"))]
    assert reusable == [False, False, True]
    assert not crowd.left_over()


def test_whoever_reads_what_another_writes_is_not_published(crowd: Crowd) -> None:
    crowd.person.write("in", "1\n")
    writer = crowd.start(": > begun-W; echo 2 > in; read w", until="begun-W")
    wait_for(lambda: crowd.person.read("in") == "2\n")
    reader = crowd.start(": > begun-R; cat in > copy; read w", until="begun-R")
    writer.end()
    assert "/in at the same time" in reader.end().message
    assert crowd.person.decide(": > begun-W; echo 2 > in; read w").reuse, "nobody harmed it"


def test_what_lies_in_a_folder_that_another_removes_is_not_published(crowd: Crowd) -> None:
    line = "mkdir d; : > begun; read w; mv d e"
    mover = crowd.start(line, until="begun")
    inner = crowd.start(": > begun-I; echo 1 > d/x; read w", until="d/x")
    mover.end()
    assert "at the same time" in inner.end().message


def test_folders_and_bytecode_that_all_make_alike_harm_nobody(crowd: Crowd) -> None:
    python = sys.executable
    crowd.person.write("shared.py", "answer = 42\n")
    # Who comes first would make it, and the others see it appear in a folder they have listed.
    (crowd.person.project / "__pycache__").mkdir()
    going: list[Going] = []
    for name in "ABC":
        code = f"import shared; input(); print(shared.answer, file=open('made/{name}', 'w'))"
        line = f'mkdir -p made; : > made/begun-{name}; {python} -I -c "import sys; '
        line += f"sys.path.insert(0, '.'); {code}\""
        going.append(crowd.start(line, until=f"made/begun-{name}"))
    results = [each.end() for each in going]
    assert [result.doubts for result in results] == [(), (), ()]
    assert not crowd.left_over()


def test_a_restore_is_seen_by_those_who_record(crowd: Crowd) -> None:
    crowd.person.run("echo A > out")
    (crowd.person.project / "out").unlink()
    other = crowd.start(short("B"), until="begun-B")
    restored = crowd.person.run("echo A > out")
    assert restored.reused
    assert restored.restored or crowd.person.read("out") == "A\n"
    assert "/out at the same time" in other.end().message
    assert not crowd.left_over()


def test_eight_at_once_that_do_not_meet_are_all_published(crowd: Crowd) -> None:
    lines = [f"mkdir -p out; {short(str(n), f'out/{n}')}" for n in range(8)]
    going = [crowd.start(line, until=f"begun-{n}") for n, line in enumerate(lines)]
    results = [each.end() for each in going]
    assert [result.doubts for result in results] == [()] * 8
    assert [result.waits for result in results] == [True] * 7 + [False]
    assert not crowd.left_over()
    for n in range(8):
        (crowd.person.project / "out" / str(n)).unlink()
    assert all(crowd.again(line).reused for line in lines)
    assert [crowd.person.read(f"out/{n}") for n in range(8)] == [f"{n}\n" for n in range(8)]


class Orphan:
    """A program whose recorder was killed, which goes on until it is let go."""

    def __init__(self, person: Person) -> None:
        self._presence = person.home_path / "running" / "1"
        self._gate = person.project / "gate"
        os.mkfifo(self._gate)
        words = ["run", "--", "sh", "-c", "read w < gate; echo K > out"]
        recorder = subprocess.Popen(
            [sys.executable, "-m", "redoxa", "--home", person.home_path, *words],
            cwd=person.project,
            env={**person.env, "PYTHONPATH": str(ROOT)},
        )
        self._prompt = os.open(self._gate, os.O_WRONLY)  # opens when the program does
        recorder.send_signal(signal.SIGKILL)
        recorder.wait()

    def end(self) -> None:
        """Let it end, and wait until its recorder's helper has ended, too."""
        with self._presence.open("rb") as presence:
            os.close(self._prompt)
            fcntl.flock(presence, fcntl.LOCK_SH)


def test_what_a_killed_run_met_is_not_published(crowd: Crowd) -> None:
    """Its program goes on without being recorded, so nobody knows what it writes."""
    person = crowd.person
    orphan = Orphan(person)
    assert person.run("echo A > a").waits
    late = crowd.start(short("B", "b"), until="begun-B")
    orphan.end()
    assert person.read("out") == "K\n", "the program did not suffer"
    result = late.end()
    assert result.doubts[-1].kind == "overlap"
    assert not result.waits
    assert not person.decide("echo A > a").reuse
    assert person.run("echo C > c").published
    assert not crowd.left_over()


def test_what_waited_for_a_killed_run_is_given_up_by_the_next(crowd: Crowd) -> None:
    person = crowd.person
    orphan = Orphan(person)
    assert person.run("echo A > a").waits
    assert person.decide("echo A > a").reason == NOT_ENDED
    orphan.end()
    assert not person.decide("echo A > a").reuse
    assert person.run("echo C > c").published
    assert person.decide("echo A > a").reason == "no run of it has been kept for reuse yet"
    assert not crowd.left_over()


def test_what_a_run_left_behind_keeps_others_only_from_its_own_paths(crowd: Crowd) -> None:
    """A service that a command started may live for days, and harms whom it meets at a path."""
    person = crowd.person
    os.mkfifo(person.project / "gate")
    result = person.run("sh -c 'echo 1 > log; read w < gate; echo 2 > log' > /dev/null 2>&1 &")
    assert "detached" in {doubt.kind for doubt in result.doubts}
    prompt = os.open(person.project / "gate", os.O_WRONLY)
    assert person.run("echo A > a").published
    assert "/log at the same time" in person.run("cat log").message
    late = crowd.start(short("B", "log"), until="begun-B")
    with (person.home_path / "running" / "1").open("rb") as presence:
        os.close(prompt)
        fcntl.flock(presence, fcntl.LOCK_SH)
    assert "/log at the same time" in late.end().message
    assert not crowd.left_over()


def test_a_run_that_was_not_wholly_seen_harms_whom_it_meets(tmp_path: Path) -> None:
    candidate = Candidate("a" * 40, Cid.of(b"entry"))
    with Presence(tmp_path) as seen, Presence(tmp_path) as unseen:
        assert seen.part(Touched(), candidate).waits
        parting = unseen.part(None)
    assert [withdrawn.candidate for withdrawn in parting.withdrawn] == [candidate]
    assert parting.settled == ()


def test_a_trace_whose_publication_failed_is_settled_again_by_the_next(tmp_path: Path) -> None:
    candidate = Candidate("a" * 40, Cid.of(b"entry"))
    with Presence(tmp_path) as first, Presence(tmp_path) as second:
        assert first.part(Touched(), candidate).waits
        assert second.part(Touched()).settled == (candidate,)
    with Presence(tmp_path) as third:
        parting = third.part(Touched())
        assert parting.settled == (candidate,)
        third.forget(parting.settled)
    assert not waiting(tmp_path, candidate.subject)


def test_whoever_met_somebody_does_not_end_alone(tmp_path: Path) -> None:
    with Presence(tmp_path) as first, Presence(tmp_path) as second:
        assert not first.part_alone()
        assert first.part(Touched(), Candidate("a" * 40, Cid.of(b"entry"))).waits
        assert not second.part_alone(), "the first one's trace waits for its word"
        second.forget(second.part(Touched()).settled)
    with Presence(tmp_path) as third:
        assert third.part_alone()
    assert [path.name for path in (tmp_path / "running").iterdir()] == ["gate"]


def test_a_killed_process_leaves_a_file_that_the_next_one_removes(tmp_path: Path) -> None:
    code = "import os; from pathlib import Path; from ring2_orchestrator.runs.presence import *\n"
    code += f"Presence(Path({str(tmp_path)!r})); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert (tmp_path / "running" / "1").exists()
    with Presence(tmp_path) as after:
        parting = after.part(Touched(), Candidate("a" * 40, Cid.of(b"entry")))
    assert parting == (None, False, (), ())
    assert [path.name for path in (tmp_path / "running").iterdir()] == ["gate"]


PATHS = frozenset({b"/p/a", b"/p/b c", b"/p/\xff\n"})


@given(st.builds(Touched, *(st.frozensets(st.sampled_from(sorted(PATHS))) for _ in range(4))))
def test_notes_keep_every_path(touched: Touched) -> None:
    assert Touched.decoded(touched.encoded()) == touched


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        (Touched(wrote=PATHS), Touched(read=PATHS, missed=PATHS), None),
        (Touched(read=PATHS), Touched(read=PATHS), None),
        (Touched(read=PATHS), Touched(wrote=frozenset({b"/p/b c"})), b"/p/b c"),
        (Touched(wrote=PATHS), Touched(wrote=frozenset({b"/p/b c"})), b"/p/b c"),
        (Touched(wrote=PATHS), Touched(wrote=frozenset({b"/p"})), b"/p/a"),
        (Touched(wrote=frozenset({b"/p"})), Touched(wrote=PATHS), None),
        (Touched(wrote=PATHS), Touched(made=frozenset({b"/p"})), None),
        (Touched(wrote=frozenset({b"/p"})), Touched(made=frozenset({b"/p"})), b"/p"),
        (Touched(made=frozenset({b"/p"})), Touched(made=frozenset({b"/p"})), None),
        (Touched(missed=frozenset({b"/p"})), Touched(made=frozenset({b"/p"})), b"/p"),
        (Touched(read=frozenset({b"/p"})), Touched(made=frozenset({b"/p"})), None),
        (Touched(wrote=frozenset({b"/pq"})), Touched(wrote=frozenset({b"/p"})), None),
    ],
)
def test_what_counts_as_harm(mine: Touched, theirs: Touched, expected: bytes | None) -> None:
    assert harm(mine, theirs) == expected
