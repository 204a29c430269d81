"""Pipes that do not block: what is slow is waited for, and nothing is lost."""

import fcntl
import os
import subprocess
import termios
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.manners.shell import REDOXA

_NONE = bytes(4)  # where the kernel says how much a pipe holds
# More than any pipe holds at once.
DATA = bytes(at * at // 3 % 251 for at in range(300_000))

pytestmark = pytest.mark.slow


def fed(words: str, data: bytes) -> "subprocess.CompletedProcess[bytes]":
    """A command whose standard input gets more only when all that it got was read."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with subprocess.Popen(
        f"{REDOXA} {words}".split(), stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        os.close(reader)

        def feed() -> None:
            with suppress(BrokenPipeError), os.fdopen(writer, "wb", buffering=0) as file:
                for at in range(0, len(data), 10_000):
                    file.write(data[at : at + 10_000])
                    while program.poll() is None and any(
                        fcntl.ioctl(file, termios.FIONREAD, _NONE)
                    ):
                        time.sleep(0.001)

        feeding = threading.Thread(target=feed)
        feeding.start()
        said, complaint = program.communicate(timeout=60)
        feeding.join()
    return subprocess.CompletedProcess(words, program.returncode, said, complaint)


def drained(words: str, *, buffering: str) -> tuple[int, bytes]:
    """The exit code of a command and what it wrote into a pipe that is slowly read."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    environment = {**os.environ, "PYTHONUNBUFFERED": buffering}
    with subprocess.Popen(f"{REDOXA} {words}".split(), stdout=writer, env=environment) as program:
        os.close(writer)
        with os.fdopen(reader, "rb", buffering=0) as file:
            whole = bytearray(file.read(1))
            while part := file.read(3_000):
                whole += part
        return program.wait(timeout=60), bytes(whole)


@pytest.mark.parametrize("words", ["pack - -o a.rdx -g store", "store put -"])
def test_an_input_that_is_empty_for_the_moment_has_not_ended(here: Path, words: str) -> None:
    done = fed(words, DATA)
    assert done.returncode == 0, done.stderr
    if words.startswith("pack"):
        assert (here / "a.rdx").read_bytes().endswith(DATA)
    else:
        back = subprocess.run(
            [*REDOXA.split(), "store", "get", done.stdout.split()[0].decode()],
            capture_output=True, check=True, timeout=60,
        )  # fmt: skip
        assert back.stdout == DATA


@pytest.mark.parametrize("buffering", ["", "1"])
def test_an_output_that_is_full_for_the_moment_gets_everything(here: Path, buffering: str) -> None:
    (here / "data").write_bytes(DATA)
    code, whole = drained("pack data -g store -o -", buffering=buffering)
    assert code == 0
    assert whole.endswith(DATA)
    (here / "a.rdx").write_bytes(whole)
    assert drained("unpack a.rdx -o -", buffering=buffering) == (0, DATA)
    code, said = drained("--help", buffering=buffering)
    assert (code, said[:6]) == (0, b"usage:")


def test_without_buffers_a_disk_that_is_full_is_no_success(here: Path) -> None:
    """The disk takes a part of the last bytes; Python by itself takes that for all of them."""
    (here / "data").write_bytes(DATA)
    line = f"ulimit -f 200; trap '' XFSZ; {REDOXA} pack data -g store -o - > out"
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, check=False, timeout=60,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert done.returncode == 5, done.stderr
    assert b"standard output cannot be written (File too large)" in done.stderr
