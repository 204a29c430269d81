"""Workers that are stopped: by a signal, or with the power of the disk that they work on."""

import contextlib
import fcntl
import itertools
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np

from tests.faults.promises import Promises, Tally

ROOT = Path(__file__).resolve().parents[2]
SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
WITHOUT_LOG_FLUSH = struct.pack("I", 2)
IMAGE_BYTES = 1 << 30
CYCLES = 25  # then another home, so that looking at all of it stays quick


class Worker:
    """One process at work on a home, and everything it was promised."""

    def __init__(self, home: Path, name: str, seed: int, *, syncs: bool = True) -> None:
        words = [str(home), name, str(seed), *([] if syncs else ["nosync"])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.worker", *words],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._lines: list[bytes] = []
        self._opened = threading.Event()
        # Read all the time: a full pipe would stop the worker.
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)
            self._opened.set()
        self._opened.set()

    def wait_until_open(self) -> None:
        """Return when it is at work, or has ended."""
        self._opened.wait()

    def kill(self, *, cut_ns: int | None = None) -> list[bytes]:
        """Stop it at once; what it was promised, until `cut_ns` where that is given.

        Stopping it twice is harmless.
        """
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            with self._process:
                self._listener.join()
                assert self._process.stderr is not None
                said = self._process.stderr.read()
            assert not said, said.decode()
        return [_heard(line, cut_ns) for line in self._lines]


def _heard(line: bytes, cut_ns: int | None) -> bytes:
    """The line without its time. What was said after the cut promised nothing, or told of it.

    A disk whose power was cut has no later moment, but this kernel has: a sync that was under way
    when the file system was shut down may return as if nothing were wrong.
    """
    stamp, _, said = line.partition(b" ")
    is_late = cut_ns is not None and int(stamp) >= cut_ns
    void = (b"put ", b"root ", b"entry ", b"unopened ")
    return b"" if is_late and said.startswith(void) else said


class Homes:
    """The home that is worked on, what was promised of it, and the next one in its time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.tally = Tally()
        self._begin()

    def _begin(self) -> None:
        self.path = self._folder / f"home-{self.tally.counts['home']}"
        self.tally.counts["home"] += 1
        self._promises = Promises(self.tally)
        self._cycles = 0

    def judge(self, lines: list[bytes], *, stops: int, no_index: bool) -> None:
        """Compare the home with what its workers heard, and let work go on."""
        self._promises.hear(lines)
        if no_index:
            remove_index(self.path)
        self._promises.compare(self.path)
        self.tally.counts["stop"] += stops
        self._cycles += 1
        if self._cycles < CYCLES and not self.tally.broken:
            self._promises.go_on(self.path)
        else:
            shutil.rmtree(self.path)
            self._begin()


def remove_index(home: Path) -> None:
    """The store's index is lost with its logs."""
    for file in (home / "store").glob("index*"):
        file.unlink()


def killed(folder: Path, kills: int, *, seed: int) -> Tally:
    """Kill workers at random moments; at every third, another one goes on for a while."""
    draw = np.random.Generator(np.random.PCG64(seed))
    homes = Homes(folder)
    for turn in itertools.count():
        if homes.tally.counts["stop"] >= kills:
            break
        lines: list[bytes] = []
        workers = _start(homes.path, seed, turn, syncs=True)
        try:
            for worker in workers:
                _let_work(draw, [worker])
                lines += worker.kill()
        finally:
            for worker in workers:
                worker.kill()
        homes.judge(lines, stops=len(workers), no_index=turn % 10 == 9)
    return homes.tally


def _start(home: Path, seed: int, turn: int, *, syncs: bool) -> list[Worker]:
    first = (seed + turn) * 2
    return [
        Worker(home, str(at), first + at, syncs=syncs) for at in range(2 if turn % 3 == 0 else 1)
    ]


def _let_work(draw: np.random.Generator, workers: list[Worker]) -> None:
    if draw.integers(6):  # one in six is stopped at some moment after its start
        for worker in workers:
            worker.wait_until_open()
    time.sleep(float(draw.exponential(0.15)))


class Disk:
    """An ext4 file system whose power can be cut: what is not on its device is lost."""

    def __init__(self, folder: Path) -> None:
        self._image, self.path = folder / "disk.img", folder / "disk"
        self.path.mkdir()
        with self._image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        _run("mkfs.ext4", "-q", str(self._image))

    @contextlib.contextmanager
    def mounted(self) -> Generator[None]:
        """The file system is there for the block."""
        _run("mount", "-o", "loop", str(self._image), str(self.path))
        try:
            yield
        finally:
            _run("umount", str(self.path))

    def cut_power(self) -> int:
        """Stop the file system at once, without writing what waits in memory; when that began."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            cut_ns = time.monotonic_ns()
            fcntl.ioctl(fd, SHUTDOWN, WITHOUT_LOG_FLUSH)
        finally:
            os.close(fd)
        return cut_ns


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def why_no_power_cut() -> str | None:
    """What this machine lacks for a power cut without hardware; None where it lacks nothing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "cutting the power of a file system needs Linux and the superuser, for mounting"
    if shutil.which("mkfs.ext4") is None:
        return "cutting the power of a file system needs mkfs.ext4 (e2fsprogs)"
    with tempfile.TemporaryDirectory() as folder:
        try:
            disk = Disk(Path(folder))
            with disk.mounted():
                disk.cut_power()
        except (OSError, subprocess.CalledProcessError) as error:
            return f"this kernel mounts no ext4 on a loop device, or cannot shut it down ({error})"
    return None


def cut(cuts: int, *, seed: int, syncs: bool = True) -> Iterator[Tally]:
    """Cut the power that often, at random moments; the tally after each cut.

    After every second cut the index is lost, too.
    """
    draw = np.random.Generator(np.random.PCG64(seed))
    # In memory where that can be: what counts is what was on the device, not how slow it is.
    memory = Path("/dev/shm")  # noqa: S108 - a fresh folder in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        disk = Disk(Path(folder))
        homes = Homes(disk.path)
        for turn in range(cuts):
            with disk.mounted():
                workers = _start(homes.path, seed, turn, syncs=syncs)
                cut_ns = None
                try:
                    _let_work(draw, workers)
                    cut_ns = disk.cut_power()
                finally:  # whatever happens: a disk in use stays mounted
                    lines = [line for worker in workers for line in worker.kill(cut_ns=cut_ns)]
            with disk.mounted():
                homes.judge(lines, stops=1, no_index=turn % 2 == 1)
            yield homes.tally
