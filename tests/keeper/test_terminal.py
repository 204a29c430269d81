"""At a terminal the compiler has one, and what it printed there is kept like everything else."""

import os
import pty
import shutil

import pytest

from tests.keeper.conftest import TOOLS, UNFIT, Build

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (TOOLS / "redoxa-cc").exists() or shutil.which("cc") is None,
        reason="the wrappers are not installed here, or there is no C compiler",
    ),
]


def shown(build: Build, text: str) -> bytes:
    """What a person sees of some calls in a session of its own."""
    pid, master = pty.fork()
    if not pid:
        os.chdir(build.project)
        env = {**build.env, **UNFIT, "TERM": "xterm"}
        os.execve("/bin/sh", ["sh", "-c", text], env)  # noqa: S606 - a shell it is
    seen = b""
    try:
        while block := os.read(master, 65536):
            seen += block
    except OSError:
        pass  # the last who had it has gone
    os.close(master)
    assert os.waitpid(pid, 0)[1] == 0
    return seen


def test_a_terminal_stays_one_and_is_answered_as_one(build: Build) -> None:
    build.begun()
    build.write("warns.c", "#warning look here\nint x;\n")
    call = f"{TOOLS}/redoxa-cc -c warns.c -o"
    first, again = (shown(build, f"{call} one.o && {call} two.o") for _ in range(2))
    assert b"\x1b[" in first
    assert first.count(b"look here") == again.count(b"look here") > 1
    assert first == again
    assert [verdict for verdict, _, _ in build.log()[2:]] == ["ran", "ran", "reused", "reused"]
