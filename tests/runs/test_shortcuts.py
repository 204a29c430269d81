"""`redoxa-run` answers a reuse exactly where `redoxa run` would, and leaves all else to it."""

import fcntl
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import cast

import pytest

from cid_store.encoding import Node
from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger import Ledger
from ring2_orchestrator.recorder import compile as compiler
from ring2_orchestrator.runs.execute import execute
from ring2_orchestrator.runs.result import RunResult
from ring2_orchestrator.shortcuts import folder, form
from ring2_orchestrator.shortcuts.spool import NAME as SPOOL
from ring2_orchestrator.shortcuts.spool import enter_reuses

INSTALLED = Path(sys.executable).with_name("redoxa-run")
NOT_ANSWERED = 125  # there is no `redoxa` beside the copy that the tests use
SCRIPT = """
cat data/one data/two
ls data > names
if test -e extra; then cat extra; fi
cat link >&2
test -e none/there
cp data/one made
mkdir -p sub && cp data/two sub/made
"""

pytestmark = pytest.mark.skipif(
    not INSTALLED.exists() and not os.environ.get("REDOXA_WHOLE"),
    reason="redoxa-run is not installed here",
)


class Desk:
    """A project with one command, its home, and `redoxa-run` without the Python it would call."""

    def __init__(self, base: Path, *, complaints: str = os.devnull) -> None:
        self.complaints = complaints  # where standard error leads; standard output goes nowhere
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
        with Home(self.home) as home, unheard(self.complaints) as stdin:
            return execute(
                self.words,
                home=home,
                cwd=self.project,
                env=self.env,
                stdin=stdin,
                **{"shortcut": True, **options},  # pyright: ignore[reportArgumentType]
            )

    def answers(self, words: list[str] | None = None, **others: object) -> bool:
        """Whether the shortcut answers with the streams that `run` has."""
        call = cast("Callable[..., subprocess.CompletedProcess[bytes]]", subprocess.run)
        with Path(self.complaints).open("wb") as complaints:
            settings: dict[str, object] = {
                "cwd": self.project,
                "env": self.env,
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.DEVNULL,
                "stderr": complaints,
                **others,
            }
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

    def spooled(self) -> int:
        """How many bytes wait for the ledger: an answer adds some before it prints any."""
        spool = self.home / SPOOL
        return spool.stat().st_size if spool.exists() else 0

    def shortcuts(self) -> list[Path]:
        return list((self.home / "shortcuts").iterdir())

    def entries(self) -> list[dict[str, Node]]:
        with Home(self.home) as home:
            return [cast("dict[str, Node]", batch.entries[0]) for batch in home.ledger.batches()]


@contextmanager
def unheard(complaints: str = os.devnull) -> Generator[int]:
    """Nothing on standard input, and nobody at the other two streams."""
    kept = [os.dup(number) for number in (1, 2)]
    nothing, other = os.open(os.devnull, os.O_RDWR), os.open(complaints, os.O_RDWR)
    try:
        os.dup2(nothing, 1)
        os.dup2(other, 2)
        yield nothing
    finally:
        os.close(nothing)
        os.close(other)
        for number, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)


@pytest.fixture(scope="module", autouse=True)
def _installed_from_these_sources() -> None:
    sources = Path(folder.__file__).parent / "front"
    if not compiler.carries(INSTALLED, compiler.digest(sources)):
        pytest.fail("redoxa-run is missing or of older sources; `pip install -e .` renews it")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
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
    "a file where a folder was looked into": lambda p: (p / "none").write_text("no folder\n"),
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


@pytest.mark.parametrize("complaints", [os.devnull, "/dev/zero"])
def test_streams_that_serve_nothing_are_for_python(tmp_path: Path, complaints: str) -> None:
    """A closed stream's number would be that of the next file opened."""
    desk = Desk(tmp_path, complaints=complaints)
    desk.prepare()
    waiting = desk.spooled()
    for number, wrong in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        for flags in (None, os.O_PATH, wrong):
            assert not desk.answers(preexec_fn=partial(put_stream, complaints, number, flags))
    assert desk.spooled() == waiting, "nobody claims an answer that could not be printed"


def put_stream(complaints: str, number: int, flags: int | None) -> None:
    """In the child: close a stream, or open it again with these flags."""
    os.close(number)
    if flags is not None:
        assert os.open(complaints if number == 2 else os.devnull, flags) == number
        os.set_inheritable(number, True)


def test_a_device_that_gives_something_is_no_empty_input(desk: Desk) -> None:
    desk.prepare()
    with Path("/dev/zero").open("rb") as zero:
        assert not desk.answers(stdin=zero)


def test_a_stream_that_waits_for_nobody_is_waited_for(desk: Desk) -> None:
    desk.prepare()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    full = b"." * fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
    assert os.write(writer, full) == len(full)
    waiting = desk.spooled()
    front = subprocess.Popen(
        [desk.front, "--", *desk.words], cwd=desk.project, env=desk.env,
        stdin=subprocess.DEVNULL, stdout=writer, stderr=writer,
    )  # fmt: skip
    os.close(writer)
    while desk.spooled() == waiting and front.poll() is None:
        time.sleep(0.001)  # until it is about to print
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    assert front.wait() == 0
    assert said.startswith(full + b"1\n2\n2\nredoxa: reused: 4 outputs already in place, ")


