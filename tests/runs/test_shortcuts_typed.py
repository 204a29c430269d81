"""`redoxa-run` as a person types it, beside the `redoxa` that answers all else."""

import json
import subprocess
import time

import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.execute import execute
from ring2_orchestrator.shortcuts.spool import NAME as SPOOL
from tests.runs.desk import INSTALLED, NEEDS_FRONT_END, NOT_ANSWERED, Desk, unheard

pytestmark = NEEDS_FRONT_END


def test_as_a_user_types_it(desk: Desk) -> None:
    """The installed one, beside its `redoxa`: the first run records, the last needs no Python."""
    said: list[tuple[bytes, str]] = []
    for _ in range(6):
        done = subprocess.run(
            [INSTALLED, *desk.words],
            cwd=desk.project,
            env=desk.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        said.append((done.stdout, done.stderr.decode()))
        spool = desk.home / SPOOL
        if spool.exists() and spool.stat().st_size:
            break
        time.sleep(0.12)
    else:
        pytest.fail(f"Python answered every time: {said}")
    assert {printed for printed, _ in said} == {b"1\n2\n"}
    assert all(line.startswith("2\nredoxa: ") for _, line in said)
    assert "recorded: " in said[0][1] or "ran again: " in said[0][1]
    assert " outputs already in place, " in said[-1][1]


def test_options_and_errors_are_python_s(desk: Desk) -> None:
    for words, code, told in (
        (["--help"], 0, "usage: redoxa run"),
        (["--", "no-such-program"], 127, "there is no program 'no-such-program'"),
        (["--json", "--", *desk.words], 0, '"verdict"'),
    ):
        done = subprocess.run(
            [INSTALLED, *words], cwd=desk.project, env=desk.env, capture_output=True, text=True,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == code
        assert told in done.stdout + done.stderr
    assert json.loads(done.stderr.splitlines()[-1])["exit_code"] == 0


def test_inside_a_recording_the_outer_run_counts(desk: Desk) -> None:
    """And nothing of the home is read: it would be an input of the outer run."""
    desk.prepare()
    with Home(desk.home) as home, unheard() as stdin:
        result = execute(
            [str(desk.front), "--", *desk.words],
            home=home,
            cwd=desk.project,
            env=desk.env,
            stdin=stdin,
        )
    assert result.exit_code == NOT_ANSWERED
    assert not result.doubts


def test_python_s_own_locale_is_no_variable_of_the_run(desk: Desk) -> None:
    """In the C locale Python sets LC_CTYPE in its own environment, and a plain run has none."""
    done = subprocess.run(
        [INSTALLED.with_name("redoxa"), "run", "--", "env"],
        cwd=desk.project, env=desk.env, stdin=subprocess.DEVNULL, capture_output=True, check=True,
    )  # fmt: skip
    names = {line.partition(b"=")[0] for line in done.stdout.splitlines()}
    assert names == {b"PATH", b"REDOXA_HOME", b"COLOUR"}
    kept = {**desk.env, "LC_CTYPE": "C.UTF-8"}
    done = subprocess.run(
        [INSTALLED.with_name("redoxa"), "run", "--", "env"],
        cwd=desk.project, env=kept, stdin=subprocess.DEVNULL, capture_output=True, check=True,
    )  # fmt: skip
    assert b"LC_CTYPE=C.UTF-8" in done.stdout.splitlines()
