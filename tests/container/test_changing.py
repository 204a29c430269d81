"""A file that changes while it is packed is refused, and nothing is written of it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ring2_orchestrator import packing
from ring2_orchestrator.commands import main

AUDIO = (Path(__file__).parent / "samples" / "instrument.i16").read_bytes()
NAME = Path("tone.i16")


def append() -> None:
    with NAME.open("ab") as file:
        file.write(b"more")


def overwrite() -> None:
    with NAME.open("r+b") as file:
        file.write(b"other")


def restamped() -> None:
    """Other bytes under the old times."""
    overwrite()
    status = NAME.stat()
    os.utime(NAME, ns=(status.st_atime_ns, STAMP))


def shorten() -> None:
    os.truncate(NAME, len(AUDIO) - 9)


STAMP = 1_700_000_000_000_000_000
MOMENTS = ["recognise", "finalists_of", "_ordered", "gives_back", "_store"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDOXA_HOME", str(tmp_path / "home"))
    NAME.write_bytes(AUDIO)
    os.utime(NAME, ns=(STAMP, STAMP))
    return tmp_path


def before(moment: str, change: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file change when packing comes to this function, once."""
    known = getattr(packing, moment)
    left = [change]

    def changed(*args: object, **named: object) -> object:
        if left:
            left.pop()()
        return known(*args, **named)

    monkeypatch.setattr(packing, moment, changed)


@pytest.mark.parametrize("change", [append, overwrite, restamped, shorten])
@pytest.mark.parametrize("moment", MOMENTS)
def test_what_changes_meanwhile_is_refused(
    here: Path,
    moment: str,
    change: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before(moment, change, monkeypatch)
    how = ["--profile", "fast", "--budget", "0"] if moment == "recognise" else ["--gene", "bytes"]
    how = ["--gene", "store"] if moment == "_store" else how
    assert main(["pack", str(NAME), *how, "-q"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert "tone.i16 " in said.err
    assert "while it was" in said.err
    assert sorted(path.name for path in here.iterdir() if path.name != "home") == ["tone.i16"]


def test_what_stood_there_stays(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "old.rdx").write_bytes(b"what stood there")
    before("gives_back", append, monkeypatch)
    assert main(["pack", str(NAME), "-o", "old.rdx", "--gene", "bytes", "-q", "--force"]) == 3
    assert (here / "old.rdx").read_bytes() == b"what stood there"


def test_other_times_and_the_same_bytes_are_no_change(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before("gives_back", NAME.touch, monkeypatch)
    assert main(["pack", str(NAME), "--gene", "bytes", "-q"]) == 0
    assert (here / "tone.i16.rdx").exists()
