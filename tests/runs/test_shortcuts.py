"""`redoxa-run` answers a reuse exactly where `redoxa run` would, and leaves all else to it."""

import fcntl
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ring2_orchestrator.shortcuts import folder, form
from ring2_orchestrator.shortcuts.spool import NAME as SPOOL
from tests.runs.desk import NEEDS_FRONT_END, NOT_ANSWERED, Desk

pytestmark = NEEDS_FRONT_END


def same_size_and_time(path: Path) -> None:
    before = path.stat()
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def relinked(path: Path) -> None:
    path.unlink()
    path.symlink_to("data/one")


CHANGES: dict[str, Callable[[Path], object]] = {
    "an input edited": lambda p: (p / "data/one").write_text("other\n"),
    "an input of the same size and time": lambda p: same_size_and_time(p / "data/two"),
    "an input of another mode": lambda p: (p / "data/one").chmod(0o600),
    "an input gone": lambda p: (p / "data/two").unlink(),
    "a file that was looked for": lambda p: (p / "extra").write_text("new\n"),
    "a file where a folder was looked into": lambda p: (p / "none").write_text("no folder\n"),
    "a name in a listed folder": lambda p: (p / "data/three").write_text("3\n"),
    "a link to elsewhere": lambda p: relinked(p / "link"),
    "an output edited": lambda p: (p / "made").write_text("spoiled\n"),
    "an output gone": lambda p: (p / "sub/made").unlink(),
    "an output's folder gone": lambda p: shutil.rmtree(p / "sub"),
    "an output with a second name": lambda p: (p / "second").hardlink_to(p / "made"),
    "a project of its own": lambda p: (p / ".git").mkdir(),
    "an input's folder replaced": lambda p: (
        (p / "data").rename(p / "was"),
        shutil.copytree(p / "was", p / "data"),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_is_for_python(desk: Desk, change: str, tmp_path: Path) -> None:
    desk.prepare()
    kept = tmp_path / "kept"
    shutil.copytree(desk.project, kept, symlinks=True)
    CHANGES[change](desk.project)
    assert not desk.answers()
    shutil.rmtree(desk.project)
    shutil.copytree(kept, desk.project, symlinks=True)
    assert not desk.answers(), "other inodes are other files until somebody has read them"


def test_another_environment_is_for_python(desk: Desk) -> None:
    desk.prepare()
    for env in (
        {**desk.env, "COLOUR": "red"},
        {**desk.env, "NEW": ""},
        {name: value for name, value in desk.env.items() if name != "COLOUR"},
    ):
        assert not desk.answers(env=env)
    assert desk.answers(env={**desk.env, "SHLVL": "7", "OLDPWD": "/"}), "these never count"
    reordered = dict(reversed(desk.env.items()))
    assert desk.answers(env=reordered)


def test_other_surroundings_are_for_python(desk: Desk) -> None:
    desk.prepare()
    assert not desk.answers(words=[*desk.words, "more"])
    assert not desk.answers(cwd=desk.project / "data")
    assert not desk.answers(umask=0o007)
    assert not desk.answers(stdin=subprocess.PIPE, input=None)
    assert not desk.answers(stdout=subprocess.PIPE), "standard error is a stream of its own now"
    with (desk.home / "empty").open("w+b") as file:
        assert desk.answers(stdin=file)
    with (desk.project / "data/one").open("rb") as file:
        assert not desk.answers(stdin=file), "it might read it"
    leader, follower = os.openpty()
    assert not desk.answers(stdin=follower)
    os.close(leader)
    os.close(follower)


@pytest.mark.parametrize("complaints", [os.devnull, "/dev/zero"])
def test_streams_that_serve_nothing_are_for_python(tmp_path: Path, complaints: str) -> None:
    """A closed stream's number would be that of the next file opened."""
    desk = Desk(tmp_path, complaints=complaints)
    desk.prepare()
    waiting = desk.spooled()
    for number, wrong in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        for flags in (None, os.O_PATH, wrong):
            assert not desk.answers(preexec_fn=partial(put_stream, complaints, number, flags))
    assert desk.spooled() == waiting, "nobody claims an answer that could not be printed"


def put_stream(complaints: str, number: int, flags: int | None) -> None:
    """In the child: close a stream, or open it again with these flags."""
    os.close(number)
    if flags is not None:
        assert os.open(complaints if number == 2 else os.devnull, flags) == number
        os.set_inheritable(number, True)


def test_a_device_that_gives_something_is_no_empty_input(desk: Desk) -> None:
    desk.prepare()
    with Path("/dev/zero").open("rb") as zero:
        assert not desk.answers(stdin=zero)


def test_a_stream_that_waits_for_nobody_is_waited_for(desk: Desk) -> None:
    desk.prepare()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    full = b"." * fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
    assert os.write(writer, full) == len(full)
    waiting = desk.spooled()
    front = subprocess.Popen(
        [desk.front, "--", *desk.words], cwd=desk.project, env=desk.env,
        stdin=subprocess.DEVNULL, stdout=writer, stderr=writer,
    )  # fmt: skip
    os.close(writer)
    while desk.spooled() == waiting and front.poll() is None:
        time.sleep(0.001)  # until it is about to print
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    assert front.wait() == 0
    assert said.startswith(full + b"1\n2\n2\nredoxa: reused: 4 outputs already in place, ")


def test_limits_of_the_process_leave_it_to_python(desk: Desk) -> None:
    path = desk.prepare()
    whole, waiting = path.read_bytes(), desk.spooled()
    small = (waiting + 10, waiting + 10)
    assert not desk.answers(preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, small))
    assert desk.answers(), "what was written in part spoils nothing"
    path.write_bytes(whole + bytes(48 << 20))
    few = (32 << 20, 32 << 20)
    assert not desk.answers(preexec_fn=partial(resource.setrlimit, resource.RLIMIT_AS, few))
    path.write_bytes(whole)
    assert desk.answers()


# What a shortcut may lie about behind a true MAC: the answer is none, and never half of one.
LIES: dict[str, Callable[[bytes], bytes]] = {
    "an exit code that no process has": lambda body: b"\0\1\0\0" + body[4:],
    "more printed than there is": lambda body: body.replace(cut(1, 6), cut(1, 7)),
    "less printed than there is": lambda body: body.replace(cut(1, 6), cut(1, 5)),
    "printed to no stream": lambda body: body.replace(cut(1, 6), cut(3, 6)),
    "half a cut": lambda body: body.replace(
        b"\x09\0\0\0" + cut(1, 6), b"\x0a\0\0\0" + cut(1, 6) + b"\1"
    ),
    "one fact too many": lambda body: body + b"\x01\0\0\0\0",
    "bytes behind the last fact": lambda body: body + b"\x63",
    "parts longer than the file": lambda body: body[:16] + b"\xff\xff\xff\xff" + body[20:],
}


def cut(stream: int, length: int) -> bytes:
    return bytes([stream]) + length.to_bytes(8, "little")


@pytest.mark.parametrize("lie", LIES)
def test_a_shortcut_s_sizes_and_numbers_are_not_believed(desk: Desk, lie: str) -> None:
    path = desk.prepare()
    whole, waiting = path.read_bytes(), desk.spooled()
    key, body = form.key_of(desk.home), whole[24:]
    assert whole[8:24] == form.digest(key, body)
    told = LIES[lie](body)
    assert told != body
    path.write_bytes(whole[:8] + form.digest(key, told) + told)
    assert not desk.answers()
    assert desk.spooled() == waiting
    path.write_bytes(whole)
    assert desk.answers()


@pytest.mark.parametrize("length", [3900, 4090, 4096, 5000])
def test_a_home_of_an_overlong_path_is_for_python(desk: Desk, length: int) -> None:
    desk.prepare()
    longer = f"{desk.home}{'/.' * length}"[:length]
    assert not desk.answers(env={**desk.env, "REDOXA_HOME": longer.rstrip(".") + "/none"})


def test_where_it_cannot_find_itself_it_says_so(desk: Desk) -> None:
    """Without /proc it knows no `redoxa` to call."""
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c",
         'mount -t tmpfs none /proc && exec "$@"', "sh", str(desk.front), "true"],
        env=desk.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "redoxa" not in done.stderr:
        pytest.skip(f"no name space of one's own here: {done.stderr.strip()}")
    assert done.returncode == NOT_ANSWERED
    assert "cannot tell where it is installed (No such file or directory)" in done.stderr


