"""`run` and `why` as a person types them: real processes, real exit codes, nothing mixed."""

import json
import os
import sys
from collections.abc import Callable

import pytest

from tests.runs.conftest import RUN, Done, Person, sentence

pytestmark = pytest.mark.slow


def test_what_the_program_prints_is_untouched(person: Person, typed: Callable[..., Done]) -> None:
    data = bytes(range(256)) * 300 + b"no line end"
    (person.project / "data").write_bytes(data)
    words = ("run", "--", "cat", "data")
    for begin in ("recorded: ", "reused: "):
        done = typed(*words)
        assert (done.returncode, done.stdout) == (0, data)
        assert sentence(done).startswith(begin)
    assert typed("--json", *words).stdout == data, "standard output is the program's"


def test_messages_stand_after_what_the_program_said_on_standard_error(
    typed: Callable[..., Done],
) -> None:
    for _ in range(2):
        done = typed("run", "--", "sh", "-c", "echo data; echo trouble >&2")
        assert done.stdout == b"data\n"
        first, second = done.stderr.decode().splitlines()
        assert first == "trouble"
        assert second.startswith("redoxa: ")
    assert (
        typed("-q", "run", "--", "sh", "-c", "echo data; echo trouble >&2").stderr == b"trouble\n"
    )


@pytest.mark.parametrize(
    ("line", "code"),
    [("exit 3", 3), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -9 $$", 137)],
)
def test_the_exit_code_is_the_programs(typed: Callable[..., Done], line: str, code: int) -> None:
    done = typed("run", "--", "sh", "-c", line)
    assert (done.returncode, done.stdout) == (code, b"")
    sentence(done)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("run",), 2, "no command to run; write it after --, as in: redoxa run -- make"),
        (("run", "--"), 2, "no command to run; write it after --, as in: redoxa run -- make"),
        (("run", "--", "nonesuch"), 127, "there is no program 'nonesuch' on PATH; check its"),
        (("run", "--", "./text"), 126, "text is not executable; chmod +x it, or name its"),
        (("run", "--", "./folder"), 126, "folder is a directory; name a program inside it"),
        (("run", "--script", "none.py"), 127, "there is no file none.py; check its spelling"),
        ((RUN, "none.py"), 127, "there is no file none.py; check its spelling"),
        ((RUN, "folder"), 3, "no script lies in folder; name a folder that holds some"),
        ((RUN, "text"), 126, "nothing says how to run text: make it executable"),
        ((RUN,), 2, "no script is named, and there is no folder demos here"),
        (("why",), 2, "nothing to explain; name a script, or a command after --"),
        (("why", "--"), 2, "no command after --; name one, as in: redoxa why -- make"),
        (("why", "none.py"), 3, "there is no file none.py; check its spelling"),
        (("why", "folder"), 3, "folder is a directory; name the script inside it"),
    ],
)
def test_what_never_ran_is_one_sentence_and_its_code(
    person: Person, typed: Callable[..., Done], words: tuple[str, ...], code: int, said: str
) -> None:
    person.write("text", "just text\n")
    (person.project / "folder").mkdir()
    done = typed(*words)
    assert (done.returncode, done.stdout) == (code, b"")
    assert said in sentence(done)


def test_words_after_the_script_are_the_scripts(person: Person, typed: Callable[..., Done]) -> None:
    person.write("show.py", "import sys\nprint(sys.argv[1:])\n")
    words = ("show.py", "--json", "-q", "--home", "x", "--", "--no-reuse", "")
    done = typed(RUN, *words)
    assert done.stdout.decode() == f"{list(words[1:])}\n"
    assert sentence(done).startswith("recorded: ")
    assert sentence(typed("run", "--script", "--", *words)).startswith("reused: ")
    assert typed("why", *words).returncode == 0
    assert typed("why", *words[:-1]).returncode == 1


def test_no_reuse_runs_and_failures_are_reused_when_asked(typed: Callable[..., Done]) -> None:
    good, bad = ("sh", "-c", "echo good"), ("sh", "-c", "exit 4")
    typed("run", "--", *good)
    again = typed("run", "--no-reuse", "--", *good)
    assert again.stdout == b"good\n"
    assert sentence(again).startswith("ran again: run again as asked, with the same results")
    typed("run", "--", *bad)
    done = typed("run", "--cache-failures", "--", *bad)
    assert done.returncode == 4
    assert sentence(done).startswith("reused: ")
    assert typed("why", "--", *bad).returncode == 1
    assert typed("why", "--cache-failures", "--", *bad).returncode == 0


def test_why_names_the_input_that_prevents_reuse(
    person: Person, typed: Callable[..., Done]
) -> None:
    command = ("--", "sh", "-c", "cat in.txt > out.txt; test -e extra")
    person.write("in.txt", "one")
    person.write("extra", "")
    never = typed("why", *command)
    assert (never.returncode, never.stderr) == (1, b"")
    assert never.stdout == b"would run: no run of it has been kept for reuse yet\n"
    typed("run", *command)
    would = typed("why", *command)
    assert would.returncode == 0
    assert would.stdout.startswith(b"would be reused: nothing it depends on changed\n")
    assert would.stdout.endswith(b"leaves 1 output\n")
    person.write("in.txt", "two")
    would = typed("why", *command)
    assert would.returncode == 1
    assert would.stdout.startswith(b"would run: in.txt changed\n  in.txt: content ")
    (person.project / "extra").unlink()
    assert b"  extra: " in typed("why", *command).stdout
    done = typed("run", "-v", *command)
    assert b"redoxa: ran again" in [line[:17] for line in done.stderr.splitlines()]
    assert b"  in.txt: content " in done.stderr


