"""A build's calls that are not answered run where they were called, and a keeper keeps them."""

import os
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ring2_orchestrator.runs.trace import Trace
from tests.keeper.conftest import TOOLS, UNFIT, Build, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (TOOLS / "redoxa-cc").exists() or shutil.which("cc") is None,
        reason="the wrappers are not installed here, or there is no C compiler",
    ),
]
# What a program can learn of where it runs, but for its own number and its parent's.
WHERE = (
    "umask; ulimit -a; pwd; cat /proc/self/cgroup; ls -l /proc/self/ns | sed 's/.*-> //';"
    "cut -d' ' -f5-8 /proc/self/stat; grep -E '^(Cpus_allowed|NoNewPrivs|Sig(Ign|Blk))' "
    "/proc/self/status; nice; ls /proc/self/fd; env | sort | grep -vE '^(_|REDOXA_WRAPPING)='"
)


def test_the_calls_of_a_build_have_one_keeper_and_no_python(build: Build) -> None:
    pid = build.begun()
    for name in ("one", "two", "three"):
        assert build.compile(name, env=UNFIT).returncode == 0
    assert build.keepers() == [pid]
    assert build.log() == [("ran", True, [])] * 5
    made = (build.project / "two.o").read_bytes()
    (build.project / "two.o").unlink()
    assert build.compile("two", env=UNFIT).returncode == 0  # answered, without either
    assert (build.project / "two.o").read_bytes() == made


def test_what_a_keeper_keeps_is_what_redoxa_run_keeps(build: Build, tmp_path: Path) -> None:
    build.begun()
    words = ["-pipe", "-O1", "-MD", "-MF", "made.d", "-c", "hello.c", "-o", "made.o"]
    traces: list[Trace] = []
    assert build.call(*words).returncode == 0
    traces.append(build.trace(words))
    for name in ("made.d", "made.o"):
        (build.project / name).unlink()
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    shutil.copy2(build.home / "environment.key", other)
    (other / "keepers").touch(mode=0o600)  # where no keeper can be had
    build.home, build.env["REDOXA_HOME"] = other, str(other)
    assert build.call(*words).returncode == 0
    traces.append(build.trace(words))
    assert not build.keepers()
    # Which of two outputs is the older one hangs on the clock's tick.
    first, again = (
        trace._replace(outputs=tuple(output._replace(rank=0) for output in trace.outputs))
        for trace in traces
    )
    assert first == again
    assert len(traces[0].inputs) > 20


def test_where_it_runs_and_what_it_is_given_is_as_without_a_wrapper(build: Build) -> None:
    build.script(f"({WHERE}) > where")
    build.begun()
    limited = ["sh", "-c", 'ulimit -n 99; ulimit -c 0; umask 27; trap "" USR1; exec "$@"', "sh"]
    env = {**build.env, "LD_DEBUG_OUTPUT": "x", "LD_BIND_NOW": "1", "ODD": "\xff\n="}
    told: list[str] = []
    for tool in (build.real / "cc", TOOLS / "redoxa-cc"):
        words = ["taskset", "1", *limited] if shutil.which("taskset") else limited
        subprocess.run(
            [*words, str(tool), "-c"],
            cwd=build.project, env=env, check=True, stdin=subprocess.DEVNULL,
            capture_output=True,
        )  # fmt: skip
        told.append((build.project / "where").read_text(errors="surrogateescape"))
    assert told[0] == told[1]


def test_a_descriptor_of_the_build_reaches_the_compiler(build: Build) -> None:
    build.script("read word <&7; echo $word")
    build.begun_with_anything()
    reader, writer = os.pipe()
    os.write(writer, b"go\n")
    os.close(writer)
    done = build.call("-c", env=UNFIT, preexec_fn=lambda: os.dup2(reader, 7), close_fds=False)
    os.close(reader)
    assert done.stdout == b"go\n"
    assert build.log()[-1][1:] == (False, ["inherited-descriptor"])


@pytest.mark.parametrize("merged", [False, True])
def test_both_streams_and_the_exit_code_are_the_compiler_s(build: Build, merged: bool) -> None:
    lines = "echo out $i; sleep 0.02; echo err $i >&2; sleep 0.02"
    build.script(f"for i in 1 2 3; do {lines}; done; exit 3")
    build.begun_with_anything()
    where = {"stderr": subprocess.STDOUT} if merged else {}
    done = build.call("-c", env=UNFIT, **where)
    out = b"".join(b"out %d\n" % i for i in (1, 2, 3))
    error = b"".join(b"err %d\n" % i for i in (1, 2, 3))
    assert done.returncode == 3
    if merged:
        assert done.stdout == b"".join(b"out %d\nerr %d\n" % (i, i) for i in (1, 2, 3))
    else:
        assert (done.stdout, done.stderr) == (out, error)


