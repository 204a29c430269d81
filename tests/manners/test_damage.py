"""Files of a home that are spoilt: told in a sentence, and the work can still be done."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.manners.shell import ECHO, redoxa, said


def spoilt(home: Path) -> Sequence[tuple[Path, bytes]]:
    """Each file of a home, cut, emptied and with a bit flipped."""
    cases: list[tuple[Path, bytes]] = []
    for path in sorted(path for path in home.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if not data:
            continue
        middle = len(data.rstrip(b"\0")) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 16]) + data[middle + 1 :]
        cases += [(path, data[:middle]), (path, b""), (path, flipped)]
    return cases


def test_a_spoilt_home_is_told_in_a_sentence_and_never_a_crash(
    here: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    home = Path(os.environ["REDOXA_HOME"])
    for text in ("1\n", "2\n"):
        (here / "in.txt").write_text(text)
        assert redoxa("run", "-q", "--", *ECHO) == 0
        assert redoxa("store", "put", "in.txt") == 0
    for path, data in spoilt(home):
        copy = tmp_path / "copy"
        shutil.copytree(home, copy)
        (copy / path.relative_to(home)).write_bytes(data)
        for words in (
            ["store", "stat"],
            ["ledger", "verify"],
            ["ledger", "log"],
            ["log"],
            ["why", "--", *ECHO],
            ["jit", "status"],
            ["jit", "hint", "--", *ECHO],
        ):
            capfd.readouterr()
            code = redoxa("--home", copy, *words)
            err = capfd.readouterr().err
            assert code in (0, 1, 4), (path, words, err)
            assert err.count("\n") == (1 if code == 4 else 0), (path, words, err)
        # Whatever is lost, the work can still be done, or a sentence says why not.
        (here / "out.txt").unlink(missing_ok=True)
        code = redoxa("--home", copy, "run", "--", *ECHO)
        assert code in (0, 125), (path, capfd.readouterr().err)
        assert code == 125 or (here / "out.txt").read_text() == "2\n"
        shutil.rmtree(copy)


def test_a_damaged_environment_key_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = Path(os.environ["REDOXA_HOME"])
    home.mkdir()
    (home / "environment.key").write_bytes(b"short")
    assert redoxa("why", "--", "true") == 4
    assert "environment.key is damaged: it holds 5 bytes instead of 32; delete it" in said(capsys)
