"""Ctrl-C, and who else ends a command, leaves no half file and a sound store."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.manners.shell import redoxa


def interrupted(
    words: Sequence[str], feed: bytes, ready: bytes, by: signal.Signals = signal.SIGINT
) -> tuple[int, str]:
    """Start a command, wait until it is well under way, and interrupt it."""
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
    os.killpg(child.pid, by)
    _, err = child.communicate(timeout=60)
    return child.returncode, err.decode()


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_who_interrupts_finds_no_half_file(here: Path, by: signal.Signals) -> None:
    code, err = interrupted(["pack", "-", "-o", "out.rdx"], bytes(1 << 20), b"", by)
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
