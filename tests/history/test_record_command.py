"""`redoxa history record` as a person types it, over a small repository."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ring2_orchestrator.history.table import COLUMNS
from tests.history.conftest import Recorder

pytestmark = pytest.mark.slow
SCRIPTS = ("--scripts", "*.sh", "--", "sh", "{script}")
READS = 'read -r word < one.txt; echo "$word"; [ "$word" != bad ]\n'
LOOKS = "[ -e one.txt ] && echo there\n"


def three_commits(recorder: Recorder) -> None:
    recorder.commit({"reads.sh": READS, "looks.sh": LOOKS, "one.txt": "good\n"})
    recorder.commit({"one.txt": "bad\n", "notes.txt": "a line\n"})
    recorder.commit({"one.txt": "good\n"})


def test_a_row_says_what_had_changed_and_what_came_of_it(recorder: Recorder) -> None:
    three_commits(recorder)
    rows = recorder.recorded("--commits", "3", *SCRIPTS)
    assert tuple(rows[0]) == COLUMNS
    assert [(row["step"], row["script"]) for row in rows] == [
        (step, script) for step in "012" for script in ("looks.sh", "reads.sh")
    ]
    looks, reads = rows[0::2], rows[1::2]
    assert [row["exit_code"] for row in reads] == ["0", "1", "0"]
    assert [row["first"] for row in reads] == ["1", "0", "0"]
    assert [row["n_changed"] for row in reads] == ["-1", "1", "1"]
    assert [row["changed_inputs"] for row in reads] == ["", "one.txt", "one.txt"]
    assert [row["changed_strict"] for row in reads] == ["1", "1", "1"]
    # The third state is the first one again, as far as the script can see.
    assert [row["hit_any_strict"] for row in reads] == ["0", "0", "1"]
    # Redoxa counts what was only looked at by its content; the weaker rules do not.
    assert [row["changed_strict0"] for row in looks] == ["1", "1", "1"]
    assert [row["changed_strict"] for row in looks] == ["1", "0", "0"]
    assert [row["changed_files"] for row in looks] == ["", "notes.txt;one.txt", "one.txt"]
    assert [row["commit_lines"] for row in looks] == ["0", "3", "2"]
    assert {row["ran"] for row in rows} == {"1"}
    assert all(float(row["user_s"]) + float(row["sys_s"]) > 0 for row in rows)


def test_nothing_is_left_but_the_rows(recorder: Recorder) -> None:
    three_commits(recorder)
    (recorder.repository / "one.txt").write_text("being edited\n")
    before = recorder.git("status", "--porcelain"), recorder.git("count-objects")
    done = recorder.record("--commits", "2", *SCRIPTS)
    assert "uncommitted changes" in done.stderr
    assert (recorder.git("status", "--porcelain"), recorder.git("count-objects")) == before
    assert recorder.git("worktree", "list").count("\n") == 1
    assert recorder.left() == []
    assert (recorder.repository / "one.txt").read_text() == "being edited\n"


def test_a_run_finds_nothing_that_another_left(recorder: Recorder) -> None:
    leaves = 'ls; ls "$TMPDIR"; touch mess "$TMPDIR"/mess\n'
    recorder.commit({"a.sh": leaves, "b.sh": leaves})
    recorder.commit({"c.txt": ""})
    rows = recorder.recorded("--commits", "2", *SCRIPTS)
    assert rows[0]["out_hash"] == rows[1]["out_hash"] != rows[2]["out_hash"] == rows[3]["out_hash"]


def test_a_script_that_comes_later_and_one_that_goes(recorder: Recorder) -> None:
    recorder.commit({"a.sh": "true\n"})
    recorder.commit({"b.sh": "true\n", "a.sh": None})
    recorder.commit({"a.sh": "true\n#\n"})
    rows = recorder.recorded("--commits", "3", *SCRIPTS)
    assert [(row["step"], row["script"], row["first"]) for row in rows] == [
        ("0", "a.sh", "1"), ("1", "b.sh", "1"), ("2", "a.sh", "0"), ("2", "b.sh", "0"),
    ]  # fmt: skip
    # Since its last run, two states ago.
    assert rows[2]["changed_files"] == "a.sh;b.sh"
    assert rows[2]["script_changed"] == "1"


def test_a_command_without_scripts_runs_once_a_state(recorder: Recorder) -> None:
    three_commits(recorder)
    told = recorder.summary("--commits", "3", "--", "sh", "reads.sh")
    assert (told["runs"], told["states"], told["failed"], told["must_rerun"]) == (3, 3, 1, 3)
    assert {row["script"] for row in recorder.rows()} == {"-"}


FAULTY = """\
def least(a, b):
    if a < b:
        return a
    return b


