"""Ctrl-C leaves no half file and a sound store."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.manners.shell import redoxa


def interrupted(words: Sequence[str], feed: bytes, ready: bytes) -> tuple[int, str]:
    """Start a command, wait until it is well under way, and press Ctrl-C."""
    child = subprocess.Popen(
        [sys.executable, "-m", "redoxa", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    # More than a pipe holds: when all is written, the command is reading.
    child.stdin.write(feed)
    child.stdin.flush()
    assert child.stdout.read(len(ready)) == ready
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=60)
    return child.returncode, err.decode()


def test_ctrl_c_leaves_no_half_file(here: Path) -> None:
    code, err = interrupted(["pack", "-", "-o", "out.rdx"], bytes(1 << 20), b"")
    assert (code, err) == (130, "redoxa: interrupted\n")
    assert [path.name for path in here.iterdir()] == ["in.txt"]


def test_ctrl_c_reaches_the_program_of_a_run(here: Path) -> None:
    line = "echo ready; cat >/dev/null; sleep 60"
    code, err = interrupted(["run", "--", "sh", "-c", line], b"", b"ready\n")
    assert code == 130
    assert err.startswith("redoxa: not reusable: ")
    assert err.count("\n") == 1
    assert redoxa("ledger", "verify") == 0
    assert redoxa("store", "verify") == 0
