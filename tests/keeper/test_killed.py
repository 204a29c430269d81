"""Whatever becomes of a keeper or a wrapper, compilers do their work and nothing false is kept."""

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.keeper.conftest import TOOLS, UNFIT, Build, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (TOOLS / "redoxa-cc").exists() or shutil.which("cc") is None,
        reason="the wrappers are not installed here, or there is no C compiler",
    ),
]
SLOW = "echo begun; while [ ! -e go ]; do sleep 0.01; done; cat hello.c > made; echo done"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_call_ends_well_without_its_keeper(build: Build, number: signal.Signals) -> None:
    build.script(SLOW)
    pid = build.begun_with_anything()
    process = build.start("-c", env=UNFIT)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    os.kill(pid, number)
    assert wait_until(lambda: not build.keepers())
    (build.project / "go").touch()
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out, error) == (0, b"done\n", b"")
    assert (build.project / "made").read_text() == (build.project / "hello.c").read_text()
    known = len(build.log())
    # Nothing of it was kept, nor of the killed, and the next call finds another keeper and is.
    assert build.call("-c", env=UNFIT).stdout == b"begun\ndone\n"
    assert len(build.keepers()) == 1
    assert len(list((build.home / "keepers").iterdir())) == 2
    assert build.log()[known:] == [("ran", True, [])]


def test_a_wrapper_that_is_killed_leaves_no_trace(build: Build) -> None:
    build.script(SLOW)
    build.begun_with_anything()
    known = len(build.log())
    process = build.start("-c", env=UNFIT)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    process.kill()
    process.communicate()
    (build.project / "go").touch()
    assert wait_until((build.project / "made").exists)
    assert build.log()[known:] == []
    assert build.call("-c", env=UNFIT).stdout == b"begun\ndone\n"
    assert [entry[0] for entry in build.log()[known:]] == ["ran"]
    assert wait_until(lambda: not list((build.home / "scratch").iterdir()))


def test_who_does_not_wait_for_the_reading_is_not_believed(build: Build) -> None:
    build.script(SLOW)
    pid = build.begun_with_anything()
    known = len(build.log())
    process = build.start("-c", env=UNFIT)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    os.kill(pid, signal.SIGSTOP)
    (build.project / "go").touch()
    assert process.stdout.readline() == b"done\n"
    # It waits for the keeper now, which was told the end.
    end = time.monotonic() + 0.5
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    build.write("made", "changed by the next step\n")
    os.kill(pid, signal.SIGCONT)
    assert wait_until(lambda: not list((build.home / "scratch").iterdir()))
    # Where it was told the end, it says why; else it knows nothing of the call.
    news = build.log()[known:]
    assert all(not published and "not-kept" in kinds for _, published, kinds in news)


def test_a_keeper_that_stands_still_is_not_waited_for_long(build: Build) -> None:
    pid = build.begun()
    os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    assert build.compile("third").returncode == 0
    assert time.monotonic() - begun < 25
    os.kill(pid, signal.SIGKILL)
    assert build.log()[-1] == ("ran", True, [])


def test_keepers_and_wrappers_are_killed_at_any_moment(build: Build) -> None:
    build.begun()
    plain = (build.project / "first.o").read_bytes()
    chance = np.random.default_rng(1)
    for number in range(30):
        name = f"at{number}"
        process = build.start("-c", "hello.c", "-o", f"{name}.o")
        time.sleep(chance.uniform(0, 0.12))
        kills_wrapper = number % 3 == 0
        for pid in [process.pid] if kills_wrapper else build.keepers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=60)
        made = build.project / f"{name}.o"
        if not kills_wrapper:
            assert process.returncode == 0
            assert made.read_bytes() == plain
    # Whatever was kept of it is right: all is answered, or done anew, with the same result.
    for number in range(30):
        made = build.project / f"at{number}.o"
        made.unlink(missing_ok=True)
        assert build.compile(f"at{number}").returncode == 0
        assert made.read_bytes() == plain
    for note in (build.home / "keepers").glob("*.no"):
        note.unlink()  # one was killed before it could greet, and is not tried again so soon
    assert build.compile("last", env=UNFIT).returncode == 0
    assert [entry for entry in build.log() if entry[0] == "ran"][-1] == ("ran", True, [])
    assert wait_until(lambda: not list((build.home / "scratch").iterdir()))


def test_a_keeper_made_of_older_modules_lets_nobody_in(build: Build) -> None:
    pid = build.begun()
    module = Path(__file__).parents[2] / "ring2_orchestrator" / "keeper" / "circle.py"
    status = module.stat()
    os.utime(module, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    try:
        assert build.compile("third").returncode == 0
        assert build.compile("fourth", env=UNFIT).returncode == 0
    finally:
        os.utime(module, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert pid not in build.keepers()
    assert [verdict for verdict, _, _ in build.log()] == ["ran"] * 4
