"""A keeper works for those that are what it is, and for nobody else."""

import array
import ctypes
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ring2_orchestrator.keeper.circle import circle_of
from tests.keeper.conftest import TOOLS, UNFIT, Build

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (TOOLS / "redoxa-cc").exists() or shutil.which("cc") is None,
        reason="the wrappers are not installed here, or there is no C compiler",
    ),
]
SYSTEM = ctypes.CDLL(None, use_errno=True)
GREETING = struct.Struct("<cII16s")
_NO_NEW_PRIVS, _DROP_BOUND, _NET_RAW = 38, 24, 13
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_MAKE_BLOCK = 1 << 11  # of devices, which nothing here does
_NEWNET = 0x40000000


def no_new_privileges() -> None:
    assert SYSTEM.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) == 0


def fewer_capabilities() -> None:
    assert SYSTEM.prctl(_DROP_BOUND, _NET_RAW, 0, 0, 0) == 0


def other_network() -> None:
    assert SYSTEM.unshare(_NEWNET) == 0


def landlock() -> None:
    """A sandbox of which nothing tells."""
    rules = ctypes.c_uint64(_MAKE_BLOCK)
    made = SYSTEM.syscall(_CREATE_RULESET, ctypes.byref(rules), 8, 0)
    assert made >= 0
    assert SYSTEM.syscall(_RESTRICT_SELF, made, 0) == 0


def can(confine: Callable[[], None]) -> bool:
    """Whether this user may do it, here."""
    child = os.fork()
    if not child:
        try:
            confine()
            os._exit(0)
        except AssertionError:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    "confine", [no_new_privileges, fewer_capabilities, other_network, os.setsid]
)
def test_who_is_more_confined_has_a_keeper_of_its_own(
    build: Build, confine: Callable[[], None]
) -> None:
    if confine is not os.setsid and not can(confine):
        pytest.skip("this user may not do that")
    pid = build.begun()
    assert build.compile("third", env=UNFIT, preexec_fn=confine).returncode == 0
    assert build.compile("fourth", env=UNFIT).returncode == 0
    found = build.keepers()
    assert pid in found
    assert len(found) == 2
    (other,) = set(found) - {pid}
    assert circle_of(other) != circle_of(pid)


def test_a_sandbox_that_nothing_tells_of_is_not_served(build: Build) -> None:
    if not can(landlock):
        pytest.skip("there is no Landlock for this user")
    build.begun()
    known = build.log()
    assert build.compile("third", env=UNFIT, preexec_fn=landlock).returncode != 0
    assert build.log() == known
    assert build.compile("third", preexec_fn=landlock).returncode == 0  # by its own Python
    assert build.log() == [*known, ("ran", True, [])]


def test_nobody_in_such_a_sandbox_is_taken_for_a_keeper(build: Build) -> None:
    if not can(landlock):
        pytest.skip("there is no Landlock for this user")
    assert build.compile("first").returncode == 0
    assert build.compile("second", env=UNFIT, preexec_fn=landlock).returncode == 0
    assert len(build.keepers()) == 1
    assert build.compile("third", env=UNFIT).returncode != 0
    assert build.compile("third").returncode == 0  # by its own Python
    assert build.compile("fourth", env=UNFIT, preexec_fn=landlock).returncode != 0


