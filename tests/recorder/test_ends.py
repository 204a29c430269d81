"""Exit codes, signals, streams and stragglers are what they would be without us."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ring2_orchestrator.recorder.errors import CannotExecuteError
from ring2_orchestrator.recorder.event import Exit, StdinKind
from ring2_orchestrator.recorder.relay import Limits
from ring2_orchestrator.recorder.streams import Stdin
from tests.recorder.conftest import Run, doubts, said

ROOT = Path(__file__).parents[2]

# Records its arguments with our own streams, then says on stderr what it learned.
SHOW = """
import os, sys, tempfile
from pathlib import Path
from ring2_orchestrator.recorder.record import record
from ring2_orchestrator.recorder.relay import Limits
with tempfile.TemporaryDirectory() as d:
    r = record(sys.argv[1:], cwd=Path.cwd(), env=os.environ, scratch=Path(d))
    kinds = sorted({x.kind for x in r.doubts})
    print(r.exit.status, kinds, r.stdin.kind.value, r.stdin.eof, r.merged, file=sys.stderr)
"""


def outer(*words: str | Path, **options: object) -> "subprocess.Popen[bytes]":
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SHOW, *(str(word) for word in words)]
    return subprocess.Popen(command, env=env, **options)  # type: ignore[call-overload,no-any-return] - passed on


@pytest.mark.parametrize("code", [0, 1, 77, 255])
def test_exit_codes_come_through(run: Run, code: int) -> None:
    recording = run("/bin/sh", "-c", f"exit {code}")
    assert recording.exit == Exit(code, None)
    assert not doubts(recording)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGSEGV, signal.SIGKILL])
def test_death_by_signal_comes_through(run: Run, number: signal.Signals) -> None:
    recording = run("/bin/sh", "-c", f"kill -{int(number)} $$")
    assert recording.exit == Exit(None, number)
    assert recording.exit.status == 128 + number
    assert doubts(recording) == {"killed" if number == signal.SIGKILL else "signal"}


def test_a_missing_command_and_a_forbidden_one_differ(run: Run, place: Path) -> None:
    with pytest.raises(CannotExecuteError, match="'nonesuch' cannot be found on PATH") as missing:
        run("nonesuch")
    assert missing.value.missing
    (place / "plain").write_text("no program")
    with pytest.raises(CannotExecuteError, match="cannot be executed") as forbidden:
        run("./plain")
    assert not forbidden.value.missing


def test_output_keeps_stream_and_order(run: Run) -> None:
    recording = run("/bin/sh", "-c", "echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three")
    assert [(c.stream, c.data) for c in recording.output] == [
        (1, b"one\n"),
        (2, b"two\n"),
        (1, b"three\n"),
    ]


def test_much_output_is_whole(run: Run) -> None:
    recording = run("/bin/sh", "-c", "head -c 20000000 /dev/zero; echo end >&2")
    assert sum(len(c.data) for c in recording.output if c.stream == 1) == 20_000_000
    assert not doubts(recording)


def test_output_past_the_limit_is_a_doubt(run: Run) -> None:
    recording = run("/bin/sh", "-c", "head -c 500000 /dev/zero", limits=Limits(output_bytes=1000))
    assert doubts(recording) == {"output-size"}


def test_input_bytes_reach_the_program(run: Run) -> None:
    data = bytes(range(256)) * 4000
    recording = run("/bin/cat", stdin=Stdin(None, held=data, ended=True))
    assert said(recording) == data
    assert (recording.stdin.data, recording.stdin.eof) == (data, True)


def test_input_may_be_refused_half_way(run: Run) -> None:
    recording = run("head", "-c", "3", stdin=Stdin(None, held=b"x" * 3_000_000, ended=True))
    assert said(recording) == b"xxx"
    assert recording.stdin.kind is StdinKind.PIPE
    assert not recording.stdin.eof


def test_a_file_as_input_is_handed_on_itself(run: Run, place: Path) -> None:
    (place / "in").write_bytes(b"0123456789")
    with (place / "in").open("rb", buffering=0) as file:
        file.seek(4)
        recording = run("/bin/cat", stdin=Stdin(file.fileno()))
    assert said(recording) == b"456789"
    assert recording.stdin.kind is StdinKind.FILE
    assert recording.stdin.path == os.fsencode(place / "in")
    assert (recording.stdin.offset, recording.stdin.end) == (4, 10)


def test_held_input_comes_before_the_rest(run: Run) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"rest")
    os.close(writer)
    try:
        recording = run("/bin/cat", stdin=Stdin(reader, held=b"first "))
    finally:
        os.close(reader)
    assert said(recording) == b"first rest"
    assert recording.stdin.data == b"first rest"


def test_a_socket_may_be_the_input(run: Run) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(b"over a socket")
        recording = run("/bin/cat", stdin=Stdin(theirs.fileno()))
    assert said(recording) == b"over a socket"


def test_time_runs_out(run: Run) -> None:
    started = time.monotonic()
    recording = run("/bin/sh", "-c", "(sleep 60) & sleep 60", limits=Limits(wall_s=0.3))
    assert time.monotonic() - started < 10
    assert "timeout" in doubts(recording)
    assert recording.exit.signal == signal.SIGTERM


def test_whoever_does_not_end_in_time_is_killed(run: Run) -> None:
    line = "trap '' TERM; (trap '' TERM; sleep 60) & while :; do sleep 0.05; done"
    recording = run("/bin/sh", "-c", line, limits=Limits(wall_s=0.3, grace_s=0.2))
    assert recording.timed_out
    assert recording.exit.signal == signal.SIGKILL
    assert "detached" not in doubts(recording)


def test_what_is_left_behind_lives_on(run: Run, escapes: Path, place: Path) -> None:
    started = time.monotonic()
    recording = run(escapes, "daemon", place / "go", place / "out")
    assert time.monotonic() - started < 3
    assert recording.exit.status == 0
    assert said(recording) == b"gone\n"
    assert "detached" in doubts(recording)
    (place / "go").touch()
    deadline = time.monotonic() + 5
    while not (place / "out").exists() or not (place / "out").read_bytes():
        assert time.monotonic() < deadline, "its calls are no longer answered"
        time.sleep(0.02)
    assert (place / "out").read_bytes() == b"lived on\n"


def test_what_is_left_behind_can_still_be_heard(escapes: Path, tmp_path: Path) -> None:
    words = ["daemon", tmp_path / "go", tmp_path / "out"]
    process = outer(escapes, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"gone\n"
    assert b"detached" in process.stderr.readline()
    assert process.wait(10) == 0
    (tmp_path / "go").touch()
    assert process.stdout.read() == b"late words\n"
    process.stdout.close()
    process.stderr.close()


def test_a_short_straggler_is_waited_for(run: Run) -> None:
    recording = run("/bin/sh", "-c", "(sleep 0.05; echo late) & echo early")
    assert said(recording) == b"early\nlate\n"
    assert not doubts(recording)


def test_a_reader_that_stops_is_felt_as_without_us(tmp_path: Path) -> None:
    process = outer("yes", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(4) == b"y\ny\n"
    process.stdout.close()
    line = process.stderr.read()
    process.wait(10)
    process.stderr.close()
    assert line.startswith(b"141 ['output-closed', 'signal']"), line


def test_signals_sent_to_us_reach_the_program() -> None:
    script = 'trap "echo caught; exit 3" TERM; echo ready; while :; do sleep 0.05; done'
    process = outer("/bin/sh", "-c", script, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    out, err = process.communicate(timeout=10)
    assert out == b"caught\n"
    assert err.startswith(b"3 ['signal']")


def test_one_file_for_both_outputs_keeps_their_order(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        script = "for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done"
        process = outer("/bin/sh", "-c", script, stdout=out, stderr=out)
        assert process.wait(20) == 0
    text = (tmp_path / "out").read_text()
    assert text.startswith("".join(f"o{i}\ne{i}\n" for i in range(1, 6)))
    assert text.splitlines()[-1].endswith("True")


def test_ignored_signals_start_as_without_us(run: Run) -> None:
    # Python ignores SIGPIPE; a shell pipeline depends on it not being ignored.
    recording = run("/bin/sh", "-c", "grep SigIgn /proc/self/status; yes | head -1 >/dev/null")
    ignored = int(said(recording).split()[1], 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1))


def test_the_loaders_variables_are_for_the_program_alone(run: Run) -> None:
    recording = run("env", env={**os.environ, "LD_PRELOAD": "/nowhere.so", "LAST": "1"})
    assert said(recording).count(b"/nowhere.so' from LD_PRELOAD") == 1
    assert b"\nLD_PRELOAD=/nowhere.so\nLAST=1\n" in said(recording)
    assert b"REDOXA_KEPT" not in said(recording)


def test_recording_works_outside_the_main_thread(run: Run) -> None:
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(said(run("/bin/echo", "there"))))
    thread.start()
    thread.join()
    assert found == [b"there\n"]


def test_processes_say_what_they_cost(run: Run) -> None:
    code = "sum(range(3_000_000)); x = bytearray(60_000_000)"
    recording = run("/bin/sh", "-c", f'{sys.executable} -c "{code}"; :')
    python = recording.processes[-1]
    assert python.cpu_s is not None
    assert python.cpu_s > 0.02
    assert python.max_rss_bytes is not None
    assert python.max_rss_bytes > 60_000_000
    assert python.end_ns is not None
    assert python.end_ns > python.start_ns
    assert recording.cpu_s >= python.cpu_s * 0.8
    assert recording.max_rss_bytes > 60_000_000
