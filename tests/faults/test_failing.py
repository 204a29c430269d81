"""Any call of the system may fail, SQLite's own among them: nothing acknowledged is lost by it.

A home is put to, streamed to, collected, repaired and verified while the n-th of its calls fails,
for every n until none does; then another process looks. What fails is said in a sentence.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ring2_orchestrator.recorder.compile import system_compiler, zig_compiler
from tests.faults.failing import FAILURES, Round

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(__file__).with_name("failing.c")
BOUNDED = os.environ.get("REDOXA_LONG") == "bounded"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that lets calls fail, built from its source."""
    if sys.platform != "linux":
        pytest.skip("calls are made to fail through the Linux loader's LD_PRELOAD")
    compiler = system_compiler() or zig_compiler()
    if compiler is None:
        pytest.skip("no C compiler is on PATH, and the ziglang package is not installed")
    made = tmp_path_factory.mktemp("failing") / "failing.so"
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-shared"]
    words = [*compiler, *flags, "-fPIC", "-o", str(made), str(SOURCE), "-ldl"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory, where that can be: which call fails is the same, and no disk is slow."""
    memory = Path("/dev/shm")  # noqa: S108 - a fresh folder in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def sweep(library: Path, folder: Path, how: str, *, first: int = 1, step: int = 1) -> list[Round]:
    """What came of letting every `step`-th call fail that way, one in each round."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.failing", folder, how, str(first), str(step)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    rounds = [Round(*json.loads(line)) for line in done.stdout.splitlines()]
    for at, found in enumerate(rounds):
        assert not found.broken, f"call {first + at * step}, {found.call}: {found.broken}"
    assert rounds[-1].call is None, "the sweep ends where no call is left to fail"
    return rounds


@pytest.mark.slow
@pytest.mark.parametrize("how", ["EIO", "full"])
def test_some_calls_fail_and_nothing_is_lost(library: Path, folder: Path, how: str) -> None:
    assert len(sweep(library, folder, how, first=100, step=400)) > 1


@pytest.mark.long
@pytest.mark.parametrize("how", FAILURES)
def test_every_call_fails_once_and_nothing_is_lost(
    library: Path,
    folder: Path,
    how: str,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    rounds = sweep(library, folder, how, step=31 if BOUNDED else 1)
    calls = Counter(found.call for found in rounds if found.call is not None)
    refused = sum(bool(found.refusals) for found in rounds)
    said = f"{len(rounds) - 1:,} calls, {refused:,} refused something; {dict(calls)}"
    record_testsuite_property(f"calls that failed: {how}", said)
    assert {"open", "fdatasync", "unlink"} <= calls.keys() or BOUNDED
    assert refused or how in ("EINTR", "short")