def test_why_as_json_says_the_same(person: Person, typed: Callable[..., Done]) -> None:
    command = ("--", "sh", "-c", "cat in.txt > out.txt")
    person.write("in.txt", "one")
    typed("run", *command)
    person.write("in.txt", "two")
    done = typed("why", "--json", "--all", *command)
    found = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, b"")
    assert (found["reusable"], found["known_runs"]) == (False, 1)
    assert [change["path"] for change in found["changed"]] == ["in.txt"]
    assert {"path": "in.txt", "use": "content"} in found["inputs"]
    assert found["outputs"] == [{"path": "out.txt", "what": "file"}]
    assert found["last_run"]["verdict"] == "ran"
    assert found["command"] == list(command[1:])


def test_why_says_what_kept_a_run_from_being_kept(typed: Callable[..., Done]) -> None:
    command = ("--", "bash", "-c", "echo > /dev/udp/127.0.0.1/9")
    done = typed("run", *command)
    assert sentence(done).startswith("not reusable: ")
    would = typed("why", *command)
    assert would.returncode == 1
    found = json.loads(typed("why", "--json", *command).stdout)
    (kept_from,) = found["prevented_by"]
    assert "127.0.0.1" in kept_from["detail"]
    assert found["reason"] == f"the last run was not kept for reuse: {kept_from['detail']}"
    assert would.stdout.decode() == f"would run: {found['reason']}\n"


def test_why_changes_nothing(person: Person, typed: Callable[..., Done]) -> None:
    command = ("--", "sh", "-c", "echo 1 > out.txt")
    typed("run", *command)
    (person.project / "out.txt").unlink()
    kept = (person.home_path / "ledger" / "checkpoint").read_bytes()
    assert typed("why", *command).returncode == 0
    assert person.tree() == {}
    assert (person.home_path / "ledger" / "checkpoint").read_bytes() == kept


def test_names_that_are_not_text_are_handled(person: Person, typed: Callable[..., Done]) -> None:
    name = os.fsdecode(b"odd \xff\nname")
    (person.project / name).write_text("odd")
    for begin in ("recorded: ", "reused: "):
        done = typed("run", "--", "cat", name)
        assert done.stdout == b"odd"
        assert sentence(done).startswith(begin)
    (person.project / name).write_text("even")
    would = typed("why", "--json", "--", "cat", name)
    assert json.loads(would.stdout)["changed"][0]["path"] == "odd \\xff\nname"


def test_input_piped_in_reaches_the_program(typed: Callable[..., Done]) -> None:
    for begin in ("recorded: ", "reused: "):
        done = typed("run", "--", "tr", "a-z", "A-Z", stdin=b"loud")
        assert done.stdout == b"LOUD"
        assert sentence(done).startswith(begin)
    assert typed("run", "--", "tr", "a-z", "A-Z", stdin=b"other").stdout == b"OTHER"


# A run inside a run.


def test_a_run_inside_a_recorded_run_is_left_to_the_outer_one(
    person: Person, typed: Callable[..., Done]
) -> None:
    person.write("in.txt", "one")
    person.write("inner.py", "print(open('in.txt').read())\nopen('out.txt', 'w').write('out')\n")
    person.write("outer.sh", f"{sys.executable} {RUN} inner.py; echo code $?\n")
    first = typed(RUN, "outer.sh")
    assert first.stdout == b"one\ncode 0\n"
    inner, outer = first.stderr.decode().splitlines()
    assert inner == "redoxa: part of a recorded run: left to the outer one"
    assert outer.startswith("redoxa: recorded: ")
    (person.project / "out.txt").unlink()
    second = typed(RUN, "outer.sh")
    assert second.stdout == first.stdout
    assert second.stderr.decode().splitlines()[1].startswith("redoxa: reused: 1 ")
    assert person.read("out.txt") == "out"
    person.write("in.txt", "two")
    assert typed("why", "outer.sh").stdout.startswith(b"would run: in.txt changed\n")
    assert typed("why", "inner.py").stdout.startswith(
        b"would run: no run of it has been kept for reuse yet\n"
    )


@pytest.mark.parametrize(("line", "code"), [("exit 7", 7), ("kill -TERM $$", 143)])
def test_the_exit_code_of_an_inner_run_is_its_programs(
    typed: Callable[..., Done], line: str, code: int
) -> None:
    inner = f"{sys.executable} -m redoxa run -- sh -c '{line}'"
    done = typed("run", "--", "sh", "-c", f"{inner}; echo $?")
    assert done.stdout == f"{code}\n".encode()


def test_a_run_that_asks_for_our_own_state_is_not_kept(typed: Callable[..., Done]) -> None:
    done = typed("run", "--", sys.executable, "-m", "redoxa", "store", "stat")
    assert done.returncode == 0
    assert "not reusable: touched Redoxa's own state" in done.stderr.decode()
