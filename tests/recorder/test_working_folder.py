"""A relative path is told from where the thread stands that uses it, wherever it went before."""

import sys
from pathlib import Path

import pytest

from ring2_orchestrator.recorder.event import Kind, Recording
from tests.recorder.conftest import Run

HERE = """
import ctypes, os, sys, threading
CLONE_FS = 0x200
def seen(name):
    assert os.path.exists(name), (os.getcwd(), name)
def together(act):
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()
"""
WAYS = {
    "by name": """
seen("a/one"); os.chdir("a"); seen("one"); os.chdir(".."); seen("b/two"); os.chdir("b"); seen("two")
""",
    "by descriptor": """
top = os.open(".", os.O_RDONLY); below = os.open("a", os.O_RDONLY)
seen("a/one"); os.fchdir(below); seen("one"); os.fchdir(top); seen("b/two")
os.fchdir(os.open("b", os.O_RDONLY)); seen("two")
""",
    "by another thread": """
seen("a/one")
together(lambda: os.chdir("a")); seen("one")
together(lambda: os.chdir("../b")); seen("two"); together(lambda: seen("two"))
os.chdir(".."); seen("b/two")
""",
    "in threads apart": """
def away():
    assert ctypes.CDLL(None, use_errno=True).unshare(CLONE_FS) == 0
    os.chdir("b"); seen("two")
    together(lambda: seen("two"))  # a thread starts where its maker stands
os.chdir("a"); seen("one"); os.chdir("..")
together(away)
seen("a/one"); seen("b/two")
""",
    "in a child": """
seen("a/one"); os.chdir("a"); seen("one")
if not (child := os.fork()):
    seen("one"); os.chdir("../b"); seen("two"); os._exit(0)
assert os.waitpid(child, 0)[1] == 0
seen("one"); os.chdir(".."); seen("b/two")
""",
    "after a failed attempt": """
try: os.chdir("nowhere")
except FileNotFoundError: pass
seen("a/one"); os.chdir("a"); seen("one")
try: os.chdir("nowhere")
except FileNotFoundError: pass
seen("one"); seen("../b/two"); os.chdir("../b"); seen("two"); seen("../a/one")
""",
}


def looked_at(recording: Recording, place: Path) -> set[str]:
    found = {event.path.decode() for event in recording.events if event.kind is Kind.STAT}
    return {path.removeprefix(f"{place}/") for path in found if path.startswith(f"{place}/")}


@pytest.mark.parametrize("way", WAYS)
def test_a_relative_path_begins_where_its_thread_stands(run: Run, place: Path, way: str) -> None:
    for name in ("a/one", "b/two"):
        (place / name).parent.mkdir()
        (place / name).write_text(name)
    recording = run(sys.executable, "-c", HERE + WAYS[way])
    assert recording.exit.code == 0
    names = {name for name in looked_at(recording, place) if Path(name).name in ("one", "two")}
    assert names == {"a/one", "b/two"}


def test_a_folder_that_moves_takes_along_who_stands_in_it(run: Run, place: Path) -> None:
    (place / "old").mkdir()
    (place / "old" / "one").touch()
    script = (
        'seen("old/one"); os.chdir("old"); seen("one"); os.rename("../old", "../new"); seen("one")'
    )
    recording = run(sys.executable, "-c", HERE + script)
    assert recording.exit.code == 0
    assert {"old/one", "new/one"} <= looked_at(recording, place)


def test_twenty_threads_may_go_elsewhere_at_once(run: Run, place: Path) -> None:
    for at in range(20):
        (place / f"f{at}").mkdir()
        (place / f"f{at}" / f"name{at}").touch()
    script = """
def away(at):
    assert ctypes.CDLL(None, use_errno=True).unshare(CLONE_FS) == 0
    for _ in range(20):
        os.chdir(f"f{at}"); seen(f"name{at}"); os.chdir("..")
threads = [threading.Thread(target=away, args=(at,)) for at in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
seen("f0/name0")
"""
    recording = run(sys.executable, "-c", HERE + script)
    assert recording.exit.code == 0
    named = {name for name in looked_at(recording, place) if "name" in name}
    assert named == {f"f{at}/name{at}" for at in range(20)}
