"""Places that may not be read or written, and full disks: one clear sentence and its exit code."""

import os
import resource
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.manners.shell import redoxa, said


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("pack secret", 3),
        ("unpack secret -o x", 3),
        ("inspect secret", 3),
        ("gene check secret", 3),
        ("gene print ./secret", 3),
        ("kernel show secret", 3),
        ("kernel check secret", 3),
        ("store put secret", 3),
        ("run --script secret", 126),
        ("run -- ./secret", 126),
        ("why secret", 3),
        ("jit hint secret", 3),
        ("ledger verify --checkpoint secret", 3),
        ("pack in.txt -o locked/x", 3),
        ("pack locked/x", 3),
    ],
)
@pytest.mark.usefixtures("powerless")
def test_what_may_not_be_read_or_written_is_a_sentence(
    here: Path, capsys: pytest.CaptureFixture[str], words: str, code: int
) -> None:
    (here / "secret").write_text("x")
    (here / "secret").chmod(0)
    (here / "locked").mkdir(mode=0)
    assert redoxa(*words.split()) == code
    said(capsys)
    (here / "locked").chmod(0o700)


STATEFUL = [
    ("store stat", 3),
    ("store put in.txt", 3),
    ("store demote --auto", 3),
    ("ledger log", 3),
    ("ledger verify", 3),
    ("jit status", 3),
    ("jit hint -- true", 3),
    ("why -- true", 3),
    ("run -- true", 125),
]


@pytest.mark.parametrize(("words", "code"), STATEFUL)
def test_a_home_that_is_a_file_is_a_sentence(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    code: int,
) -> None:
    monkeypatch.setenv("REDOXA_HOME", str(here / "in.txt"))
    assert redoxa(*words.split()) == code
    assert "name another with --home or REDOXA_HOME" in said(capsys)
    assert (here / "in.txt").read_text() == "21\n"


@pytest.mark.parametrize(("words", "code"), STATEFUL)
@pytest.mark.usefixtures("powerless")
def test_a_home_that_may_not_be_written_is_a_sentence(
    here: Path, capsys: pytest.CaptureFixture[str], words: str, code: int
) -> None:
    Path(os.environ["REDOXA_HOME"]).mkdir(mode=0o500)
    assert redoxa(*words.split()) in (code, 5)
    assert "Permission denied" in said(capsys)


@contextmanager
def full_disk() -> Generator[None]:
    """No file may grow: a write fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("words", "code"), [("store verify", 3), *STATEFUL])
def test_a_full_disk_is_a_sentence(
    here: Path, capsys: pytest.CaptureFixture[str], words: str, code: int
) -> None:
    with full_disk():
        assert redoxa(*words.split()) == (code if code == 125 else 5)
    said(capsys)