def test_much_is_printed_whole_and_answered_whole(build: Build) -> None:
    build.script("seq 200000; seq 200000 >&2")
    build.begun_with_anything()
    first, again = build.call("-c"), build.call("-c")
    assert len(first.stdout) == len(first.stderr) > 1_000_000
    assert (again.stdout, again.stderr) == (first.stdout, first.stderr)
    assert [verdict for verdict, _, _ in build.log()[-2:]] == ["ran", "reused"]


def test_a_reader_that_left_does_not_end_the_compiler(build: Build) -> None:
    build.script("trap '' PIPE; echo word; sleep 0.1; echo word; echo done > made; exit 0")
    build.begun_with_anything()
    reader, writer = os.pipe()
    os.close(reader)
    process = build.start("-c", env=UNFIT, stdout=writer)
    os.close(writer)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert (build.project / "made").read_text() == "done\n"
    assert build.log()[-1][1:] == (False, ["output-closed"])


def test_a_compiler_that_a_signal_ends_is_told_as_a_shell_does(build: Build) -> None:
    build.script("kill -SEGV $$")
    build.begun_with_anything()
    assert build.call("-c", env=UNFIT).returncode == 128 + signal.SIGSEGV
    assert build.log()[-1][1:] == (False, ["signal"])


def test_a_signal_to_the_wrapper_is_the_compiler_s(build: Build) -> None:
    build.script("trap 'echo told; exit 9' TERM; echo ready; while :; do sleep 0.02; done")
    build.begun_with_anything(b"exit 0")
    process = build.start("-c", env=UNFIT)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (9, b"told\n")
    assert build.log()[-1][1:] == (False, ["signal"])


def test_what_a_compiler_leaves_behind_is_not_waited_for(build: Build) -> None:
    build.script("(exec 1>/dev/null 2>&1; sleep 30) & echo $! > child; echo done")
    build.begun_with_anything(b"exit 0")
    done = build.call("-c", env=UNFIT)
    assert (done.returncode, done.stdout) == (0, b"done\n")
    os.kill(int((build.project / "child").read_text()), signal.SIGKILL)
    assert build.log()[-1][1:] == (False, ["detached"])


def test_a_compiler_that_cannot_be_started_is_refused_as_ever(build: Build) -> None:
    build.begun()
    build.script("", head="#!/nonexistent/interpreter")
    done = build.compile("third", env=UNFIT)
    assert done.returncode == 127
    assert b"No such file" in done.stderr


def test_many_at_once_are_all_kept(build: Build) -> None:
    build.begun()
    names = [f"at{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        codes = [done.returncode for done in pool.map(build.compile, names)]
    assert codes == [0] * len(names)
    plain = (build.project / "first.o").read_bytes()
    for name in names:
        (build.project / f"{name}.o").unlink()
        assert build.compile(name, env=UNFIT).returncode == 0
        assert (build.project / f"{name}.o").read_bytes() == plain
    assert not list((build.home / "scratch").iterdir())
    assert [path.name for path in (build.home / "running").iterdir()] == ["gate"]


def test_the_first_calls_at_once_start_one_keeper(build: Build) -> None:
    assert build.compile("first").returncode == 0
    with ThreadPoolExecutor(8) as pool:
        names = [f"at{number}" for number in range(8)]
        assert all(done.returncode == 0 for done in pool.map(build.compile, names))
    assert len(build.keepers()) == 1


def test_an_older_state_is_found_by_python(build: Build) -> None:
    build.begun()
    build.write("word.h", '#define WORD "other"\n')
    assert build.compile("first", env={}).returncode == 0
    build.write("word.h", '#define WORD "hello"\n')
    assert build.compile("first", env={}).returncode == 0
    assert build.log()[-1][0] == "reused"


def test_a_keeper_ends_soon_after_its_build_and_leaves_nothing(build: Build) -> None:
    pid = build.begun()
    assert wait_until(lambda: not Path(f"/proc/{pid}").exists())
    assert not list((build.home / "keepers").iterdir())
    assert build.compile("third").returncode == 0
    assert len(build.keepers()) == 1


def test_a_keeper_whose_home_is_gone_lets_nobody_in(build: Build) -> None:
    pid = build.begun()
    shutil.rmtree(build.home)
    assert build.compile("third").returncode == 0
    assert build.compile("fourth", env=UNFIT).returncode == 0
    assert build.keepers() != [pid]
    assert [verdict for verdict, _, _ in build.log()] == ["ran", "ran"]
