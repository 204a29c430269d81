"""--timeout, --retries and --cache-failures as a person types them."""

import json
import sys
import time
from collections.abc import Callable
from typing import cast

import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.result import RunResult
from ring2_orchestrator.runs.retry import with_retries
from tests.runs.conftest import RUN, Done, Person, sentence

pytestmark = pytest.mark.slow
# Long enough for a shell to begin on a busy machine.
SOON = ("--timeout", "1", "--kill-after", "0.3")
# Each of them would leave a word in the folder if it lived on for some seconds.
STUBBORN = """
(setsid sh -c 'kill -STOP $$; echo stopped > late' &)
trap '' TERM
(trap '' TERM; sleep 4; echo child > late) &
setsid sh -c "trap '' TERM; sleep 4; echo daemon > late" &
while :; do sleep 0.05; done
"""


def entries(person: Person) -> list[dict[str, object]]:
    """What the ledger holds of runs, oldest first."""
    with Home(person.home_path) as home:
        batches = list(home.ledger.batches("run"))
    return [cast("dict[str, object]", batch.entries[0]) for batch in batches]


@pytest.mark.parametrize("plain", [False, True])
def test_when_its_time_is_over_nothing_of_it_lives_on(
    person: Person, typed: Callable[..., Done], plain: bool
) -> None:
    person.write("hang.sh", f"echo begun\n{STUBBORN}")
    options = ("--no-ce1",) if plain else ()
    begun = time.monotonic()
    done = typed(RUN, *options, *SOON, "hang.sh")
    assert (done.returncode, done.stdout) == (124, b"begun\n")
    assert "it ran longer than 1 s and was ended" in done.stderr.decode().splitlines()[-1]
    time.sleep(max(0.0, begun + 5 - time.monotonic()))
    assert set(person.tree()) == {"hang.sh"}, "something lived on"


def test_what_never_ran_is_not_in_the_ledger(person: Person, typed: Callable[..., Done]) -> None:
    person.write("text", "no program")
    assert typed("run", "--", "nonesuch").returncode == 127
    assert typed("run", "--", "./text").returncode == 126
    assert typed(RUN, "none.py").returncode == 127
    assert entries(person) == []


def test_a_run_out_of_time_is_in_the_ledger_and_never_reused(
    person: Person, typed: Callable[..., Done]
) -> None:
    # It takes the chance to clean up, and ends with 0: that is no success.
    person.write("tidy.sh", "trap 'echo tidied; exit 0' TERM\necho > half\nsleep 60 & wait\n")
    for option in ("-q", "--cache-failures"):
        done = typed(RUN, option, "--timeout", "1", "tidy.sh")
        assert (done.returncode, done.stdout) == (124, b"tidied\n")
    assert sentence(done) == "timed out: it ran longer than 1 s and was ended (exit code 124)"
    first, _ = entries(person)
    assert (first["verdict"], first["exit_code"], first["published"]) == ("failed", 124, False)
    doubts = cast("list[list[str]]", first["doubts"])
    assert ["timeout", "it ran longer than 1 s and was ended"] in doubts
    assert typed(RUN, "--timeout", "60", "--json", "-n", "tidy.sh").returncode == 0


def test_a_limit_that_is_not_reached_changes_nothing(typed: Callable[..., Done]) -> None:
    for begin in ("recorded: ", "reused: "):
        assert sentence(typed("run", "--timeout", "60", "--", "echo", "1")).startswith(begin)


