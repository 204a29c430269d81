"""Ways past a recorder: each is recorded, or makes the run unpublishable."""

import os
import socket
import threading
from pathlib import Path

import pytest

from ring2_orchestrator.recorder.event import Kind
from tests.recorder.conftest import Run, doubts, events, kinds, said


def test_bare_instructions_of_a_static_program_are_seen(
    run: Run, escapes: Path, place: Path
) -> None:
    (place / "f").write_bytes(b"static\n")
    recording = run(escapes, "raw-open", place / "f")
    assert said(recording) == b"static\n"
    assert kinds(recording, place / "f") == [Kind.READ]
    assert not doubts(recording)


@pytest.mark.parametrize("case", ["vfork-exec", "clone3-exec"])
def test_children_of_every_make_are_seen(run: Run, escapes: Path, place: Path, case: str) -> None:
    (place / "f").write_bytes(b"child\n")
    recording = run(escapes, case, escapes, "raw-open", place / "f")
    assert recording.exit.status == 0
    assert kinds(recording, place / "f") == [Kind.READ]
    assert len(recording.processes) == 2
    assert recording.processes[1].ppid == recording.processes[0].pid
    assert recording.processes[1].argv[1] == b"raw-open"


def test_threads_lose_nothing(run: Run, escapes: Path, place: Path) -> None:
    recording = run(escapes, "threads", place)
    names = {e.path for e in recording.events if e.kind is Kind.READ}
    assert {os.fsencode(place / f"{t}-{i}") for t in range(8) for i in range(50)} <= names
    assert len(recording.processes) == 1


def test_a_program_may_close_everything(run: Run, escapes: Path, place: Path) -> None:
    (place / "f").write_bytes(b"still\n")
    recording = run(escapes, "close-all", place / "f")
    assert said(recording) == b"still\n"
    assert not doubts(recording)


def test_rings_are_refused_without_a_doubt(run: Run, escapes: Path) -> None:
    recording = run(escapes, "io-uring")
    assert said(recording) == b"Function not implemented\n"
    assert not doubts(recording)


def test_a_filter_of_its_own_works_and_a_second_listener_is_busy(
    run: Run, escapes: Path, place: Path
) -> None:
    (place / "f").write_bytes(b"on\n")
    recording = run(escapes, "own-filter", place / "f")
    assert said(recording) == b"filter 0, uname -1\nlistener busy\non\n"
    assert kinds(recording, place / "f") == [Kind.READ]


def test_a_mapped_file_is_kept_before_it_changes(run: Run, escapes: Path, place: Path) -> None:
    (place / "f").write_bytes(b"old!")
    (event,) = events(run(escapes, "shared-write", place / "f"), place / "f")
    assert (place / "f").read_bytes() == b"mmap"
    assert event.kind is Kind.WRITE
    assert event.preimage is not None
    assert event.preimage.read_bytes() == b"old!"


def test_descriptors_may_be_passed_within_the_run(run: Run, escapes: Path, place: Path) -> None:
    (place / "f").write_bytes(b"passed\n")
    recording = run(escapes, "send-descriptor", place / "f")
    assert said(recording) == b"passed\n"
    assert kinds(recording, place / "f") == [Kind.READ]
    assert not doubts(recording)


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        ("memfd-exec", "memfd-exec"),
        ("trace-me", "ptrace"),
        ("unknown-call", "unknown-call"),
        ("other-abi", "foreign-abi"),
        ("namespace", "namespace"),
        ("by-handle", "file-handle"),
        ("abstract", "outside-server"),
    ],
)
def test_what_cannot_be_followed_is_doubted(run: Run, escapes: Path, case: str, kind: str) -> None:
    words = {"memfd-exec": [str(escapes)], "by-handle": [str(escapes)]}.get(case, [])
    recording = run(escapes, case, *words)
    assert kind in doubts(recording)
    assert all(doubt.detail for doubt in recording.doubts)


def test_a_server_inside_the_run_is_no_doubt(run: Run, escapes: Path) -> None:
    recording = run(escapes, "abstract", "serve")
    assert said(recording) == b"0\n"
    assert not doubts(recording)


