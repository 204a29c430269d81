"""The helper survives what programs do to themselves and to each other."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from ring2_orchestrator.recorder.binary import helper
from ring2_orchestrator.recorder.errors import RecorderFailedError
from ring2_orchestrator.recorder.event import Exit, Kind
from ring2_orchestrator.recorder.stream import Stream, read_stream
from tests.recorder.conftest import Run, doubts, events, said


def test_killed_in_the_middle_of_calls(run: Run, escapes: Path, place: Path) -> None:
    (place / "f").touch()
    recording = run(escapes, "kill-opening", place / "f")
    assert recording.exit.status == 0
    assert recording.complete
    # How many children live long enough to be seen is the scheduler's choice.
    assert len(recording.processes) > 1
    assert not doubts(recording)


def test_signals_do_not_make_calls_fail(run: Run, escapes: Path, place: Path) -> None:
    (place / "f").touch()
    recording = run(escapes, "interrupted", place / "f")
    assert recording.exit.status == 0, said(recording)
    assert events(recording, place / "f", Kind.READ)
    assert recording.counts["read"] >= 3000


def test_a_deep_tree_of_processes(run: Run, escapes: Path, place: Path) -> None:
    (place / "f").write_bytes(b"bottom\n")
    recording = run(escapes, "fork-chain", "300", place / "f")
    assert said(recording) == b"bottom\n"
    assert len(recording.processes) == 301


@pytest.mark.slow
def test_a_thousand_short_processes(run: Run, escapes: Path) -> None:
    recording = run(escapes, "many", "1000")
    assert recording.exit.status == 0
    assert recording.complete
    assert len(recording.processes) == 1001
    assert all(process.end_ns is not None for process in recording.processes)


@pytest.mark.long
def test_ten_thousand_short_processes(run: Run, escapes: Path) -> None:
    recording = run(escapes, "many", "10000")
    assert recording.exit.status == 0
    assert recording.complete
    assert len(recording.processes) == 10_001


def test_folders_deeper_than_a_path_may_be_long(run: Run, escapes: Path) -> None:
    recording = run(escapes, "deep-folders")
    assert recording.exit.status == 0, said(recording)
    assert "unreadable" in doubts(recording)


def test_a_helper_that_is_killed_leaves_no_publishable_recording(run: Run) -> None:
    script = "kill -9 $PPID; sleep 0.2; cat /etc/hostname"
    with pytest.raises(RecorderFailedError):
        run("/bin/sh", "-c", script)


def record_as_nobody(place: Path, *command: str) -> Stream:
    """What the helper writes down when somebody without any rights runs it."""
    place.mkdir(exist_ok=True)
    place.chmod(0o777)
    scratch = place / "scratch"
    (scratch / "pre").mkdir(parents=True)
    scratch.chmod(0o777)
    # Nobody may be able to reach our own Python or source tree, but the helper needs neither.
    binary = place / "trace"
    binary.write_bytes(helper().read_bytes())
    binary.chmod(0o755)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        control = theirs.fileno()
        words = [str(binary), str(control), "-", str(scratch), str(place), "1000000", *command]
        done = subprocess.run(
            words,
            pass_fds=[control],
            user=65534,
            group=65534,
            extra_groups=[],
            check=False,
            stdout=subprocess.PIPE,
        )
    assert done.returncode == 0
    return read_stream(scratch / "events", scratch / "pre")


def test_an_ordinary_user_can_record(as_nobody: None, tmp_path: Path) -> None:
    place = tmp_path / "users"
    place.mkdir()
    (place / "f").write_bytes(b"mine\n")
    stream = record_as_nobody(place, "sh", "-c", "cat f > out; cat /etc/shadow; exit 3")
    assert stream.complete
    assert stream.exit == Exit(3, None)
    assert stream.doubts == []
    paths = {(e.kind, e.path) for e in stream.events}
    assert (Kind.READ, os.fsencode(place / "f")) in paths
    assert (Kind.WRITE, os.fsencode(place / "out")) in paths
    assert (place / "out").stat().st_uid == 65534


def test_a_setuid_program_is_a_doubt_for_an_ordinary_user(as_nobody: None, tmp_path: Path) -> None:
    program = tmp_path / "privileged"
    program.write_bytes(Path("/bin/true").read_bytes())
    program.chmod(0o4755)
    stream = record_as_nobody(tmp_path / "users", str(program))
    (doubt,) = stream.doubts
    assert doubt.kind == "setuid-exec"
    assert "would gain privileges" in doubt.detail


def test_what_cannot_be_looked_into_is_a_doubt(as_nobody: None, tmp_path: Path) -> None:
    # A program that may be executed but not read hides its memory from other programs.
    program = tmp_path / "hidden"
    program.write_bytes(Path("/bin/cat").read_bytes())
    program.chmod(0o711)
    stream = record_as_nobody(tmp_path / "users", str(program), "/etc/hostname")
    assert "unreadable" in {doubt.kind for doubt in stream.doubts}