def test_a_success_after_failures_is_flaky_and_every_try_is_kept(
    person: Person, typed: Callable[..., Done]
) -> None:
    line = "echo >> tries; test $(wc -l < tries) -ge 3 || exit 5"
    command = ("--retries", "4", "--retry-delay", "0", "--", "sh", "-c", line)
    done = typed("run", "--json", *command)
    assert done.returncode == 0
    *tries, _, answer = done.stderr.decode().splitlines()
    assert tries == [
        "redoxa: try 1 of 5: exit code 5; again",
        "redoxa: try 2 of 5: exit code 5; again",
    ]
    found = json.loads(answer)
    assert (found["attempt"], found["flaky"]) == (3, True)
    assert found["message"].endswith("; flaky: it had failed 2 times")
    kept = [(entry["attempt"], entry["exit_code"], entry["flaky"]) for entry in entries(person)]
    assert kept == [(1, 5, False), (2, 5, False), (3, 0, True)]


def test_only_the_last_failure_is_told_as_one(typed: Callable[..., Done]) -> None:
    done = typed("run", "--retries", "1", "--retry-delay", "0", "--", "sh", "-c", "echo no; exit 4")
    assert (done.returncode, done.stdout) == (4, b"no\nno\n")
    first, last = done.stderr.decode().splitlines()
    assert first == "redoxa: try 1 of 2: exit code 4; again"
    assert last.endswith("exit code 4)")
    plain = typed("run", "--no-ce1", "--retries", "1", "--retry-delay", "0", "--", "false")
    assert plain.returncode == 1
    assert plain.stderr.decode().startswith("redoxa: try 1 of 2: exit code 1; again\n")


def test_every_try_is_given_the_same_input(person: Person, typed: Callable[..., Done]) -> None:
    options = ("run", "--retries", "1", "--retry-delay", "0", "--")
    data = b"line\n" * 50_000
    line = "head -c 7; exit 3"
    assert typed(*options, "sh", "-c", line, stdin=data).stdout == data[:7] * 2
    assert typed(*options, "sh", "-c", "cat; exit 3", stdin=data).stdout == data * 2
    person.write("in.txt", "from a file")
    script = f"{sys.executable} -m redoxa {' '.join(options)} sh -c '{line}' < in.txt"
    env = {"PYTHONPATH": RUN.rsplit("/", 2)[0], "REDOXA_HOME": str(person.home_path)}
    env_words = [f"{name}={value}" for name, value in env.items()]
    outer = person.command("env", *env_words, "sh", "-c", f"{script} > out; :")
    assert outer.exit_code == 0


def test_a_failure_that_is_reused_is_not_tried_again(typed: Callable[..., Done]) -> None:
    words = ("run", "--cache-failures", "--", "sh", "-c", "echo out; echo err >&2; exit 6")
    first = typed(*words)
    again = typed(*words[:2], "--retries", "3", *words[2:])
    assert (again.returncode, again.stdout) == (first.returncode, first.stdout) == (6, b"out\n")
    said = again.stderr.decode().splitlines()
    assert (said[0], len(said)) == ("err", 2)
    assert said[1].startswith("redoxa: reused: ")


def test_pauses_grow_and_an_interruption_ends_it() -> None:
    failed = RunResult(exit_code=1, verdict="failed", reason="", subject="")
    pauses: list[float] = []
    said: list[str] = []
    last = with_retries(
        lambda number: failed._replace(attempt=number),
        retries=8, delay_s=1.0, pause=pauses.append, tell=said.append,
    )  # fmt: skip
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert (last.attempt, len(said)) == (9, 8)
    interrupted = failed._replace(interrupted=True)
    assert with_retries(
        lambda _: interrupted, retries=8, delay_s=1.0, pause=pauses.append, tell=said.append
    ) is interrupted  # fmt: skip
    assert len(pauses) == 8


@pytest.mark.parametrize(
    "words",
    [("--timeout", "0"), ("--timeout", "-1"), ("--timeout", "nan"), ("--timeout", "inf"),
     ("--timeout", "soon"), ("--retries", "-1"), ("--retries", "1.5"), ("--retry-delay", "x")],
)  # fmt: skip
def test_what_is_no_number_is_refused(typed: Callable[..., Done], words: tuple[str, ...]) -> None:
    done = typed("run", *words, "--", "true")
    assert done.returncode == 2
    sentence(done)