def test_a_shortcut_that_is_not_whole_answers_nothing(desk: Desk) -> None:
    path = desk.prepare()
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:length])
        assert not desk.answers()
    for at in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
        assert not desk.answers()
    path.write_bytes(whole + b"\0")
    assert not desk.answers()
    path.write_bytes(whole)
    assert desk.answers()
    path.chmod(0o620)
    assert not desk.answers(), "others may write it"
    path.chmod(0o600)
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert not desk.answers(), "a link is nobody's shortcut"
    path.unlink()
    elsewhere.rename(path)
    assert desk.answers()


def test_without_the_home_s_key_or_its_spool_python_answers(desk: Desk) -> None:
    desk.prepare()
    key, spool = desk.home / "environment.key", desk.home / SPOOL
    key.rename(desk.home / "away")
    assert not desk.answers()
    (desk.home / "away").rename(key)
    spool.unlink(missing_ok=True)
    spool.mkdir()
    assert not desk.answers(), "it could not be written down"
    spool.rmdir()
    assert desk.answers()


def test_a_new_trace_ends_the_old_one_s_shortcut(desk: Desk) -> None:
    desk.prepare()
    desk.run(reuse=False)
    assert not desk.answers()


def test_gc_drops_every_shortcut(desk: Desk) -> None:
    path = desk.prepare()
    folder.drop_all(desk.home)
    assert not path.exists()
