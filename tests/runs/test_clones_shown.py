"""Two folders show that the folder does not matter; what they have in common they do not show."""

from pathlib import Path

import pytest

from ring2_orchestrator.runs.clones.shown import covers
from tests.runs.clones import SAID, SHOWN, Clones

BUILD = "cat in.txt > out; echo built"


@pytest.fixture
def clones(tmp_path: Path) -> Clones:
    return Clones(tmp_path)


def test_the_third_folder_reuses_what_two_have_shown(clones: Clones) -> None:
    one, two, three = (
        clones.folder(name, **{"in": "x"}) for name in ("a/one", "bb/second", "cc/c/three-of-them")
    )
    clones.run(one, BUILD, moving=SHOWN)
    second = clones.run(two, BUILD, moving=SHOWN)
    assert second.message.endswith(
        f"not reused from {one}: only one folder has shown these results"
    )
    deeper = clones.run(three, BUILD, moving=SHOWN)
    assert deeper.message.endswith("only 2 folders more alike have shown these results")
    fourth = clones.folder("d/d/d/four", **{"in": "x"})
    assert clones.run(fourth, BUILD, moving=SHOWN).reused


@pytest.mark.parametrize("line", ["echo ${#PWD}", "echo ${PWD##*/}", "echo $PWD | cksum > sum"])
def test_what_depends_on_the_folder_is_contradicted_for_good(clones: Clones, line: str) -> None:
    one, two, three = (clones.folder(name) for name in ("a/one", "bb/second", "ccc/thirdly"))
    clones.run(one, line, moving=SHOWN)
    second = clones.run(two, line, moving=SHOWN)
    assert f"differs from the run in {one}" in second.message
    assert not clones.run(three, line, moving=SHOWN).reused
    assert not clones.run(three, line, moving=SAID, reuse=True).origin, "nor if somebody says so"


def test_what_all_have_in_common_the_next_must_have(clones: Clones) -> None:
    line = 'echo "${PWD##*/}"'  # the last name
    one, two = clones.folder("a/proj"), clones.folder("bb/proj")
    clones.run(one, line, moving=SHOWN)
    clones.run(two, line, moving=SHOWN)
    assert clones.run(clones.folder("ccc/proj"), line, moving=SHOWN).reused
    assert not clones.run(clones.folder("ccc/other"), line, moving=SHOWN).reused


def test_verify_runs_it_again_and_gives_it_up_for_all_folders(clones: Clones) -> None:
    line = "echo ${#PWD}"
    one, two, three = (clones.folder(name) for name in ("a/one", "bb/second", "ccc/thirdly"))
    clones.run(one, line)
    checked = clones.run(two, line, verify=1.0)
    assert (checked.verified, checked.verdict) == ("drifted", "drifted")
    assert not clones.run(three, line).reused
    assert clones.run(one, line).reused, "where it was recorded nothing contradicts it"


def test_verify_confirms(clones: Clones) -> None:
    one, two = clones.folder("a/one", **{"in": "x"}), clones.folder("bb/second", **{"in": "x"})
    clones.run(one, BUILD)
    assert clones.run(two, BUILD, verify=1.0).verified == "same"
    assert clones.run(two, BUILD).reused


@pytest.mark.parametrize(
    ("roots", "other", "speaks"),
    [
        ("/a/x /bb/yy", "/cc/z", True),
        ("/a/x /bb/yy", "/cc/z/z", False),  # both were two deep
        ("/a/x /bb/y", "/cc/x", True),
        ("/a/x /b/y", "/cc/zz", False),  # both were as long
        ("/a/x /b/y", "/c/z", True),
        ("/a/x /bb/x", "/cc/y", False),  # both ended in x
        ("/a/x /a/yy", "/b/z", False),  # both began with /a
        ("/a/x /bb/y/z", "/c/d/e/f", True),
        ("/a/x /bb/yy", "/cc/.z", False),
        ("/a/x /bb/yy", "/cc/z z", False),
        ("/a/x /bb/yy", "/home/z", False),
        ("/a/x", "/cc/z", False),
        ("/a/x /a/x", "/a/x", False),
    ],
)
def test_what_folders_speak_for(roots: str, other: str, speaks: bool) -> None:
    found = covers([root.encode() for root in roots.split()], other.encode(), [b"/home"])
    assert found == speaks
