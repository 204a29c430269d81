"""Records real programs: shells, Python, and a static one built here for everything awkward."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pytest

from ring2_orchestrator.recorder import compile as compiler
from ring2_orchestrator.recorder.event import Event, Kind, Recording
from ring2_orchestrator.recorder.record import record
from ring2_orchestrator.recorder.relay import Limits
from ring2_orchestrator.recorder.streams import Stdin, StdinSource

HERE = Path(__file__).parent


@pytest.fixture(scope="session", autouse=True)
def _linux() -> None:
    if not compiler.can_record():
        pytest.skip("programs are recorded on Linux (x86_64, aarch64) only")


class Run(Protocol):
    def __call__(
        self,
        *command: str | Path,
        stdin: StdinSource = ...,
        limits: Limits = ...,
        env: Mapping[str, str] | None = None,
        traced: bool = True,
    ) -> Recording: ...


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder in which the recorded programs run."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.fixture
def run(place: Path, tmp_path: Path) -> Run:
    """Record a command in `place` without showing its output."""
    count = iter(range(1000))

    def run_it(
        *command: str | Path,
        stdin: StdinSource = Stdin(None),  # noqa: B008 - a frozen value
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
        env: Mapping[str, str] | None = None,
        traced: bool = True,
    ) -> Recording:
        scratch = tmp_path / f"scratch-{next(count)}"
        scratch.mkdir()
        return record(
            [str(word) for word in command],
            cwd=place,
            env=dict(os.environ) if env is None else env,
            scratch=scratch,
            stdin=stdin,
            forward=False,
            limits=limits,
            traced=traced,
        )

    return run_it


@pytest.fixture(scope="session")
def escapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The static program of escapes.c."""
    target = tmp_path_factory.mktemp("programs") / "escapes"
    words = compiler.system_compiler() or compiler.zig_compiler(static=True)
    if words is None:
        pytest.skip("no C compiler is here to build the awkward program with")
    subprocess.run(
        [*words, "-O1", "-static", "-pthread", "-o", str(target), str(HERE / "escapes.c")],
        check=True,
    )
    return target


def said(recording: Recording) -> bytes:
    """Everything the program wrote."""
    return b"".join(chunk.data for chunk in recording.output)


def doubts(recording: Recording) -> set[str]:
    """The kinds of doubt."""
    return {doubt.kind for doubt in recording.doubts}


def events(recording: Recording, path: Path | str | bytes, *kinds: Kind) -> list[Event]:
    """The events at that path, of those kinds if any are given."""
    name = path if isinstance(path, bytes) else os.fsencode(path)
    return [e for e in recording.events if e.path == name and (not kinds or e.kind in kinds)]


def kinds(recording: Recording, path: Path | str | bytes) -> list[Kind]:
    """What happened at that path, in order."""
    return [event.kind for event in events(recording, path)]


@pytest.fixture
def as_nobody(tmp_path: Path) -> None:
    """Skips unless we are root and may become somebody else, who may then reach `tmp_path`."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user; the other tests already run as one")
    for folder in [tmp_path, *tmp_path.parents][:-1]:
        folder.chmod(folder.stat().st_mode | 0o011)
