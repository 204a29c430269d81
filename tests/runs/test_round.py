"""Several scripts as a person types them: in order, at a time, failing, interrupted."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.worker import Worker
from tests.runs.conftest import RUN, Done, Person, environment

pytestmark = pytest.mark.slow


def told(done: Done) -> dict[str, dict[str, object]]:
    """The answer's scripts by their names."""
    answer = json.loads(done.stderr.decode().splitlines()[-1])
    assert answer["schema"] == "redoxa.round/1"
    assert answer["exit_code"] == done.returncode
    return {script["name"]: script for script in answer["scripts"]}


def outcomes(done: Done) -> dict[str, object]:
    return {name: script["outcome"] for name, script in told(done).items()}


def a_chain(person: Person, folder: str = "work") -> None:
    """Each reads what one that is named later writes."""
    person.write(f"{folder}/a.sh", f"cat {folder}/b.out > {folder}/a.out; cat {folder}/a.out\n")
    person.write(f"{folder}/b.sh", f"cat {folder}/c.out > {folder}/b.out\n")
    person.write(f"{folder}/c.sh", f"cat in.txt > {folder}/c.out\n")


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_an_order_that_nobody_knew_is_found_and_then_kept(
    person: Person, typed: Callable[..., Done], jobs: str
) -> None:
    a_chain(person)
    person.write("in.txt", "one\n")
    first = typed(RUN, "--json", "-j", jobs, "work")
    assert first.returncode == 0
    assert person.read("work/a.out") == "one\n"
    assert set(outcomes(first).values()) <= {"ran", "drifted"}
    person.write("in.txt", "two\n")
    second = typed(RUN, "--json", "-j", jobs, "work")
    assert person.read("work/a.out") == "two\n"
    assert [script["runs"] for script in told(second).values()] == [1, 1, 1]
    assert told(second)["work/a.sh"]["after"] == ["work/b.sh"]
    assert second.stdout == b"two\n"
    third = typed(RUN, "--json", "-j", jobs, "work")
    assert set(outcomes(third).values()) == {"reused"}
    (person.project / "work" / "a.out").unlink()
    assert typed(RUN, "-j", jobs, "work").stdout == b"two\n"
    assert person.read("work/a.out") == "two\n"


def test_a_script_that_is_never_reused_waits_from_the_second_round_on(
    person: Person, typed: Callable[..., Done]
) -> None:
    person.write("work/a.sh", "head -c9 /dev/urandom > /dev/null; cat work/b.out work/a.out\n")
    person.write("work/b.sh", "cat in.txt > work/b.out\n")
    person.write("work/a.out", "")
    person.write("in.txt", "one\n")
    first = typed(RUN, "--json", "work")
    assert [script["runs"] for script in told(first).values()] == [2, 1]
    for text in ("two\n", "three\n"):
        person.write("in.txt", text)
        again = typed(RUN, "--json", "work")
        assert (again.stdout, again.returncode) == (text.encode(), 0)
        assert [script["runs"] for script in told(again).values()] == [1, 1]
    with Home(person.home_path) as home:
        assert len(list(home.store.roots("marks/"))) == 1
    person.write("work/a.sh", "cat work/a.out\n")
    assert told(typed(RUN, "--json", "work"))["work/a.sh"]["after"] == []
    with Home(person.home_path) as home:
        assert not list(home.store.roots("marks/")), "its trace says what it reads"


def test_without_words_the_demos_run_and_a_table_sums_up(
    person: Person, typed: Callable[..., Done]
) -> None:
    person.write("demos/b.py", "print('b')\n")
    person.write("demos/a.sh", "echo a\n")
    person.write("demos/_part.py", "raise SystemExit(9)\n")
    done = typed(RUN)
    assert (done.returncode, done.stdout) == (0, b"a\nb\n")
    lines = [line.removeprefix("redoxa: ") for line in done.stderr.decode().splitlines()]
    assert lines[0].startswith("[1/2] demos/a.sh: recorded: ")
    assert lines[1].startswith("[2/2] demos/b.py: recorded: ")
    assert lines[2].split() == ["script", "outcome", "took", "saved"]
    assert lines[-1] == "2 scripts: 2 run, 0 reused, 0 failed; 0 s saved"
    again = typed(RUN, "demos/b.py", "demos", "./demos/a.sh")
    assert again.stdout == b"b\na\n", "each once, in the order in which they are named"
    assert b"2 scripts: 0 run, 2 reused, 0 failed; " in again.stderr
    assert typed(RUN, "-n").stdout.count(b": would be reused: ") == 2
    assert typed("-q", "run", "--scripts").stderr == b""


