"""Programs of random reads, looks and writes give in another folder what plain running gives."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ring2_orchestrator.runs.clones.wanted import Moving
from tests.runs.clones import SAID, SHOWN, Clones, null, put_back, tree

NAMES = ("one", "two", "deep/three", "../one", "../two", "../../one", "../side/one", "$1/one")
PLACES = ("p/a", "p/bb", "q/c/a", "q/c/side", "r/s/t/a", "p/a/inner", "side/a")
ABOVE = (
    "one",
    "two",
    "side/one",
    "p/one",
    "q/two",
    "q/c/one",
    "r/s/side/one",
    "r/two",
    "p/side/one",
)

reads = st.sampled_from([f'cat "{name}" 2>/dev/null' for name in (*NAMES, "$2/one")])
looks = st.sampled_from([f'[ -e "{name}" ] && echo there' for name in NAMES])
searches = st.sampled_from([
    f"for d in . .. ../.. ../../..; do [ -e $d/{name} ] && {{ cat $d/{name}; break; }}; done"
    for name in ("one", "two", "none")
])  # fmt: skip
lists = st.sampled_from(["ls", "ls deep", "ls .. | head -n 3", "ls ../side"])
writes = st.sampled_from([
    "echo text > made", "cat one > deep/copy", "mkdir -p new; echo 1 > new/x", "rm -f two",
    "ln -sf one link", "echo more >> one", "mv made moved 2>/dev/null", "ln -sf ../one up; cat up",
])  # fmt: skip
# What depends on the folder by its name, length or depth, though no file is looked at.
facts = st.sampled_from([
    'echo "${#PWD}"', 'echo "${PWD##*/}"', "echo $PWD | tr / '\\n' | wc -l",
    'd=${PWD%/*}; echo "${d##*/}"', "echo $PWD | cksum",
])  # fmt: skip
steps = st.one_of(reads, looks, searches, lists, writes)
contents = st.dictionaries(st.sampled_from(["one", "two", "deep/three"]), st.sampled_from("xy"))
worlds = st.dictionaries(st.sampled_from(ABOVE), st.sampled_from("xy"), max_size=3)
# A few in each session; the sweeps are many more.
MANY = 20 if os.environ.get("REDOXA_LONG") == "bounded" else 200
few = settings(
    max_examples=2, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
many = settings(few, max_examples=MANY, derandomize=False)


class World:
    """Folders with the same files in them, and some files above."""

    def __init__(self, base: Path, places: Sequence[str], files: dict[str, str]) -> None:
        self.clones = Clones(base)
        self.folders = [self.clones.base / place for place in places]
        for folder in self.folders:
            (folder / "deep").mkdir(parents=True)
            (folder / ".git").mkdir()
            for name, text in files.items():
                (folder / name).write_text(text)

    def stand_above(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.clones.base / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_text(text)

    def gives_what_plain_running_gives(self, folder: Path, line: str, moving: Moving) -> bool:
        """Run it plainly, put all back, run it with Redoxa, and compare; whether it was reused."""
        words = (str(folder), str(self.clones.base / "side"))
        with tempfile.TemporaryDirectory() as kept:
            copy = Path(kept, "copy")
            shutil.copytree(folder, copy, symlinks=True)
            code, _ = self.clones.plain(folder, line, *words)
            left, beside = tree(folder), self.clones.outside(folder)
            put_back(folder, copy)
        result = self.clones.run(folder, line, *words, moving=moving, stdin=null())
        assert (result.exit_code, tree(folder)) == (code, left), result.message
        assert self.clones.outside(folder) == beside
        return result.origin is not None


def programs(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Lines whose output goes to a file of the project."""
    some = st.lists(st.one_of(*parts), min_size=1, max_size=4)
    return some.map(lambda each: "\n".join(["exec > said 2>&1", *each, ":"]))


def said(program: str, files: dict[str, str], above: dict[str, str], later: dict[str, str]) -> None:
    """Recorded in one folder; then files appear above; then it is run in all the others."""
    with tempfile.TemporaryDirectory() as base:
        world = World(Path(base).resolve(), PLACES, files)
        world.stand_above(above)
        first, *others = world.folders
        world.gives_what_plain_running_gives(first, program, SAID)
        world.stand_above(later)
        for folder in others:
            world.gives_what_plain_running_gives(folder, program, SAID)


def shown(program: str, files: dict[str, str], above: dict[str, str]) -> None:
    """Run in one folder after the other; the program may tell of where it is."""
    with tempfile.TemporaryDirectory() as base:
        world = World(Path(base).resolve(), PLACES, files)
        world.stand_above(above)
        for folder in world.folders:
            world.gives_what_plain_running_gives(folder, program, SHOWN)


anything = given(program=programs(steps), files=contents, above=worlds, later=worlds)
telling = given(program=programs(steps, facts), files=contents, above=worlds)
test_what_is_said_to_be_relocatable = few(anything(said))
test_what_is_shown_by_two_folders = few(telling(shown))
test_many_that_are_said_to_be_relocatable = pytest.mark.long(many(anything(said)))
test_many_that_are_shown_by_two_folders = pytest.mark.long(many(telling(shown)))


@pytest.mark.parametrize("moving", [SAID, SHOWN])
def test_the_model_reuses_at_all(tmp_path: Path, moving: Moving) -> None:
    world = World(tmp_path, PLACES[:4], {"one": "x"})
    program = (
        "exec > said 2>&1\ncat one; [ -e ../none ]; for d in . .. ../..; do cat $d/none; done; :"
    )
    reused = [
        world.gives_what_plain_running_gives(folder, program, moving) for folder in world.folders
    ]
    assert any(reused)
