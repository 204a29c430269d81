"""A leaf may have descriptors that tell it nothing; one that could, keeps it from being kept."""

import os
from collections.abc import Generator

import pytest

from tests.leaves.conftest import Works

COMPILE = "gcc -Ilate -c one.c -o one.o"
STRAY = 61  # a number that nothing else here has


@pytest.fixture
def stray() -> Generator[int]:
    """A pipe that whoever called us had left open, and that all our children are given."""
    reader, writer = os.pipe()
    os.dup2(writer, STRAY, inheritable=True)
    yield writer
    for descriptor in (reader, writer, STRAY):
        os.close(descriptor)


def test_one_that_the_whole_run_was_given_and_nobody_uses_is_no_matter(
    works: Works, stray: int
) -> None:
    assert works.sh(COMPILE).published
    assert works.counts() == {"ran": 1}
    (works.project / "one.o").unlink()
    works.sh(f"{COMPILE}; :")
    assert works.counts() == {"reused": 1}


@pytest.mark.parametrize(
    "line",
    [
        f"{COMPILE}; echo told >&{STRAY}",  # used: by whom is not asked
        f"exec 5>&{STRAY}; {COMPILE}",  # the same by another number
        f"exec {STRAY}> log; {COMPILE}",  # another by the same number
        f"exec 5> log; {COMPILE}",
    ],
)
def test_one_that_could_tell_it_something_keeps_it_from_being_kept(
    works: Works, stray: int, line: str
) -> None:
    works.run("bash", "-c", line)
    assert works.counts() == {}


def test_the_null_device_tells_nothing(works: Works) -> None:
    works.sh(f"exec 5< /dev/null; {COMPILE}")
    assert works.counts() == {"ran": 1}


# As cargo hands on its jobs, and rustc takes leave of them: by opening the pipe anew.
JOBS = """\
import os, subprocess
reader, writer = os.pipe()
os.write(writer, b"++")
for each in (reader, writer):
    os.set_inheritable(each, True)
env = {{**os.environ, {name!r}: f" -j2 {option}={{reader}},{{writer}}"}}
subprocess.run({words!r}, env=env, close_fds=False, check=True)
"""
TAKER = """\
#!/usr/bin/python3 -S
import os, re, sys
for value in (os.environ.get("MAKEFLAGS", ""), os.environ.get("CARGO_MAKEFLAGS", "")):
    for first, second in re.findall(r"=(\\d+),(\\d+)", value):
        with open(f"/proc/self/fd/{first}", "rb", buffering=0) as taken:
            token = taken.read(1)
        with open(f"/proc/self/fd/{second}", "wb", buffering=0) as given:
            given.write(token)
os.execv("/usr/bin/gcc", ["/usr/bin/gcc", *sys.argv[1:]])
"""


@pytest.mark.parametrize("name", ["MAKEFLAGS", "CARGO_MAKEFLAGS"])
@pytest.mark.parametrize("option", ["--jobserver-auth", "--jobserver-fds"])
def test_leave_of_the_jobs_pipe_is_no_input(works: Works, name: str, option: str) -> None:
    tools = works.base / "taker"
    tools.mkdir()
    (tools / "gcc").write_text(TAKER)
    (tools / "gcc").chmod(0o755)
    works.env["PATH"] = f"{tools}:{works.env['PATH']}"
    text = JOBS.format(name=name, option=option, words=COMPILE.split())
    works.run("/usr/bin/python3", "-S", "-c", text)
    assert works.counts() == {"ran": 1}
    (works.project / "one.o").unlink()
    works.run("/usr/bin/python3", "-S", "-c", text + "\n")
    assert works.counts() == {"reused": 1}
