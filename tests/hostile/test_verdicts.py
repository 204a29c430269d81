"""A module is examined once; what says so later is believed only where it was written."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ring0 import subject, verdicts
from ring0.boundary import MIB, Boundary
from ring0.examination import Examination
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.subject import Depth
from ring0.verdicts import Verdicts
from ring2_orchestrator.commands import main

Twin = Callable[..., Kernel]
MODULE = Path(__file__).parent / "modules" / "import-fs.wasm"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "verdicts"


@pytest.fixture
def refused(host: Host, folder: Path, twin: Twin) -> Examination:
    """An examination that ended in a refusal and is kept."""
    found = Verdicts(folder).examine(twin("unreachable").wasm, host)
    assert not found.passed
    return found


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("*.verdict")
    return path


def test_a_module_is_examined_once(
    host: Host, folder: Path, twin: Twin, refused: Examination, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(wasm: bytes, host: Host, **_: object) -> Examination:
        raise AssertionError("it was examined again")

    monkeypatch.setattr(verdicts, "examine", never)
    assert Verdicts(folder).examine(twin("unreachable").wasm, host) == refused
    with pytest.raises(AssertionError, match="examined again"):
        Verdicts(folder).examine(twin("unreachable", cap=17).wasm, host)


@pytest.mark.parametrize(
    ("what", "other"),
    [("ENGINE", "51.0.0"), ("LIMITS", Boundary(fuel=1)), ("_inspector", lambda: "of tomorrow")],
)
def test_another_engine_other_limits_or_another_inspector_find_nothing(
    folder: Path, refused: Examination, monkeypatch: pytest.MonkeyPatch, what: str, other: object
) -> None:
    assert Verdicts(folder).find(refused.cid) == refused
    monkeypatch.setattr(verdicts, what, other)
    assert Verdicts(folder).find(refused.cid) is None


def test_no_flipped_bit_is_believed(folder: Path, refused: Examination) -> None:
    path, draw = only_file(folder), np.random.default_rng(5)
    whole = path.read_bytes()
    for bit in draw.integers(0, 8 * len(whole), 300):
        harmed = bytearray(whole)
        harmed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(harmed)
        assert Verdicts(folder).find(refused.cid) is None
    path.write_bytes(whole)
    assert Verdicts(folder).find(refused.cid) == refused


def test_one_modules_verdict_is_not_anothers(
    host: Host, folder: Path, twin: Twin, refused: Examination
) -> None:
    path = only_file(folder)
    other = Verdicts(folder).examine(twin("unreachable", cap=17).wasm, host)
    (theirs,) = set(folder.glob("*.verdict")) - {path}
    shutil.copy(path, theirs)
    assert Verdicts(folder).find(other.cid) is None
    assert Verdicts(folder).find(refused.cid) == refused


def test_a_copied_home_knows_no_verdicts(folder: Path, refused: Examination) -> None:
    copy = folder.parent.with_name("copy")
    shutil.copytree(folder.parent, copy)
    (copy / "verdicts").chmod(0o700)
    assert Verdicts(copy / "verdicts").find(refused.cid) is None


def test_what_this_machine_had_no_time_for_is_examined_again(
    host: Host, folder: Path, twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Boundary(memory_bytes=16 * MIB, output_bytes=MIB, wall_ms=60)
    monkeypatch.setattr(subject, "FIRST_LIMITS", short)
    endless = twin("(loop $l (br $l))")
    depth = Depth(cases=2, lengths=2, long=False)  # it ends each call by waiting
    found = Verdicts(folder).examine(endless.wasm, host, depth=depth)
    assert "timed out" in found.checks[-1].sentence
    assert Verdicts(folder).find(found.cid, depth) is None


def test_without_a_folder_to_trust_a_module_is_examined_anew(
    host: Host, tmp_path: Path, twin: Twin
) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "open").chmod(0o755)
    for name in ("file", "file/below", "open"):
        known = Verdicts(tmp_path / name)
        found = known.examine(twin("unreachable").wasm, host)
        assert not found.passed
        assert known.find(found.cid) is None


def test_the_command_remembers_in_the_users_own_home(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    said: list[str] = []
    for _ in range(2):
        assert main(["--home", str(home), "kernel", "check", str(MODULE)]) == 1
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert only_file(home / "verdicts").stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700