def test_a_server_outside_the_run_is_a_doubt(run: Run, place: Path) -> None:
    path = place / "socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        code = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"
        recording = run("python3", "-c", code)
    assert "outside-server" in doubts(recording)
    assert events(recording, path, Kind.CONNECT)


def test_a_missing_local_server_is_only_a_look(run: Run, place: Path) -> None:
    code = "import socket; socket.socket(socket.AF_UNIX).connect_ex('nobody')"
    recording = run("python3", "-c", code)
    assert events(recording, place / "nobody", Kind.CONNECT)[0].before is None
    assert not doubts(recording)


def test_loopback_is_network(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=answer)
        thread.start()
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
        recording = run("python3", "-c", code)
        thread.join()
    assert "network" in doubts(recording)
    assert events(recording, f"inet:127.0.0.1:{port}", Kind.CONNECT)


def test_sending_a_datagram_is_network(run: Run) -> None:
    code = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
        "s.sendto(b'x', ('127.0.0.1', 9))"
    )
    assert "network" in doubts(run("python3", "-c", code))


def test_asking_whether_ipv6_is_there_is_not_network(run: Run) -> None:
    code = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0))"
    assert not doubts(run("python3", "-c", code))


def test_a_pipe_from_outside_is_a_doubt(run: Run, place: Path) -> None:
    os.mkfifo(place / "pipe")
    writer = threading.Thread(target=lambda: (place / "pipe").write_bytes(b"x"))
    writer.start()
    recording = run("/bin/cat", "pipe")
    writer.join()
    assert "outside-pipe" in doubts(recording)
    own = run("/bin/sh", "-c", "mkfifo own; echo x > own & cat own; wait")
    assert not doubts(own)


def test_an_inherited_descriptor_is_a_doubt_only_when_used(
    run: Run, escapes: Path, place: Path
) -> None:
    (place / "f").write_bytes(b"x")
    reader = os.open(place / "f", os.O_RDONLY)
    os.set_inheritable(reader, True)
    try:
        used = run(escapes, "use-descriptor", str(reader))
        unused = run(escapes, "io-uring")
        replaced = run("/bin/sh", "-c", f"exec {reader}<f; cat <&{reader}") if reader < 10 else None
    finally:
        os.close(reader)
    assert said(used) == b"1\n"
    assert "inherited-descriptor" in doubts(used)
    assert not doubts(unused)
    assert replaced is None or said(replaced) == b"x"


def test_signalling_an_outsider_is_a_doubt(run: Run) -> None:
    assert "outside-process" in doubts(run("/bin/sh", "-c", f"kill -0 {os.getppid()}"))
    assert not doubts(run("/bin/sh", "-c", "sleep 5 & kill $!; wait; kill -0 $$; true"))


def test_memory_of_outsiders_is_a_doubt(run: Run) -> None:
    recording = run("/bin/sh", "-c", f": < /proc/{os.getppid()}/mem; true")
    assert "foreign-memory" in doubts(recording)


def test_descriptor_limits_are_the_programs_own(run: Run, escapes: Path) -> None:
    import resource  # noqa: PLC0415 - not on every system

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert said(run(escapes, "limits")) == f"{soft} {hard}\n".encode()


def test_untraced_is_never_complete_enough(run: Run) -> None:
    recording = run("/bin/echo", "seen", traced=False)
    assert said(recording) == b"seen\n"
    assert "not-traced" in doubts(recording)


def test_a_recording_inside_a_recording_is_not_traced(run: Run, place: Path) -> None:
    code = (
        "import os, tempfile; from pathlib import Path\n"
        "from ring2_orchestrator.recorder.record import record\n"
        "with tempfile.TemporaryDirectory() as d:\n"
        "    r = record(['/bin/cat', 'f'], cwd=Path.cwd(), env=os.environ, scratch=Path(d))\n"
        "    print(sorted({d.kind for d in r.doubts}), r.exit.status, flush=True)\n"
    )
    (place / "f").write_bytes(b"inner\n")
    import sys  # noqa: PLC0415 - only here

    root = str(Path(__file__).parents[2])
    recording = run(sys.executable, "-c", code, env={**os.environ, "PYTHONPATH": root})
    assert said(recording) == b"inner\n['not-traced'] 0\n"
    assert events(recording, place / "f", Kind.READ)