def one():
    return 1
"""
CHECK = "import least as m\nassert m.least(1, 2) == 1 and m.least(2, 1) == 1 and m.one() == 1\n"


def faulty(recorder: Recorder) -> tuple[str, ...]:
    recorder.commit({"least.py": FAULTY, "test_least.py": CHECK})
    recorder.commit({"readme": "two\n"})
    recorder.commit({"readme": "three\n"})
    return ("--commits", "3", "--mutate", "6", "--seed", "3", "--", "python3", "{script}")


def told_of_states(rows: list[dict[str, str]]) -> list[tuple[str, ...]]:
    names = ("step", "commit", "date", "kind", "script", "edit_kind", "changed_files", "exit_code")
    return [tuple(row[name] for name in names) for row in rows]


def test_faults_make_failures_and_one_seed_makes_the_same(recorder: Recorder) -> None:
    words = faulty(recorder)
    rows = recorder.recorded(*words)
    kinds = [row["edit_kind"] for row in rows]
    assert kinds[0] == "start"
    assert kinds.count("commit") == 2
    assert any(kind.startswith("mutate:") for kind in kinds)
    assert any(kind.startswith("mend@least.py") for kind in kinds)
    assert {row["exit_code"] for row in rows if row["kind"] == "commit"} == {"0"}
    assert {"1"} <= {row["exit_code"] for row in rows if row["kind"] == "edit"}
    assert [row["date"] for row in rows] == sorted(row["date"] for row in rows)
    (recorder.place / "out.csv").unlink()
    assert told_of_states(recorder.recorded(*words)) == told_of_states(rows)


def test_one_that_was_killed_goes_on_and_gives_the_same_rows(recorder: Recorder) -> None:
    words = faulty(recorder)
    whole = recorder.recorded(*words)
    file = recorder.place / "out.csv"
    file.unlink()
    for least in (2, 5, 9):
        _killed_with_rows(recorder, words, least)
        with file.open("ab") as end:
            end.write(b"small,7,half a r")
    rows = _until_free(recorder, words)
    facts = ("changed_strict0", "changed_strict", "changed_lax", "n_changed", "hit_any_strict")
    assert told_of_states(rows) == told_of_states(whole)
    assert [[row[name] for name in facts] for row in rows] == [
        [row[name] for name in facts] for row in whole
    ]
    assert recorder.left() == []


def _lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def _killed_with_rows(recorder: Recorder, words: tuple[str, ...], least: int) -> None:
    """Record, and end it by SIGKILL as soon as the file has `least` lines."""
    file = recorder.place / "out.csv"
    for _ in range(100):
        child = subprocess.Popen(
            recorder.words(*words),
            cwd=recorder.place,
            env=recorder.env,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while child.poll() is None and _lines(file) < least:
            time.sleep(0.01)
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            return
        # What an earlier one had started may still hold the file: it refuses, and is asked again.
        assert child.returncode == 3
        time.sleep(0.1)
    pytest.fail("the file was never free")


def _until_free(recorder: Recorder, words: tuple[str, ...]) -> list[dict[str, str]]:
    """What is recorded once the processes of the killed one have ended."""
    done = recorder.record(*words)
    for _ in range(100):
        if done.returncode != 3:
            break
        assert "by another process" in done.stderr
        time.sleep(0.1)
        done = recorder.record(*words)
    assert done.returncode == 0, done.stderr
    return recorder.rows()


def test_a_run_without_an_end_is_ended(recorder: Recorder) -> None:
    recorder.commit({"a.sh": "sleep 100\n"})
    rows = recorder.recorded("--commits", "1", "--timeout", "1", *SCRIPTS)
    assert (rows[0]["exit_code"], rows[0]["n_inputs"]) == ("124", "-1")


def test_what_cannot_be_is_refused_in_a_sentence(recorder: Recorder, tmp_path: Path) -> None:
    recorder.commit({"a.sh": "true\n"})

    def refused(code: int, *words: str) -> str:
        done = recorder.record(*words)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
        return done.stderr

    assert "has 1 commit up to" in refused(3, "--commits", "2", *SCRIPTS)
    assert "no file of 1 commit" in refused(3, "--commits", "1", "--", "sh", "{script}")
    assert "has no commit 'nowhere'" in refused(
        3, "--commits", "1", "--revision", "nowhere", *SCRIPTS
    )
    evil = recorder.place / "evil"
    assert "has no commit '--output" in refused(
        3, "--commits", "1", f"--revision=--output={evil}", *SCRIPTS
    )
    assert not evil.exists(), "a revision is no option of git"
    assert "no command to run" in refused(2, "--commits", "1")
    assert "has no {script}" in refused(2, "--commits", "1", "--scripts", "*.sh", "--", "true")
    assert "0 is too few" in refused(2, "--commits", "0", *SCRIPTS)
    assert "is no number" in refused(2, "--commits", "many", *SCRIPTS)
    assert "no-such-program" in refused(3, "--commits", "1", "--", "no-such-program")
    recorder.repository = tmp_path
    assert "is no git repository" in refused(3, "--commits", "1", *SCRIPTS)
    recorder.repository = tmp_path / "nowhere"
    assert "is no folder" in refused(3, "--commits", "1", *SCRIPTS)


def test_a_wrong_command_may_be_corrected(recorder: Recorder) -> None:
    recorder.commit({"a.sh": "true\n"})
    assert recorder.record("--commits", "1", "--", "no-such-program").returncode == 3
    assert len(recorder.recorded("--commits", "1", *SCRIPTS)) == 1


def test_a_repository_without_a_commit_is_told(recorder: Recorder, tmp_path: Path) -> None:
    recorder.repository = tmp_path / "unborn"
    recorder.repository.mkdir()
    recorder.git("init", "-q")
    done = recorder.record("--commits", "1", *SCRIPTS)
    assert done.returncode == 3
    assert "has no commit 'HEAD'; commit something" in done.stderr


@pytest.mark.parametrize(
    "left", [b"", b"{", b"[]", b"null", b'{"asked": {}, "states": []}', b"\xff"]
)
def test_a_damaged_plan_loses_no_row(recorder: Recorder, left: bytes) -> None:
    recorder.commit({"a.sh": "true\n"})
    assert recorder.record("--commits", "1", "--", "no-such-program").returncode == 3
    (plan,) = recorder.home.glob("history/*/plan.json")
    plan.write_bytes(left)
    (plan.parent / "pending.json").write_bytes(left)
    file = recorder.place / "out.csv"
    rows = ",".join(COLUMNS) + "\n" + "1," * (len(COLUMNS) - 1) + "1\n"
    file.write_text(rows)
    done = recorder.record("--commits", "1", *SCRIPTS)
    assert (done.returncode, "Traceback" in done.stderr) == (3, False)
    assert "cannot go on" in done.stderr
    assert file.read_text() == rows
    file.unlink()
    assert len(recorder.recorded("--commits", "1", *SCRIPTS)) == 1


def test_what_others_recorded_is_left_alone(recorder: Recorder) -> None:
    recorder.commit({"a.sh": "true\n"})
    file = recorder.place / "out.csv"
    file.write_text("mine\n")
    done = recorder.record("--commits", "1", *SCRIPTS)
    assert done.returncode == 3
    assert "exists already" in done.stderr
    assert file.read_text() == "mine\n"


def test_a_command_that_always_fails_is_told(recorder: Recorder) -> None:
    recorder.commit({"a.sh": "echo no such option; exit 4\n"})
    done = recorder.record("--commits", "1", *SCRIPTS)
    assert done.returncode == 0
    assert "every run so far has failed" in done.stderr
    assert "no such option" in done.stderr


def test_names_of_all_kinds(recorder: Recorder) -> None:
    recorder.commit({"a b;c\n'\".sh": "echo ü\n", "-d.sh": "true\n"})
    rows = recorder.recorded("--commits", "1", "--scripts", "*.sh", "--", "sh", "./{script}")
    assert [row["script"] for row in rows] == ["-d.sh", "a b;c\\n'\".sh"]
    assert {row["exit_code"] for row in rows} == {"0"}
    assert json.dumps(rows)