def test_no_variable_of_a_call_reaches_the_keeper(build: Build, tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    evil.mkdir()
    trap = f"open({str(tmp_path / 'caught')!r}, 'a').write('x')"
    for name in ("sitecustomize", "usercustomize", "blake3", "sqlite3"):
        (evil / f"{name}.py").write_text(trap)
    assert build.compile("first").returncode == 0
    env = {
        "PYTHONPATH": str(evil),
        "PYTHONHOME": "/nonexistent",
        "PYTHONSTARTUP": str(evil / "blake3.py"),
        "LD_PRELOAD": str(tmp_path / "no.so"),
        "XDG_CACHE_HOME": str(evil),
        "HOME": str(evil),
        "BASH_ENV": str(evil / "blake3.py"),
    }
    assert build.compile("second", env=env).returncode == 0
    assert build.compile("third", env=UNFIT).returncode == 0
    (pid,) = build.keepers()
    assert Path(f"/proc/{pid}/environ").read_bytes() == b"PATH=/usr/bin:/bin\0"
    assert not (tmp_path / "caught").exists()
    assert [verdict for verdict, _, _ in build.log()] == ["ran"] * 3


def test_a_folder_of_sockets_that_others_may_enter_is_not_used(build: Build) -> None:
    assert build.compile("first").returncode == 0
    folder = build.home / "keepers"
    folder.mkdir(mode=0o700)
    folder.chmod(0o755)
    assert build.compile("second").returncode == 0
    folder.rmdir()
    folder.symlink_to(build.base)
    assert build.compile("third").returncode == 0
    assert build.keepers() == []
    assert [verdict for verdict, _, _ in build.log()] == ["ran"] * 3


def test_strangers_and_liars_get_nothing_done(build: Build) -> None:
    pid = build.begun()
    known = build.log()
    (place,) = (path for path in (build.home / "keepers").iterdir() if path.is_socket())
    os.chdir(place.parent)
    for lie in range(7):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as caller:
            caller.connect(place.name)
            caller.settimeout(10)
            mine = os.memfd_create("mine")
            os.write(mine, b"0123456789abcdef")
            caller.send(struct.pack("<cI", b"H", mine))
            letter, told, shown, seen = GREETING.unpack(caller.recv(64))
            os.close(mine)
            assert (letter, told, seen) == (b"K", pid, b"0123456789abcdef")
            nonce = Path(f"/proc/{pid}/fd/{shown}").read_bytes()
            answer = tell(caller, lie, nonce)
            assert answer in (b"", b"P")
    assert build.keepers() == [pid]
    assert build.compile("third", env=UNFIT).returncode == 0
    assert build.log() == [*known, ("ran", True, [])]


def tell(caller: socket.socket, lie: int, nonce: bytes) -> bytes:
    letter = b"E" if lie in (1, 6) else b"B"
    file = os.memfd_create("lie")
    content = {
        0: b"RXCALL01" + bytes(40),
        1: b"RXTOLD01" + bytes(40),
        2: os.urandom(4096),
        3: b"",
        4: b"RXCALL01" + bytes(28) + b"\xff\xff\xff\xff" * 4,
        5: b"",
        6: b"RXTOLD01" + bytes(17) + b"\xff\xff\xff\x7f" * 3,
    }[lie]
    os.pwrite(file, content, 0)
    if lie == 5:
        os.truncate(file, 1 << 40)
    if lie == 2:
        nonce = bytes(len(nonce))
    caller.sendmsg(
        [letter + nonce], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))]
    )
    os.close(file)
    try:
        return caller.recv(64)
    except ConnectionResetError:
        return b""


def test_a_person_cannot_start_one(build: Build) -> None:
    words = [str(TOOLS / "redoxa"), "run", "--keeper", "--", str(build.home), "name"]
    done = subprocess.run(words, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert done.stderr == b"redoxa: a keeper is started by the compilers' wrappers only\n"


def test_a_keeper_that_cannot_be_started_is_not_tried_again_and_again(
    build: Build, tmp_path: Path
) -> None:
    assert build.compile("first").returncode == 0
    tools = tmp_path / "tools"
    tools.mkdir()
    shutil.copy2(TOOLS / "redoxa-cc", tools)
    starts = tmp_path / "starts"
    (tools / "redoxa").write_text(
        f'#!/bin/sh\n[ "$2" = --keeper ] && {{ echo x >> {starts}; exit 1; }}\n'
        f'exec {TOOLS / "redoxa"} "$@"\n'
    )
    (tools / "redoxa").chmod(0o755)
    for name in ("one", "two", "three"):
        subprocess.run(
            [str(tools / "redoxa-cc"), "-c", "hello.c", "-o", f"{name}.o"],
            cwd=build.project, env=build.env, check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    assert starts.read_text() == "x\n"
    assert [verdict for verdict, _, _ in build.log()] == ["ran"] * 4
