"""The decoder in JavaScript at pipes: slow ones, such as never block, and such as nobody reads."""

import fcntl
import os
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from ring2_orchestrator.container import BytesSource, Contents, Original, write_stored
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.packing import pack
from ring2_orchestrator.planner import gene_from
from ring2_orchestrator.toolbox import Toolbox
from tests.container.conftest import node

ROOT = Path(__file__).parents[2]
WHOLE = bytes(at * at // 7 % 251 for at in range(300_000))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel what a pipe holds"),
]


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A container of more bytes than a pipe holds."""
    path = tmp_path / "whole.rdx"
    with path.open("wb") as file:
        write_stored(file, Original.of(BytesSource(WHOLE)), KernelSet(()))
    return path


def started(
    path: object, *, stdout: int, stdin: int = subprocess.DEVNULL
) -> "subprocess.Popen[bytes]":
    program = str(ROOT / "decoder_js" / "cli.mjs")
    kernels = str(ROOT / "tests" / "container" / "vectors" / "kernels")
    words = [node(), program, str(path), "--kernels", kernels]
    return subprocess.Popen(words, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)


def into_a_pipe(path: Path) -> tuple["subprocess.Popen[bytes]", int]:
    """The program, writing into a pipe that never blocks, and the end to read."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    program = started(path, stdout=writer)
    os.close(writer)
    return program, reader


def wait_until_full(program: "subprocess.Popen[bytes]", reader: int) -> None:
    room = fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ)
    while struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, bytes(4)))[0] < room:
        assert program.poll() is None, program.communicate()
        time.sleep(0.005)


def is_asleep(program: "subprocess.Popen[bytes]") -> bool:
    stat = Path(f"/proc/{program.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "S"


def ended(program: "subprocess.Popen[bytes]") -> tuple[int, bytes]:
    _, said = program.communicate(timeout=60)
    return program.returncode, said


def test_it_sleeps_until_a_full_pipe_is_read(packed: Path) -> None:
    program, reader = into_a_pipe(packed)
    wait_until_full(program, reader)
    # Whoever asks again and again whether there is room is always running, or about to.
    looks = 0
    while looks < 20:
        looks = looks + 1 if is_asleep(program) else 0
        assert program.poll() is None, program.communicate()
        time.sleep(0.001)
    given = bytearray()
    with os.fdopen(reader, "rb", buffering=0) as file:
        while part := file.read(5_000):
            given += part
    assert ended(program) == (0, b"")
    assert given == WHOLE


def test_it_ends_quietly_when_a_full_pipe_is_closed(packed: Path) -> None:
    program, reader = into_a_pipe(packed)
    wait_until_full(program, reader)
    os.close(reader)
    assert ended(program) == (141, b"")


def test_it_waits_for_what_standard_input_has_not_got_yet(packed: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    program = started("-", stdin=reader, stdout=subprocess.PIPE)
    os.close(reader)
    data = packed.read_bytes()
    with os.fdopen(writer, "wb", buffering=0) as file:
        file.write(data[:1_000])
        while not is_asleep(program):  # it found no more
            time.sleep(0.001)
        rest = memoryview(data)[1_000:]
        while rest:
            rest = rest[file.write(rest[:7_000]) :]
    whole, said = program.communicate(timeout=60)
    assert (program.returncode, said, whole) == (0, b"", WHOLE)


def test_a_named_pipe_is_a_container_as_well(packed: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = started(pipe, stdout=subprocess.PIPE)
    pipe.write_bytes(packed.read_bytes())
    whole, said = program.communicate(timeout=60)
    assert (program.returncode, said, whole) == (0, b"", WHOLE)


@pytest.mark.parametrize("words", [(), ("--range", "0:5")])
def test_a_directory_is_refused_and_not_written_as_bytes(
    tmp_path: Path, tools: Toolbox, words: tuple[str, ...]
) -> None:
    path = tmp_path / "folder.rdx"
    genes = [gene_from("bytes", tools.palette)]
    with path.open("wb") as file:
        pack(BytesSource(b"ab" * 900), file, genes, tools, contents=Contents.TREE)
    command = [node(), str(ROOT / "decoder_js" / "cli.mjs"), str(path), *words]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"holds a directory" in done.stderr


def test_it_runs_under_another_name(packed: Path, tmp_path: Path) -> None:
    """A link to it used to end well and write nothing."""
    other = tmp_path / "decode.mjs"
    other.symlink_to(ROOT / "decoder_js" / "cli.mjs")
    words = [node(), str(other), str(packed)]
    done = subprocess.run(words, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", WHOLE)
