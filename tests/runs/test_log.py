"""`redoxa log` as a person types it: which runs are listed, how they are told, what is refused."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger import Draft
from ring2_orchestrator.runs.result import append_withdrawal
from ring2_orchestrator.runs.which import find_run
from tests.manners.shell import ROOT, redoxa
from tests.runs.conftest import Person
from tests.runs.test_which import lose_batch

PAGE = ROOT / "docs" / "formats" / "runs-json.md"
Said = pytest.CaptureFixture[str]


@pytest.fixture
def home(person: Person, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REDOXA_HOME", str(person.home_path))
    return person.home_path


def listed(capsys: Said, *words: str, code: int = 0) -> list[str]:
    """The lines below the headings."""
    capsys.readouterr()
    assert redoxa("log", *words) == code
    return capsys.readouterr().out.splitlines()[1:]


def answer(capsys: Said, *words: str, code: int = 0) -> dict[str, list[dict[str, object]]]:
    capsys.readouterr()
    assert redoxa("log", "--json", *words) == code
    return json.loads(capsys.readouterr().out)


def commands(lines: list[str]) -> list[str]:
    return [line[71:] for line in lines if not line.startswith(" ")]


def test_every_outcome_is_told(person: Person, home: Path, capsys: Said) -> None:
    person.write("in", "1")
    person.run("cat in > out")
    person.run("cat in > out")
    person.run("exit 3")
    person.run("cat /dev/urandom | head -c 1 > x")
    lines = listed(capsys)
    doubt = next(line for line in lines if line.startswith(" "))
    assert doubt.strip().startswith("not reusable: ")
    outcomes = [line[33:47].strip() for line in lines if not line.startswith(" ")]
    assert outcomes == ["not reusable", "failed 3", "reused", "recorded"]
    runs = answer(capsys)["runs"]
    assert [run["outcome"] for run in runs] == ["not reusable", "failed", "reused", "recorded"]
    assert [run["exit_code"] for run in runs] == [0, 3, 0, 0]
    assert runs[2]["trace"] == runs[3]["trace"] is not None


def test_the_page_of_the_answer_is_true(person: Person, home: Path, capsys: Said) -> None:
    person.run("true")
    told = answer(capsys)
    tables = PAGE.read_text(encoding="utf-8").split("\n## ")
    heads = [
        set(re.findall(r"^\| (.+?) \| ", table, re.MULTILINE)) - {"key", "---"} for table in tables
    ]
    names = [{name for head in each for name in re.findall(r"`(\w+)`", head)} for each in heads]
    assert set(told["runs"][0]) == names[1]
    assert set(told) == names[2]
    assert told["schema"] == "redoxa.log/1"


def test_words_choose_runs(person: Person, home: Path, capsys: Said) -> None:
    person.write("sub/work.sh", "true\n")
    person.command("/bin/sh", "sub/work.sh", "-x", "1")
    person.command("sh", "./sub/work.sh", "-x", "2")
    person.command("sh", "-c", "true")
    assert len(commands(listed(capsys, "work.sh"))) == 2
    assert len(commands(listed(capsys, "sub/work.sh"))) == 2
    assert commands(listed(capsys, "sh", "sub/work.sh")) == ["/bin/sh sub/work.sh -x 1"]
    assert commands(listed(capsys, "--", "-x", "2")) == ["sh ./sub/work.sh -x 2"]
    assert len(commands(listed(capsys, "sh"))) == 3
    assert redoxa("log", "work") == 0
    assert "no such run in the ledger" in capsys.readouterr().err


def test_count_failure_and_time_choose_runs(person: Person, home: Path, capsys: Said) -> None:
    for code in (0, 1, 2):
        person.run(f"exit {code}")
    assert commands(listed(capsys, "-n", "1")) == ["sh -c 'exit 2'"]
    assert commands(listed(capsys, "--failed")) == ["sh -c 'exit 2'", "sh -c 'exit 1'"]
    for ago in ("90s", "30m", "1h", "2d", "1w"):
        assert len(listed(capsys, "--since", ago)) == 3
    assert listed(capsys, "--since", "2999-01-01") == []
    with Home(home) as opened:
        entry = {"verdict": "ran", "exit_code": 0, "wall_s": 1.0}
        opened.ledger.append_all([Draft([entry], "run", "x", at) for at in range(25)])
    assert len(listed(capsys)) == 20
    assert len(listed(capsys, "--all")) == 28
    # The newest entries are of 1970: a clock that was set back hides nothing.
    assert len(listed(capsys, "--since", "1h", "--all")) == 3


def test_a_run_withdrawn_later_is_not_reusable(person: Person, home: Path, capsys: Said) -> None:
    person.run("true")
    with Home(home) as opened:
        (batch,) = opened.ledger.batches("run")
        entry = batch.entries[0]
        assert isinstance(entry, dict)
        opened.ledger.append([{**entry, "published": False}], kind="run", subject=batch.subject)
        trace = entry["trace"]
        append_withdrawal(opened.ledger, batch.subject, trace, "met another")  # pyright: ignore[reportArgumentType]
    newest, oldest = answer(capsys)["runs"]
    assert (newest["outcome"], oldest["outcome"]) == ("not reusable", "recorded")
    assert newest["doubts"] == [{"detail": "met another", "kind": "overlap"}]


def test_hostile_words_never_reach_a_terminal_raw(person: Person, home: Path, capsys: Said) -> None:
    hostile = "\x1b]0;owned\x07\n\x9b31m" + os.fsdecode(b"\xff") + "\u202e"
    person.command("true", hostile, "x" * 100_000)
    (line,) = listed(capsys)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", line)
    assert len(line) < 300
    assert answer(capsys)["runs"][0]["command"] == ["true", hostile, "x" * 100_000]


def test_a_lost_run_is_told_and_the_others_listed(person: Person, home: Path, capsys: Said) -> None:
    for line in ("echo one", "echo two"):
        person.run(line)
    told = answer(capsys)["runs"][0]
    with Home(home) as opened:
        newest = find_run(opened, "@")
    lose_batch(home, newest)
    lines = listed(capsys, code=4)
    assert lines[0].endswith("lost")
    assert commands(lines[1:]) == ["sh -c 'echo one'"]
    assert [lost["id"] for lost in answer(capsys, code=4)["lost"]] == [told["id"]]


def test_a_home_without_runs_is_told(home: Path, capsys: Said) -> None:
    assert redoxa("log") == 0
    assert "no such run in the ledger" in capsys.readouterr().err
    assert answer(capsys) == {"lost": [], "runs": [], "schema": "redoxa.log/1"}


@pytest.mark.usefixtures("powerless")
def test_a_home_that_may_not_be_written_is_read(person: Person, home: Path, capsys: Said) -> None:
    home.mkdir(mode=0o500)
    assert answer(capsys)["runs"] == []


def test_a_home_that_is_a_file_is_a_sentence(home: Path, capsys: Said) -> None:
    home.write_text("")
    assert redoxa("log") == 3
    assert "name another with --home or REDOXA_HOME" in capsys.readouterr().err


def on_a_terminal(*words: str, **environment: str) -> str:
    """What a person sees."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "redoxa", *words],
        stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, cwd=ROOT,
        env={**os.environ, "TERM": "xterm", **environment},
    )  # fmt: skip
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(ours)
    assert child.wait(60) == 0
    return said.decode()


def test_only_a_terminal_sees_colours_and_a_pager(
    person: Person, home: Path, capsys: Said, tmp_path: Path
) -> None:
    for _ in range(3):
        person.run("true")
    pager = tmp_path / "my pager"
    pager.write_text("#!/bin/sh\necho PAGER $1; exec head -n 2\n")
    pager.chmod(0o755)
    asked = {"PAGER": f"'{pager}' word"}
    seen = on_a_terminal("log", **asked)
    assert seen.startswith("PAGER word")
    assert len(seen.splitlines()) == 3  # the pager left early, which is no error
    assert "\x1b[32mreused" in seen
    assert "\x1b[" not in on_a_terminal("log", **asked, NO_COLOR="1")
    for other in ("cat", "", "/no/such/pager"):
        assert on_a_terminal("log", PAGER=other).count("\n") == 4
    assert "PAGER" not in on_a_terminal("log", "--json", **asked)
    assert "\x1b[" not in "\n".join(listed(capsys))
