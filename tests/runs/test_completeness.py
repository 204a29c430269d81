"""Every path that strace sees is among the recorder's events, with what was done to it."""

import os
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from ring2_orchestrator.recorder import compile as compiler

ROOT = Path(__file__).resolve().parents[2]
# They need nothing from the index, and no tool that a machine with a compiler may lack.
OWN = ("pipeline", "static", "perl", "tar", "git", "cmake", "node")


def spelled(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def line(time: float, text: str) -> str:
    """A line of the log; what stands between <> and in quotes is written in hexadecimal."""
    parts = text.split("'")
    return f"{time:.6f} " + "".join(
        spelled(part) if at % 2 else part for at, part in enumerate(parts)
    )


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    return import_module("strace_log")


@pytest.mark.parametrize(
    ("text", "touched"),
    [
        ("openat(AT_FDCWD<'/a'>, \"'b'\", O_RDONLY) = 3<'/a/b'>", ["probed /a/b", "opened /a/b"]),
        ("openat(5<'/d'>, \"'b'\", O_RDONLY) = -1 ENOENT (No such file)", ["probed /d/b"]),
        ("access(\"'x/y'\", R_OK) = 0", ["probed /start/x/y"]),
        ("readlink(\"'/l'\", \"'target'\", 4096) = 6", ["probed /l"]),
        ("symlink(\"'target'\", \"'/l'\") = 0", ["probed /l"]),
        ("rename(\"'a'\", \"'/b'\") = 0", ["probed /start/a", "probed /b"]),
        (
            "linkat(3<'/p'>, \"'a'\", AT_FDCWD<'/q'>, \"'b'\", 0) = 0",
            ["probed /p/a", "probed /q/b"],
        ),
        (
            "execve(\"'/p'\", [\"'p'\", \"'/no'\"], 0x1 /* 3 vars */) = 0",
            ["probed /p", "executed /p"],
        ),
        ("getdents64(3<'/d'>, 0x1 /* 4 entries */, 32768) = 112", ["listed /d"]),
        ("newfstatat(3<'/d/f'>, \"\", {st_mode=S_IFREG|0644, ...}, AT_EMPTY_PATH) = 0", []),
        ("clone(child_stack=NULL, flags=SIGCHLD) = 77", []),
        ("exit_group(0) = ?", []),
    ],
)
def test_a_line_of_the_log_says_what_was_touched(
    logs: Any, tmp_path: Path, text: str, touched: list[str]
) -> None:
    (tmp_path / "log.7").write_text(line(1.0, text) + "\n+++ exited with 0 +++\n")
    found = logs.touches(tmp_path / "log", Path("/start"))
    assert [f"{touch.deed} {os.fsdecode(touch.path)}" for touch in found] == touched


def test_a_process_begins_where_its_parent_stood(logs: Any, tmp_path: Path) -> None:
    parent = [
        "chdir(\"'sub'\") = 0",
        "vfork() = 8",
        "fchdir(4<'/else'>) = 0",
        "access(\"'x'\", R_OK) = 0",
    ]
    (tmp_path / "log.7").write_text(
        "".join(line(at, text) + "\n" for at, text in enumerate(parent))
    )
    (tmp_path / "log.8").write_text(line(3.5, "access(\"'x'\", R_OK) = 0") + "\n")
    found = [os.fsdecode(touch.path) for touch in logs.touches(tmp_path / "log", Path("/start"))]
    assert found == ["/start/sub", "/else/x", "/start/sub/x"]


@pytest.mark.long
@pytest.mark.skipif(not compiler.can_record(), reason="programs are recorded on Linux only")
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("name", OWN)
def test_the_recorder_sees_what_strace_sees(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    bench, programs = import_module("completeness"), import_module("program_set")
    program = next(program for program in programs.PROGRAMS if program.name == name)
    env = {**os.environ, "REDOXA_HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path)}
    if tool := programs.lacks(program, env):
        pytest.skip(f"{tool} is not installed")
    row = bench.examine(program, tmp_path / "place", env)
    assert row.code == 0
    assert row.missed == {}
    assert sum(row.seen.values()) > 5