def test_limits_of_the_process_leave_it_to_python(desk: Desk) -> None:
    path = desk.prepare()
    whole, waiting = path.read_bytes(), desk.spooled()
    small = (waiting + 10, waiting + 10)
    assert not desk.answers(preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, small))
    assert desk.answers(), "what was written in part spoils nothing"
    path.write_bytes(whole + bytes(48 << 20))
    few = (32 << 20, 32 << 20)
    assert not desk.answers(preexec_fn=partial(resource.setrlimit, resource.RLIMIT_AS, few))
    path.write_bytes(whole)
    assert desk.answers()


# What a shortcut may lie about behind a true MAC: the answer is none, and never half of one.
LIES: dict[str, Callable[[bytes], bytes]] = {
    "an exit code that no process has": lambda body: b"\0\1\0\0" + body[4:],
    "more printed than there is": lambda body: body.replace(cut(1, 6), cut(1, 7)),
    "less printed than there is": lambda body: body.replace(cut(1, 6), cut(1, 5)),
    "printed to no stream": lambda body: body.replace(cut(1, 6), cut(3, 6)),
    "half a cut": lambda body: body.replace(
        b"\x09\0\0\0" + cut(1, 6), b"\x0a\0\0\0" + cut(1, 6) + b"\1"
    ),
    "one fact too many": lambda body: body + b"\x01\0\0\0\0",
    "bytes behind the last fact": lambda body: body + b"\x63",
    "parts longer than the file": lambda body: body[:16] + b"\xff\xff\xff\xff" + body[20:],
}


def cut(stream: int, length: int) -> bytes:
    return bytes([stream]) + length.to_bytes(8, "little")


@pytest.mark.parametrize("lie", LIES)
def test_a_shortcut_s_sizes_and_numbers_are_not_believed(desk: Desk, lie: str) -> None:
    path = desk.prepare()
    whole, waiting = path.read_bytes(), desk.spooled()
    key, body = form.key_of(desk.home), whole[24:]
    assert whole[8:24] == form.digest(key, body)
    told = LIES[lie](body)
    assert told != body
    path.write_bytes(whole[:8] + form.digest(key, told) + told)
    assert not desk.answers()
    assert desk.spooled() == waiting
    path.write_bytes(whole)
    assert desk.answers()


@pytest.mark.parametrize("length", [3900, 4090, 4096, 5000])
def test_a_home_of_an_overlong_path_is_for_python(desk: Desk, length: int) -> None:
    desk.prepare()
    longer = f"{desk.home}{'/.' * length}"[:length]
    assert not desk.answers(env={**desk.env, "REDOXA_HOME": longer.rstrip(".") + "/none"})


def test_where_it_cannot_find_itself_it_says_so(desk: Desk) -> None:
    """Without /proc it knows no `redoxa` to call."""
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c",
         'mount -t tmpfs none /proc && exec "$@"', "sh", str(desk.front), "true"],
        env=desk.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "redoxa" not in done.stderr:
        pytest.skip(f"no name space of one's own here: {done.stderr.strip()}")
    assert done.returncode == NOT_ANSWERED
    assert "cannot tell where it is installed (No such file or directory)" in done.stderr


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
    assert desk.answers()
    second = spool.read_bytes()
    spool.write_bytes(first[:-9] + second[: len(second) // 2] + second)
    assert len(desk.entries()) == before + 2


class Killed(BaseException):
    """Nothing catches it, and nothing is put right after it."""


@pytest.mark.slow
def test_killed_at_any_call_nothing_is_lost_and_nothing_entered_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path)
    desk.prepare()
    told = len(desk.entries())
    names = ("open", "pwrite", "fdatasync", "fsync", "replace", "ftruncate", "unlink")
    number = 0
    for number in count(1):
        assert desk.answers()
        assert desk.answers()
        calls = count(1)
        with Home(desk.home) as home, monkeypatch.context() as patch:
            ledger = Ledger(home.path / "ledger", store=home.store, clock=home.clock)
            for name in names:
                patch.setattr(os, name, partial(kill_at, calls, number, getattr(os, name)))
            with suppress(Killed):
                enter_reuses(home.path, ledger)
        if number % 2:  # somebody who had the ledger open goes on as if nothing had happened
            with Home(desk.home) as home:
                ledger = Ledger(home.path / "ledger", store=home.store, clock=home.clock)
                for _ in range(4):
                    ledger.append([{"verdict": "other"}], kind="run", subject="another")
            told += 4
        told += 2
        with Home(desk.home) as home:
            assert len(home.ledger) == told
        if next(calls) <= number:
            break
    assert number > 15
    spooled = [entry["spooled"] for entry in desk.entries() if "spooled" in entry]
    assert len(spooled) == len(set(map(bytes, cast("list[bytes]", spooled))))


def kill_at(
    calls: Iterator[int], number: int, real: Callable[..., object], *args: object, **options: object
) -> object:
    """The call of that number is half done at most, and the process's last."""
    if next(calls) < number:
        return real(*args, **options)
    if real is os_pwrite:
        descriptor, data, offset = cast("tuple[int, bytes, int]", args)
        os_pwrite(descriptor, bytes(data)[: len(data) // 2], offset)
    raise Killed


os_pwrite = os.pwrite


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
