"""`redoxa-run` answers a reuse exactly where `redoxa run` would, and leaves all else to it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from cid_store.encoding import Node
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.execute import execute
from ring2_orchestrator.runs.result import RunResult
from ring2_orchestrator.shortcuts import folder
from ring2_orchestrator.shortcuts.spool import NAME as SPOOL

INSTALLED = Path(sys.executable).with_name("redoxa-run")
NOT_ANSWERED = 125  # there is no `redoxa` beside the copy that the tests use
SCRIPT = """
cat data/one data/two
ls data > names
if test -e extra; then cat extra; fi
cat link >&2
cp data/one made
mkdir -p sub && cp data/two sub/made
"""

pytestmark = pytest.mark.skipif(
    not INSTALLED.exists() and not os.environ.get("REDOXA_WHOLE"),
    reason="redoxa-run is not installed here",
)


class Desk:
    """A project with one command, its home, and `redoxa-run` without the Python it would call."""

    def __init__(self, base: Path) -> None:
        self.home = base / "home"
        self.project = base / "project"
        self.front = base / "bin" / "redoxa-run"
        self.env = {"PATH": os.environ["PATH"], "REDOXA_HOME": str(self.home), "COLOUR": "blue"}
        self.words = ["sh", "-c", SCRIPT]
        (self.project / "data").mkdir(parents=True)
        (self.project / "data" / "one").write_text("1\n")
        (self.project / "data" / "two").write_text("2\n")
        (self.project / "link").symlink_to("data/two")
        (base / "bin").mkdir()
        shutil.copy2(INSTALLED, self.front)

    def run(self, **options: bool) -> RunResult:
        with Home(self.home) as home, unheard() as stdin:
            return execute(
                self.words,
                home=home,
                cwd=self.project,
                env=self.env,
                stdin=stdin,
                **{"shortcut": True, **options},
            )

    def answers(self, words: list[str] | None = None, **others: object) -> bool:
        """Whether the shortcut answers with the streams that `run` has."""
        settings: dict[str, object] = {
            "cwd": self.project,
            "env": self.env,
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            **others,
        }
        call = cast("Callable[..., subprocess.CompletedProcess[bytes]]", subprocess.run)
        done = call([str(self.front), "--", *(words or self.words)], check=False, **settings)
        assert done.returncode in (0, NOT_ANSWERED)
        return done.returncode == 0

    def prepare(self) -> Path:
        """Run until there is a shortcut: its files must have stood still for a moment."""
        for _ in range(50):
            self.run()
            if self.answers():
                return self.shortcuts()[0]
            time.sleep(0.05)
        raise AssertionError("no shortcut came to be")

    def shortcuts(self) -> list[Path]:
        return list((self.home / "shortcuts").iterdir())

    def entries(self) -> list[dict[str, Node]]:
        with Home(self.home) as home:
            return [cast("dict[str, Node]", batch.entries[0]) for batch in home.ledger.batches()]


@contextmanager
def unheard() -> Generator[int]:
    """Nothing on standard input, and nobody at the other two streams."""
    kept = [os.dup(number) for number in (1, 2)]
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        yield nothing
    finally:
        os.close(nothing)
        for number, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    if not INSTALLED.exists():
        pytest.fail("redoxa-run is not installed; set this environment up again")
    return Desk(tmp_path_factory.mktemp("desk"))


def same_size_and_time(path: Path) -> None:
    before = path.stat()
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def relinked(path: Path) -> None:
    path.unlink()
    path.symlink_to("data/one")


CHANGES: dict[str, Callable[[Path], object]] = {
    "an input edited": lambda p: (p / "data/one").write_text("other\n"),
    "an input of the same size and time": lambda p: same_size_and_time(p / "data/two"),
    "an input of another mode": lambda p: (p / "data/one").chmod(0o600),
    "an input gone": lambda p: (p / "data/two").unlink(),
    "a file that was looked for": lambda p: (p / "extra").write_text("new\n"),
    "a name in a listed folder": lambda p: (p / "data/three").write_text("3\n"),
    "a link to elsewhere": lambda p: relinked(p / "link"),
    "an output edited": lambda p: (p / "made").write_text("spoiled\n"),
    "an output gone": lambda p: (p / "sub/made").unlink(),
    "an output's folder gone": lambda p: shutil.rmtree(p / "sub"),
    "an output with a second name": lambda p: (p / "second").hardlink_to(p / "made"),
    "a project of its own": lambda p: (p / ".git").mkdir(),
    "an input's folder replaced": lambda p: (
        (p / "data").rename(p / "was"),
        shutil.copytree(p / "was", p / "data"),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_is_for_python(desk: Desk, change: str, tmp_path: Path) -> None:
    desk.prepare()
    kept = tmp_path / "kept"
    shutil.copytree(desk.project, kept, symlinks=True)
    CHANGES[change](desk.project)
    assert not desk.answers()
    shutil.rmtree(desk.project)
    shutil.copytree(kept, desk.project, symlinks=True)
    assert not desk.answers(), "other inodes are other files until somebody has read them"


def test_another_environment_is_for_python(desk: Desk) -> None:
    desk.prepare()
    for env in (
        {**desk.env, "COLOUR": "red"},
        {**desk.env, "NEW": ""},
        {name: value for name, value in desk.env.items() if name != "COLOUR"},
    ):
        assert not desk.answers(env=env)
    assert desk.answers(env={**desk.env, "SHLVL": "7", "OLDPWD": "/"}), "these never count"
    reordered = dict(reversed(desk.env.items()))
    assert desk.answers(env=reordered)


def test_other_surroundings_are_for_python(desk: Desk) -> None:
    desk.prepare()
    assert not desk.answers(words=[*desk.words, "more"])
    assert not desk.answers(cwd=desk.project / "data")
    assert not desk.answers(umask=0o007)
    assert not desk.answers(stdin=subprocess.PIPE, input=None)
    assert not desk.answers(stdout=subprocess.PIPE), "standard error is a stream of its own now"
    with (desk.home / "empty").open("w+b") as file:
        assert desk.answers(stdin=file)
    with (desk.project / "data/one").open("rb") as file:
        assert not desk.answers(stdin=file), "it might read it"
    leader, follower = os.openpty()
    assert not desk.answers(stdin=follower)
    os.close(leader)
    os.close(follower)


def test_a_shortcut_that_is_not_whole_answers_nothing(desk: Desk) -> None:
    path = desk.prepare()
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:length])
        assert not desk.answers()
    for at in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
        assert not desk.answers()
    path.write_bytes(whole + b"\0")
    assert not desk.answers()
    path.write_bytes(whole)
    assert desk.answers()
    path.chmod(0o620)
    assert not desk.answers(), "others may write it"
    path.chmod(0o600)
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert not desk.answers(), "a link is nobody's shortcut"
    path.unlink()
    elsewhere.rename(path)
    assert desk.answers()


def test_without_the_home_s_key_or_its_spool_python_answers(desk: Desk) -> None:
    desk.prepare()
    key, spool = desk.home / "environment.key", desk.home / SPOOL
    key.rename(desk.home / "away")
    assert not desk.answers()
    (desk.home / "away").rename(key)
    spool.unlink(missing_ok=True)
    spool.mkdir()
    assert not desk.answers(), "it could not be written down"
    spool.rmdir()
    assert desk.answers()


def test_every_answer_is_in_the_ledger_once(desk: Desk) -> None:
    desk.prepare()
    before = len(desk.entries())
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(desk.answers) for _ in range(40)]
        assert all(answer.result() for answer in answers)
    told = desk.entries()[before:]
    assert len(told) == 40
    assert len({cast("bytes", entry["spooled"]) for entry in told}) == 40
    for entry in told:
        assert entry["verdict"] == "reused"
        assert entry["outputs"] == 4
        assert cast("float", entry["wall_s"]) > 0
    assert len(desk.entries()) == before + 40


def test_a_killed_entering_enters_nothing_twice_and_a_torn_record_spoils_no_other(
    desk: Desk,
) -> None:
    desk.prepare()
    before = len(desk.entries())
    assert desk.answers()
    spool = desk.home / SPOOL
    first = spool.read_bytes()
    assert len(desk.entries()) == before + 1
    assert not spool.read_bytes()
    spool.write_bytes(first)  # as if it had been killed before it could empty the spool
    assert desk.answers()
    second = spool.read_bytes()[len(first) :]
    spool.write_bytes(first + second[:-9] + second[: len(second) // 2] + second)
    assert len(desk.entries()) == before + 2


def test_a_new_trace_ends_the_old_one_s_shortcut(desk: Desk) -> None:
    desk.prepare()
    desk.run(reuse=False)
    assert not desk.answers()


def test_gc_drops_every_shortcut(desk: Desk) -> None:
    path = desk.prepare()
    folder.drop_all(desk.home)
    assert not path.exists()


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