def test_words_that_are_scripts_are_arguments_where_that_is_said(
    person: Person, typed: Callable[..., Done]
) -> None:
    person.write("one.py", "import sys\nprint(sys.argv)\n")
    person.write("two.py", "print('two')\n")
    assert typed(RUN, "one.py", "two.py").stdout == b"['one.py']\ntwo\n"
    assert typed(RUN, "--", "one.py", "two.py").stdout == b"['one.py', 'two.py']\n"
    assert typed(RUN, "one.py", "none.py").stdout == b"['one.py', 'none.py']\n"
    missing = typed("run", "--scripts", "two.py", "none.py")
    assert (missing.returncode, missing.stdout) == (127, b"")
    (person.project / "empty").mkdir()
    assert typed(RUN, "empty").returncode == 3
    assert typed(RUN, "-j", "0", "one.py", "two.py").returncode == 2


def test_a_failure_stops_only_those_that_need_it(
    person: Person, typed: Callable[..., Done]
) -> None:
    a_chain(person)
    person.write("work/z.sh", "echo z\n")
    person.write("in.txt", "one\n")
    typed(RUN, "work")
    (person.project / "in.txt").unlink()
    done = typed(RUN, "--json", "work")
    assert done.returncode == 1
    assert outcomes(done) == {
        "work/a.sh": "skipped",
        "work/b.sh": "skipped",
        "work/c.sh": "failed",
        "work/z.sh": "reused",
    }
    said = typed(RUN, "work").stderr.decode()
    assert "work/b.sh was not run: it reads what work/c.sh writes (" in said
    fast = typed(RUN, "--json", "-x", "work/c.sh", "work/z.sh")
    assert outcomes(fast) == {"work/c.sh": "failed", "work/z.sh": "not started"}


def test_the_exit_code_is_that_of_the_first_that_failed(
    person: Person, typed: Callable[..., Done]
) -> None:
    for name, code in (("a", 0), ("b", 7), ("c", 5)):
        person.write(f"{name}.sh", f"exit {code}\n")
    assert typed(RUN, "-j", "3", "a.sh", "b.sh", "c.sh").returncode == 7
    assert typed(RUN, "--no-ce1", "a.sh", "c.sh", "b.sh").returncode == 5
    kept = typed(RUN, "--json", "--cache-failures", "b.sh", "c.sh")
    assert (kept.returncode, set(outcomes(kept).values())) == (7, {"reused"})


def test_a_cycle_is_told_and_ends(person: Person, typed: Callable[..., Done]) -> None:
    person.write("one.sh", "cat two.out; date +%N > one.out\n")
    person.write("two.sh", "cat one.out; date +%N > two.out\n")
    person.write("one.out", "")
    person.write("two.out", "")
    done = typed(RUN, "-j2", "one.sh", "two.sh")
    assert done.returncode == 0
    assert b"one.sh and two.sh read what each other write; they were run in the order" in (
        done.stderr
    )


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_of_two_that_write_the_same_file_the_later_has_the_last_word(
    person: Person, typed: Callable[..., Done], jobs: str
) -> None:
    person.write("one.sh", "sleep 0.4; echo one > out\n")
    person.write("two.sh", "echo two > out\n")
    for _ in range(3):
        done = typed(RUN, "-j", jobs, "one.sh", "two.sh")
        assert done.returncode == 0
        assert person.read("out") == "two\n"
        assert b"one.sh and two.sh both write " in done.stderr


def test_lines_of_several_are_never_mixed(person: Person, typed: Callable[..., Done]) -> None:
    line = "for i in 1 2 3 4 5 6; do printf %s {0}; sleep 0.02; printf '%s\\n' {0}; done\n"
    for name in ("a", "b", "c"):
        person.write(f"{name}.sh", line.format(name))
    done = typed(RUN, "-j3", "a.sh", "b.sh", "c.sh")
    assert sorted(done.stdout.split()) == [b"aa"] * 6 + [b"bb"] * 6 + [b"cc"] * 6
    assert len({done.stdout.index(name) for name in (b"aa", b"bb", b"cc")}) == 3
    blocks = [done.stdout[at : at + 18] for at in (0, 18, 36)]
    assert all(len(set(block.split())) == 1 for block in blocks), "each in one piece"


def started(person: Person, *words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, RUN, *words],
        cwd=person.project,
        env=environment(person),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip


def wait_for(path: Path) -> None:
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until, f"{path.name} never came"
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_all_and_starts_nothing(
    person: Person, number: signal.Signals
) -> None:
    for name in ("a", "b"):
        person.write(f"{name}.sh", f"echo > {name}.up\nexec sleep 60\n")
    person.write("c.sh", "echo > c.up\n")
    begun = time.monotonic()
    child = started(person, "-j2", "a.sh", "b.sh", "c.sh")
    wait_for(person.project / "a.up")
    wait_for(person.project / "b.up")
    if number == signal.SIGINT:
        os.killpg(child.pid, number)  # as the terminal does
    else:
        child.send_signal(number)
    _, err = child.communicate(timeout=40)
    assert child.returncode == 128 + number
    assert time.monotonic() - begun < 55, "it waited for the scripts"
    assert b"1 not started; " in err
    assert b"; interrupted" in err
    assert not (person.project / "c.up").exists()
    left = subprocess.run(["pgrep", "-s", str(child.pid)], capture_output=True, check=False)
    assert left.stdout == b"", "something goes on"


