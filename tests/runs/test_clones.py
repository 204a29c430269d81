"""What one folder recorded is used in another exactly where running there would give the same."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.net.hosts import Hosts
from ring2_orchestrator.net.policy import Policy
from ring2_orchestrator.runs.why import explain
from tests.runs.clones import SAID, SHOWN, Clones

BUILD = "cat in.txt > out; echo built"


@pytest.fixture
def clones(tmp_path: Path) -> Clones:
    return Clones(tmp_path)


def test_a_folder_of_another_length_and_depth_reuses_and_then_knows_by_itself(
    clones: Clones, capfd: pytest.CaptureFixture[str]
) -> None:
    one, other = clones.folder("a/proj", **{"in": "x"}), clones.folder("b/c/other", **{"in": "x"})
    assert clones.run(one, BUILD).verdict == "ran"
    capfd.readouterr()
    reused = clones.run(other, BUILD)
    assert (reused.reused, reused.restored, reused.origin) == (True, 1, os.fsencode(one))
    assert reused.message.startswith(f"reused from {one}: 1 output restored")
    assert (other / "out").read_text() == "x"
    assert capfd.readouterr().out == "built\n"
    shutil.rmtree(one)
    again = clones.run(other, BUILD, moving=None)
    assert (again.reused, again.origin) == (True, os.fsencode(one)), "it is its own by now"


def test_nobody_gets_it_unasked(clones: Clones) -> None:
    one, other = clones.folder("a/proj", **{"in": "x"}), clones.folder("b/proj", **{"in": "x"})
    clones.run(one, BUILD, moving=None)
    assert not clones.run(other, BUILD).reused, "the first run was not for other folders"
    third = clones.folder("c/proj", **{"in": "x"})
    assert not clones.run(third, BUILD, moving=None).reused
    by_variable = clones.folder("d/proj", **{"in": "x"})
    env = {"REDOXA_RELOCATABLE": "1"}
    assert clones.run(by_variable, BUILD, moving=None, env=env).reused


def test_other_sources_are_built(clones: Clones) -> None:
    one, other = clones.folder("a/proj", **{"in": "x"}), clones.folder("b/proj", **{"in": "y"})
    clones.run(one, BUILD)
    ran = clones.run(other, BUILD)
    assert (ran.verdict, (other / "out").read_text()) == ("ran", "y")
    assert ran.message.endswith(f"not reused from {one}: in.txt changed")


@pytest.mark.parametrize("checkouts", [(), ("a/proj",), ("a/proj", "b/other"), ("b/other",)])
def test_checkouts_and_none(clones: Clones, checkouts: tuple[str, ...]) -> None:
    one, other = clones.folder("a/proj", **{"in": "x"}), clones.folder("b/other", **{"in": "x"})
    for name in checkouts:
        (clones.base / name / ".git").mkdir()
    clones.run(one, BUILD)
    assert clones.run(other, BUILD).reused


def test_a_nested_project_is_one_of_its_own(clones: Clones) -> None:
    line = "cat in.txt ../in.txt 2>/dev/null > out; true"
    for name in ("a/proj", "b/proj"):
        (clones.folder(name, **{"in": name}) / ".git").mkdir()
        (clones.folder(f"{name}/inner", **{"in": "x"}) / ".git").mkdir()
    inner, other = clones.base / "a/proj/inner", clones.base / "b/proj/inner"
    clones.run(inner, line)
    ran = clones.run(other, line)
    assert (ran.reused, (other / "out").read_text()) == (False, "xb/proj")


def test_below_a_checkout_the_folder_in_it_counts(clones: Clones) -> None:
    for name in ("a/proj", "b/proj"):
        (clones.folder(name) / ".git").mkdir()
        clones.folder(f"{name}/x", **{"in": "1"})
        clones.folder(f"{name}/y", **{"in": "1"})
    assert clones.run(clones.base / "a/proj/x", BUILD).verdict == "ran"
    assert not clones.run(clones.base / "b/proj/y", BUILD).reused
    assert clones.run(clones.base / "b/proj/x", BUILD).reused
    assert (clones.base / "b/proj/x/out").exists()


def test_what_appears_above_the_second_clone_counts(clones: Clones) -> None:
    line = (
        "d=.; for i in 1 2 3; do [ -e $d/pyproject.toml ] && cat $d/pyproject.toml; d=$d/..; done"
    )
    one, other = clones.folder("a/proj"), clones.folder("b/c/proj")
    clones.run(one, line)
    for place in ("b/c", "b"):
        found = clones.base / place / "pyproject.toml"
        found.write_text("")
        ran = clones.run(other, line, moving=SAID, reuse=True)
        assert not ran.reused
        assert f"not reused from {one}: {found} appeared" in ran.message
        found.unlink()
        shutil.rmtree(clones.base / "redoxa")
        clones.run(one, line)
    assert clones.run(other, line).reused


def test_what_stood_above_the_first_must_stand_above_the_second(clones: Clones) -> None:
    one, other = clones.folder("a/proj"), clones.folder("b/proj")
    (clones.base / "a/shared.txt").write_text("1")
    clones.run(one, "cat ../shared.txt")
    assert not clones.run(other, "cat ../shared.txt; :").reused
    (clones.base / "b/shared.txt").write_text("1")
    third = clones.folder("c/proj")
    (clones.base / "c/shared.txt").write_text("1")
    assert clones.run(third, "cat ../shared.txt").reused
    fourth = clones.folder("d/proj")
    (clones.base / "d/shared.txt").write_text("2")
    assert not clones.run(fourth, "cat ../shared.txt").reused


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("pwd", "what it printed holds the folder's path"),
        ("pwd -P >&2", "what it printed holds the folder's path"),
        ("mkdir d; pwd > d/out", "d/out holds the folder's path"),
        ('ln -s "$PWD/in.txt" link', "the link link leads to the folder's path"),
        ('mkdir -p "dest$PWD"', "whose name holds that of the folder"),
        ("echo 1 > $HOME/.state", "outside the project's files"),
    ],
)
def test_results_that_belong_to_the_folder_stay(clones: Clones, line: str, why: str) -> None:
    one, other = clones.folder("a/proj", **{"in": "x"}), clones.folder("b/proj", **{"in": "x"})
    recorded = clones.run(one, line)
    assert "not reusable in other folders: " in recorded.message
    assert why in recorded.message
    assert clones.run(one, line).reused, "at home it is"
    assert not clones.run(other, line).reused


def test_absolute_paths_in_words_and_variables_go_along(clones: Clones) -> None:
    line = 'cat "$1/in.txt" "$EXTRA/more.txt" > out; cat "${2#-I}/in.txt"'
    one = clones.folder("a/proj", **{"in": "x", "more": "y"})
    other = clones.folder("b/c/other", **{"in": "x", "more": "y"})
    words = {folder: (str(folder), f"-I{folder}") for folder in (one, other)}
    env = {folder: {"EXTRA": str(folder)} for folder in (one, other)}
    clones.run(one, line, *words[one], env=env[one])
    assert not clones.run(other, line, *words[one], env=env[one]).reused
    assert clones.run(other, line, *words[other], env=env[other]).reused
    assert (other / "out").read_text() == "xy"


def test_a_root_that_begins_another_name_is_not_it(clones: Clones) -> None:
    line = 'cat "$1/in.txt"'
    one = clones.folder("a/proj", **{"in": "x"})
    clones.folder("a/project", **{"in": "far"})
    other = clones.folder("b/proj", **{"in": "x"})
    clones.folder("b/project", **{"in": "near"})
    clones.run(one, line, f"{one}ect")
    ran = clones.run(other, line, f"{other}ect")
    assert not ran.reused
    assert clones.run(clones.base / "a/project", line, str(one)).verdict == "ran"


def test_a_root_inside_a_root(clones: Clones) -> None:
    outer = clones.folder("a/proj", **{"in": "x"})
    inner = clones.folder("a/proj/vendor/proj", **{"in": "x"})
    clones.run(outer, BUILD)
    reused = clones.run(inner, BUILD)
    assert (reused.reused, (inner / "out").read_text()) == (True, "x")
    line = "cat vendor/proj/in.txt in.txt ../../in.txt 2>/dev/null; true"
    clones.run(outer, line)
    assert not clones.run(inner, line).reused


def test_a_folder_that_the_run_read_by_its_path_is_not_the_new_one(clones: Clones) -> None:
    one, other = clones.folder("a/proj", **{"in": "x"}), clones.folder("b/proj", **{"in": "x"})
    line = f"cat in.txt; . ./conf.txt; cat $there/in.txt; : {other.name}"
    for folder in (one, other):
        (folder / "conf.txt").write_text(f"there={other}\n")
    clones.run(one, line)
    ran = clones.run(other, line)
    assert not ran.reused
    assert "project's own" in ran.message


@pytest.mark.parametrize("text", ["{one}", "../proj", "~/../a/proj", "'{one}/in.txt'"])
def test_an_input_that_leads_back_to_the_first_clone(clones: Clones, text: str) -> None:
    one, other = clones.folder("a/proj", **{"in": "x"}), clones.folder("b/other", **{"in": "x"})
    for folder in (one, other):
        (folder / "conf.txt").write_text(f"see {text.format(one=one)}\n")
    line = "cat in.txt; read a b < conf.txt"
    clones.run(one, line)
    ran = clones.run(other, line)
    assert not ran.reused
    assert ran.message.endswith(f"{other}/conf.txt names the folder of a clone")


def test_a_symlinked_root_is_another_question(clones: Clones, tmp_path: Path) -> None:
    one, other = clones.folder("a/proj", **{"in": "x"}), clones.folder("b/proj", **{"in": "x"})
    (tmp_path / "link").symlink_to(other)
    through = {"PWD": str(tmp_path / "link")}
    clones.run(one, BUILD)
    assert not clones.run(other, BUILD, env=through).reused
    clones.run(other, "echo $PWD", env=through)
    recorded = clones.run(other, "echo $PWD ", env=through)
    assert "what it printed holds the folder's path" in recorded.message
    assert clones.run(tmp_path / "link", BUILD, env={"PWD": str(other)}).reused


def test_nothing_is_restored_through_a_link_out_of_the_new_root(clones: Clones) -> None:
    line = "mkdir -p d; cat in.txt > d/out"
    one, other = clones.folder("a/proj", **{"in": "x"}), clones.folder("b/proj", **{"in": "x"})
    beyond = clones.folder("beyond")
    clones.run(one, line)
    (other / "d").symlink_to(beyond)
    before = clones.outside(other)
    assert not clones.run(other, line).reused
    assert before | {str(beyond / "out"): b"x"} == clones.outside(other), "as a plain run would"


def test_why_names_the_folder_and_what_keeps_it_from_being_reused(clones: Clones) -> None:
    one, other = clones.folder("a/proj", **{"in": "x"}), clones.folder("b/proj", **{"in": "x"})
    clones.run(one, BUILD)

    def why() -> object:
        with Home(clones.base / "redoxa") as home:
            command = ["sh", "-c", BUILD, "sh"]
            return explain(command, home=home, cwd=other, env=clones.env(other), moving=SAID)

    found = why()
    assert (found.reusable, found.origin) == (True, str(one))  # pyright: ignore[reportAttributeAccessIssue]
    (other / "in.txt").write_text("y")
    found = why()
    assert not found.reusable  # pyright: ignore[reportAttributeAccessIssue]
    assert found.decision.elsewhere == f"not reused from {one}: in.txt changed"  # pyright: ignore[reportAttributeAccessIssue]


def test_the_whole_file_system_is_no_project(clones: Clones) -> None:
    one = clones.folder("a/proj")
    recorded = clones.run(Path("/"), "echo hello")
    assert "its project is the whole file system" in recorded.message
    clones.run(one, "echo hello")
    assert not clones.run(Path("/"), "echo hello", moving=SHOWN).origin


def test_a_trace_that_its_own_folder_gave_up_is_not_used_elsewhere(clones: Clones) -> None:
    one, other = clones.folder("a/proj", **{"in": "x"}), clones.folder("b/proj", **{"in": "x"})
    clones.run(one, BUILD)
    with Home(clones.base / "redoxa") as home:
        for name, _ in list(home.store.roots("memo/")):
            home.store.set_root(name, None)
    assert not clones.run(other, BUILD).reused


@pytest.mark.parametrize("said", ["1", "clones"])
def test_what_servers_said_stays_in_its_folder(clones: Clones, said: str) -> None:
    """The variable stands there for every command, those with a recorded network among them."""
    options = {"env": {"REDOXA_RELOCATABLE": said}, "network": Policy("replay", Hosts([]))}
    for name in ("a", "b", "c"):
        result = clones.run(clones.folder(name, **{"in": "x"}), BUILD, moving=None, **options)
        assert (result.verdict, result.published, result.elsewhere) == ("ran", True, "")
    with Home(clones.base / "redoxa") as home:
        assert not list(home.store.roots("clones/"))


@pytest.mark.parametrize("verb", [["run", "--"], ["run", "-n", "--"], ["why", "--"]])
@pytest.mark.parametrize("option", ["--relocatable", "--clones"])
def test_an_option_that_would_do_nothing_is_refused(
    clones: Clones, verb: list[str], option: str
) -> None:
    words = [sys.executable, "-m", "redoxa", verb[0], option, "--net=replay", *verb[1:], "true"]
    done = subprocess.run(words, cwd=clones.folder("a"), capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().endswith(f"leave out --net, or {option}\n")
