"""With a terminal around us, the program has one too: same size, keys, colours and Ctrl-C."""

import fcntl
import os
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SHOW = """
import os, sys, tempfile
from pathlib import Path
from ring2_orchestrator.recorder.record import record
from ring2_orchestrator.recorder.streams import Stdin
quiet = os.environ.get("QUIET_STDIN")
with tempfile.TemporaryDirectory() as d:
    stdin = Stdin(None) if quiet else Stdin()
    r = record(sys.argv[1:], cwd=Path.cwd(), env=os.environ, scratch=Path(d), stdin=stdin)
    kinds = sorted({x.kind for x in r.doubts})
    print("REPORT", r.exit.status, kinds, r.terminals, tuple(r.window or ()), r.stdin.data)
    print("BYTES", b"".join(c.data for c in r.output), "DONE")
"""


class Terminal:
    """A person at a terminal of 33 rows and 99 columns who records one command."""

    def __init__(self, *command: str, quiet_stdin: bool = False) -> None:
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        if quiet_stdin:
            env["QUIET_STDIN"] = "1"
        words = [sys.executable, "-c", SHOW, *command]
        self.fd, slave = os.openpty()
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
        self.seen = b""
        name = os.ttyname(slave)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fd = os.open(name, os.O_RDWR)  # the session's first terminal becomes its own
            for number in range(3):
                os.dup2(fd, number)
            os.execvpe(words[0], words, env)  # noqa: S606 - the child of a fork becomes it  # noqa: S606 - the forked child of this test

    def wait_for(self, text: bytes, timeout_s: float = 20) -> None:
        deadline = time.monotonic() + timeout_s
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, self.seen
            ready, _, _ = select.select([self.fd], [], [], left)
            if ready:
                self.seen += os.read(self.fd, 65536)

    def press(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def report(self) -> bytes:
        self.wait_for(b"DONE")
        os.waitpid(self.pid, 0)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal's settings are back"
        os.close(self.slave)
        os.close(self.fd)
        line = next(line for line in self.seen.splitlines() if b"REPORT" in line)
        return line[line.index(b"REPORT") :]


pytestmark = pytest.mark.slow


def test_every_stream_is_a_terminal_of_the_same_size() -> None:
    terminal = Terminal("sh", "-c", "test -t 0 && test -t 1 && test -t 2 && stty size; tty")
    report = terminal.report()
    assert b"33 99\r\n/dev/pts/" in terminal.seen
    assert report == b"REPORT 0 [] (True, True, True) (99, 33) b''"


def test_keys_reach_the_program_and_are_not_kept() -> None:
    terminal = Terminal("sh", "-c", "echo ready; read x; echo got $x")
    terminal.wait_for(b"ready")
    terminal.press(b"secret\n")
    assert terminal.report() == b"REPORT 0 ['terminal-input'] (True, True, True) (99, 33) b''"
    assert b"got secret" in terminal.seen


def test_ctrl_c_is_the_programs_to_handle() -> None:
    script = "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.05; done"
    terminal = Terminal("sh", "-c", script)
    terminal.wait_for(b"ready")
    terminal.press(b"\x03")
    assert terminal.report().startswith(b"REPORT 7 ['terminal-input']")
    assert b"caught" in terminal.seen


def test_ctrl_c_ends_a_program_that_does_not_care() -> None:
    terminal = Terminal("sh", "-c", "echo ready; exec sleep 20")
    terminal.wait_for(b"ready")
    terminal.press(b"\x03")
    assert terminal.report().startswith(b"REPORT 130 ['signal', 'terminal-input']")


def test_ctrl_d_ends_the_input() -> None:
    terminal = Terminal("sh", "-c", "echo ready; cat; echo over")
    terminal.wait_for(b"ready")
    terminal.press(b"\x04")
    terminal.wait_for(b"over")
    assert terminal.report().startswith(b"REPORT 0")


def test_a_new_size_is_passed_on() -> None:
    script = "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done"
    terminal = Terminal("sh", "-c", script)
    terminal.wait_for(b"ready")
    terminal.resize(40, 120)
    terminal.wait_for(b"40 120")
    terminal.report()


def test_without_a_terminal_for_input_ctrl_c_still_works() -> None:
    script = "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.05; done"
    terminal = Terminal("sh", "-c", script, quiet_stdin=True)
    terminal.wait_for(b"ready")
    terminal.press(b"\x03")
    assert terminal.report().startswith(b"REPORT 7 ['signal'] (False, True, True)")
    assert terminal.seen.count(b"caught\r\n") == 1


def test_only_output_on_a_terminal_is_recorded_as_it_was_written() -> None:
    terminal = Terminal("printf", r"a\nb\n", quiet_stdin=True)
    terminal.report()
    assert b"BYTES b'a\\nb\\n'" in terminal.seen
    assert b"a\r\nb\r\n" in terminal.seen


def test_death_of_the_terminal_reaches_the_program(tmp_path: Path) -> None:
    mark = tmp_path / "hung-up"
    script = f"trap 'echo x > {mark}; exit' HUP; echo ready; while :; do sleep 0.05; done"
    terminal = Terminal("sh", "-c", script)
    terminal.wait_for(b"ready")
    os.close(terminal.slave)
    os.close(terminal.fd)
    deadline = time.monotonic() + 10
    while not mark.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(terminal.pid, signal.SIGCONT)
    os.waitpid(terminal.pid, 0)