def test_a_script_that_hangs_costs_its_time_only(
    person: Person, typed: Callable[..., Done]
) -> None:
    person.write("a.sh", "trap '' TERM; while :; do sleep 0.05; done\n")
    person.write("b.sh", "echo b\n")
    words = ("--timeout", "0.5", "--kill-after", "0.2")
    done = typed(RUN, "-j2", *words, "a.sh", "b.sh")
    assert (done.returncode, done.stdout) == (124, b"b\n")


def test_a_daemon_that_one_leaves_behind_is_not_waited_for(
    person: Person, typed: Callable[..., Done]
) -> None:
    person.write("a.sh", "setsid sh -c 'while ! test -e stop; do sleep 0.1; done' & echo a\n")
    person.write("b.sh", "echo b\n")
    try:
        done = typed(RUN, "-j2", "a.sh", "b.sh")
    finally:
        person.write("stop", "")
    assert (done.returncode, sorted(done.stdout.split())) == (0, [b"a", b"b"])


def test_two_rounds_at_once_leave_what_one_would(person: Person) -> None:
    a_chain(person)
    person.write("in.txt", "one\n")
    rounds = [started(person, "-j2", "work") for _ in range(2)]
    for each in rounds:
        out, err = each.communicate(timeout=100)
        assert b"internal error" not in err
        del out
    last = started(person, "work")
    assert last.communicate(timeout=60)[0].endswith(b"one\n")
    assert last.returncode == 0
    assert person.read("work/a.out") == "one\n"


def test_a_reader_that_leaves_ends_the_round(person: Person) -> None:
    person.write("a.sh", "yes | head -c 3000000\n")
    person.write("b.sh", "sleep 60\n")
    child = started(person, "-j2", "a.sh", "b.sh")
    assert child.stdout is not None
    child.stdout.read(10)
    child.stdout.close()
    assert child.wait(40) == 141
    assert child.stderr is not None
    child.stderr.close()


# The process of one script.


def work(act: Callable[[], bytes]) -> tuple[Worker, list[tuple[int, bytes]]]:
    worker = Worker(act, apart=True)
    shown: list[tuple[int, bytes]] = []
    while worker.status is None:
        (ready, *_), _, _ = select.select(worker.descriptors, [], [])
        worker.read(ready)
        shown += worker.output()
    return worker, shown


def test_a_worker_that_crashes_answers_nothing() -> None:
    def crash() -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return b"never"

    worker, shown = work(crash)
    assert (worker.answer, worker.status, shown) == (b"", -signal.SIGKILL, [])


def test_what_a_worker_prints_is_held_and_cut_between_lines() -> None:
    def act() -> bytes:
        os.write(1, b"a line that is open")
        for _ in range(40):
            os.write(2, b"x" * 60_000 + b"\n")
        os.write(1, b" is closed\n")
        return b"done"

    worker, shown = work(act)
    assert worker.answer == b"done"
    assert b"".join(data for stream, data in shown if stream == 1) == (
        b"a line that is open is closed\n"
    )
    assert sum(len(data) for stream, data in shown if stream == 2) == 40 * 60_001
    assert b"open" not in shown[0][1], "it was shown before its line was whole"


def test_with_jobs_the_longest_starts_first_once_lengths_are_known(
    person: Person, typed: Callable[..., Done]
) -> None:
    person.write("work/a.sh", "cat in.txt > work/a.out\n")
    person.write("work/b.sh", "cat in.txt > work/b.out\n")
    person.write("work/c.sh", "cat in.txt > work/c.out; sleep 1.5\n")
    person.write("work/d.sh", "cat work/b.out\n")
    person.write("in.txt", "one\n")
    assert typed(RUN, "--json", "-j2", "work").returncode == 0
    person.write("in.txt", "two\n")
    steered = told(typed(RUN, "--json", "-j2", "work"))
    assert min(steered, key=lambda name: began(steered, name)) == "work/c.sh"
    assert began(steered, "work/d.sh") >= ended(steered, "work/b.sh")
    assert steered["work/c.sh"]["expected_s"] is not None
    person.write("in.txt", "three\n")
    named = told(typed(RUN, "--json", "-j2", "--as-named", "work"))
    assert min(named, key=lambda name: began(named, name)) == "work/a.sh"
    assert {script["outcome"] for script in named.values()} == {"ran"}


def began(scripts: dict[str, dict[str, object]], name: str) -> float:
    return float(str(scripts[name]["began_s"]))


def ended(scripts: dict[str, dict[str, object]], name: str) -> float:
    return float(str(scripts[name]["ended_s"]))
