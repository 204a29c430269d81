"""A path is read from the memory that its caller has now, whatever that was before an exec."""

import subprocess
import sys
from pathlib import Path

import pytest

from ring2_orchestrator.recorder import compile as compiler
from ring2_orchestrator.recorder.event import Kind, Recording
from tests.recorder.conftest import Run

START = """
import os, sys, threading
def seen(kind):
    for at in range(20):
        assert not os.path.exists(f"{kind}{at}")
AGAIN = [sys.executable, "-c", "import os\\nfor at in range(20): os.path.exists(f'after{at}')"]
seen("before")
"""
WAYS = {
    "at once": "os.execv(AGAIN[0], AGAIN)",
    "by another thread": """
def away():
    seen("away")
    os.execv(AGAIN[0], AGAIN)
threading.Thread(target=away).start()
while True: seen("before")
""",
    "after attempts in vain": """
def fail():
    for _ in range(5):
        try: os.execv("nowhere", ["nowhere"])
        except FileNotFoundError: seen("between")
threads = [threading.Thread(target=fail) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
seen("between")
os.execv(AGAIN[0], AGAIN)
""",
    "in a child": """
if not (child := os.fork()):
    seen("between")
    os.execv(AGAIN[0], AGAIN)
assert os.waitpid(child, 0)[1] == 0
seen("later")
""",
}
SHARED = """
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char name[64];

static void seen(const char *kind) {
    struct stat at;
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "%s%d", kind, i);
        stat(name, &at);
    }
}

int main(int count, char **words) {
    if (count > 1) {
        seen(words[1]);
        return 0;
    }
    seen("before");
    for (int i = 0; i < 3; i++) {
        if (!vfork()) {
            seen("shared");
            execl(words[0], words[0], "after", NULL);
            _exit(1);
        }
        seen("later"); /* while what the child has become does the same */
    }
    while (wait(NULL) > 0) continue;
    return 0;
}
"""


def named(recording: Recording, place: Path) -> set[str]:
    """The names below the folder that were looked at, without their numbers."""
    looks = [event.path for event in recording.events if event.kind is Kind.STAT]
    assert recording.complete
    names = [Path(path.decode()).name for path in looks if path.startswith(bytes(place) + b"/")]
    counts = {name.rstrip("0123456789") for name in names}
    for kind in counts:
        assert {f"{kind}{at}" for at in range(20)} <= set(names), kind
    return counts


@pytest.mark.parametrize("way", WAYS)
def test_an_exec_changes_the_memory(run: Run, place: Path, way: str) -> None:
    recording = run(sys.executable, "-S", "-c", START + WAYS[way])
    assert recording.exit.code == 0
    wanted = {word for word in ("away", "between", "later") if f'"{word}"' in WAYS[way]}
    assert named(recording, place) == {"before", "after", *wanted}


def test_memory_that_two_processes_share_is_no_longer_shared_after_an_exec(
    run: Run, place: Path, tmp_path: Path
) -> None:
    words = compiler.system_compiler() or compiler.zig_compiler()
    if words is None:
        pytest.skip("no C compiler is here")
    program = tmp_path / "program"
    subprocess.run([*words, "-x", "c", "-", "-o", program], input=SHARED.encode(), check=True)
    recording = run(program)
    assert recording.exit.code == 0
    assert named(recording, place) == {"before", "shared", "after", "later"}
    assert {process.argv[-1] for process in recording.processes} == {bytes(program), b"after"}


def test_more_processes_than_have_their_memory_open(run: Run, place: Path) -> None:
    script = """
import os
def seen(kind):
    for at in range(20): os.path.exists(f"{kind}{at}")
ready, go = os.pipe()
children = []
for number in range(100):
    if not (child := os.fork()):
        os.close(go)
        seen("one"); os.read(ready, 1); seen("two")
        os._exit(0)
    children.append(child)
os.close(go)
for child in children: os.waitpid(child, 0)
seen("three")
"""
    recording = run(sys.executable, "-S", "-c", script)
    assert recording.exit.code == 0
    assert named(recording, place) == {"one", "two", "three"}


def test_a_long_list_of_words_is_read_whole(run: Run) -> None:
    words = [f"word-{at}" for at in range(1500)]
    recording = run("/bin/true", *words)
    (process,) = (each for each in recording.processes if each.exe.endswith(b"true"))
    assert [word.decode() for word in process.argv] == ["/bin/true", *words]
