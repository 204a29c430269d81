"""A replay does in a cell of its own what the run did, says what differs, and touches nothing."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.replaying import cell as cells
from ring2_orchestrator.replaying.__main__ import replay
from ring2_orchestrator.replaying.bundle import Bundler, Wanted
from ring2_orchestrator.replaying.parts import CannotReplayError
from ring2_orchestrator.runs.statcache import TICK_NS, Stamp, stamp_of
from ring2_orchestrator.runs.which import find_run
from tests.runs.conftest import Person

ROOT = Path(__file__).resolve().parents[2]
Done = subprocess.CompletedProcess[str]
Typed = Callable[..., Done]
pytestmark = pytest.mark.slow


LINE = """
cat in link; ls d; echo complaint >&2
cat in > out; chmod 750 out; mkdir -p new/deep; echo x > new/deep/file; ln -s out new/link
rm gone; mv moved d/moved; echo more >> d/log; exit 3
"""


@pytest.fixture
def recorded(person: Person) -> Person:
    for name in ("in", "gone", "moved", "d/log", "d/seen only by name"):
        person.write(name, f"{name}\n")
    (person.project / "link").symlink_to("in")
    person.env["MARK"] = "given"
    # A name in a folder that the run changes, too, must be older than the clock's tick.
    time.sleep(2 * TICK_NS / 1e9)
    result = person.run(LINE)
    assert result.published, result.message
    return person


def bundle(person: Person, folder: Path, **wanted: bool) -> dict[str, Any]:
    """The bundle of the newest run, in that folder."""
    folder.mkdir()
    with Home(person.home_path) as home:
        run = find_run(home, "@")
        Bundler(home, run, folder, env=person.env, wanted=Wanted(**wanted)).make()
    return json.loads((folder / "run.json").read_text())


def stamps(person: Person) -> dict[Path, tuple[int, Stamp]]:
    """Everything in the project as it stands; times of reading may change."""
    found = {path: path.lstat() for path in person.project.rglob("*")}
    return {path: (status.st_mode, stamp_of(status)) for path, status in found.items()}


def test_the_same_again_is_exact_and_touches_nothing(person: Person, typed_text: Typed) -> None:
    for name in ("in", "gone", "moved"):
        person.write(name, f"{name}\n")
    line = "cat in; echo e >&2; cat in > out; chmod 750 out; rm gone; mv moved m; ln -s out l"
    typed_text("run", "--", "sh", "-c", line)
    for name in ("gone", "moved"):
        person.write(name, f"{name}\n")
    (person.project / "m").unlink()
    person.write("out", "mine\n")
    before = stamps(person)
    done = typed_text("replay", "@")
    assert done.stdout.startswith("EXACT: run "), done.stdout + done.stderr
    assert (done.returncode, done.stderr) == (0, "")
    assert stamps(person) == before
    assert not list((person.home_path / "scratch").iterdir())
    answer = json.loads(typed_text("replay", "--json", "@").stdout)
    assert answer["schema"] == "redoxa.replay/1"
    assert (answer["cannot"], answer["differences"]) == ([], [])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("date +%N", "DIFFERS: standard output differs in line 1: "),
        ("date +%N >&2", "DIFFERS: standard error differs in line 1: "),
        ("date +%N > out", "project/out holds other bytes"),
        ("ln -s $(date +%N) l", "project/l points to "),
        ("mkdir d; touch d/$(date +%N)", "was left, and by the recorded run was not"),
        ("exit $(( $(date +1%N) % 250 ))", "DIFFERS: the exit code is "),
    ],
)
def test_what_differs_is_named(typed_text: Typed, line: str, said: str) -> None:
    typed_text("run", "--", "sh", "-c", line)
    done = typed_text("replay", "@")
    assert done.returncode == 1
    assert said in done.stdout


def test_an_input_that_changed_and_is_not_kept_is_said(person: Person, typed_text: Typed) -> None:
    person.write("in", "old and gone\n")
    typed_text("run", "--", "sh", "-c", "wc -c < in")
    person.write("in", "new\n")
    done = typed_text("replay", "@")
    assert done.returncode == 3
    assert "project/in has another content now, and the old is not kept" in done.stderr
    assert "--anyway runs it with what there is" in done.stderr
    assert done.stdout == ""
    assert typed_text("replay", "--anyway", "@").returncode == 1


def test_what_the_store_holds_comes_from_there(person: Person, typed_text: Typed) -> None:
    person.write("src", "old\n")
    typed_text("run", "--", "sh", "-c", "cat src > copy")
    typed_text("run", "--", "sh", "-c", "wc -c copy > size")
    person.write("copy", "new\n")
    done = typed_text("replay", "@")
    assert done.stdout.startswith("EXACT"), done.stderr


def test_inputs_that_were_asked_to_be_kept_are_there_later(
    person: Person, typed_text: Typed
) -> None:
    for name in ("a.in", "b.in", ".env", "late.in"):
        person.write(name, f"{name} and more\n")
    os.utime(person.project / "a.in", (5, 5))
    line = "wc -c a.in b.in; wc -c < .env; tar cf /dev/null late.in"
    done = typed_text("run", "--keep-inputs", "--", "sh", "-c", line)
    assert "; 3 inputs kept (45 bytes)" in done.stderr, done.stderr
    done = typed_text("run", "--keep-inputs", "--", "sh", "-c", line)
    assert "reused: " in done.stderr
    assert "; 3 inputs kept (45 bytes)" in done.stderr
    person.write("a.in", "other\n")
    (person.project / "b.in").unlink()
    person.write("late.in", "other\n")
    typed_text("store", "gc", "--grace", "0")
    done = typed_text("replay", "@")
    assert done.stdout.startswith("EXACT"), done.stderr
    person.write(".env", "other\n")
    done = typed_text("replay", "@")
    assert "project/.env has another content now, and the old is not kept" in done.stderr


def test_what_is_kept_goes_with_its_trace(person: Person, typed_text: Typed) -> None:
    for value in range(33):
        person.write("in", f"{value}\n")
        person.run("wc -c in")
    person.write("in", "0\n")
    typed_text("run", "--keep-inputs", "--", "sh", "-c", "wc -c in")
    with Home(person.home_path) as home:
        (root,) = home.store.roots("inputs/")
    for value in range(33):
        person.write("in", f"new {value}\n")
        person.run("wc -c in")
    typed_text("run", "--keep-inputs", "--", "sh", "-c", "wc -c in")
    with Home(person.home_path) as home:
        (other,) = home.store.roots("inputs/")
    assert root != other


def test_other_values_of_the_environment_are_said(person: Person, typed_text: Typed) -> None:
    person.env["SHADE"] = "blue"
    typed_text("run", "--", "sh", "-c", "echo $SHADE")
    person.env["SHADE"] = "red"
    done = typed_text("replay", "@")
    assert done.returncode == 1
    assert "the value of $SHADE was another, which is not kept" in done.stdout


def test_a_run_without_a_trace_cannot_be_replayed(typed_text: Typed) -> None:
    typed_text("run", "--", "sh", "-c", "kill -TERM $$")
    done = typed_text("replay", "@")
    assert (done.returncode, done.stdout) == (3, "")
    assert "has no trace" in done.stderr


def test_make_does_the_same_again(person: Person, typed_text: Typed) -> None:
    person.write("Makefile", "all: a b\n%: %.in\n\tcat $< > $@\n\techo made $@\n")
    for name in ("a", "b"):
        os.utime(person.write(f"{name}.in", name), (1, 1))
    typed_text("run", "--", "make")
    typed_text("run", "--", "make")  # finds that all is made
    assert typed_text("replay", "@").returncode == 0
    (person.project / "a").unlink()
    done = typed_text("replay", "@~1")
    assert done.stdout.startswith("EXACT"), done.stdout + done.stderr


# The cell.


def test_every_kind_of_thing_is_made_again(recorded: Person, tmp_path: Path) -> None:
    for name in ("gone", "moved"):
        recorded.write(name, f"{name}\n")
    for name in ("d/moved", "new/deep/file", "new/link"):
        (recorded.project / name).unlink()
    recorded.write("d/log", "d/log\n")
    bundle(recorded, tmp_path / "bundle")
    answer = replay(str(tmp_path / "bundle"))
    assert answer["cannot"] == []
    assert answer["differences"] == []


def test_nothing_outside_can_be_changed(recorded: Person, tmp_path: Path) -> None:
    run = bundle(recorded, tmp_path / "bundle")
    outside = recorded.project / "precious"
    outside.write_text("precious")
    elsewhere = Path("/var/tmp") / f"redoxa-test-{os.getpid()}"  # noqa: S108 - outside all of them
    elsewhere.mkdir()
    try:
        line = f"echo x > {outside}; rm -f /bin/sh; echo y > {elsewhere}/y; rmdir {elsewhere}"
        run |= {"command": ["/bin/sh", "-c", line], "lacks": [], "expected": []}
        (tmp_path / "bundle" / "run.json").write_text(json.dumps(run))
        answer = replay(str(tmp_path / "bundle"), anyway=True)
        if not answer["isolated"]:
            pytest.skip("no namespaces here")
        assert outside.read_text() == "precious"
        assert list(elsewhere.iterdir()) == []
        assert Path("/bin/sh").exists()
    finally:
        shutil.rmtree(elsewhere)


def no_view(_cell: cells.Cell) -> dict[str, str]:
    raise PermissionError(1, "Operation not permitted")


def test_without_namespaces_it_runs_in_a_copy_and_says_so(
    person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells.Cell, "_enter", no_view)
    person.write("in", "21\n")
    person.run("cat in; cat in > out")
    (person.project / "out").unlink()
    bundle(person, tmp_path / "bundle")
    answer = replay(str(tmp_path / "bundle"))
    assert (answer["cannot"], answer["differences"]) == ([], [])
    assert not answer["isolated"]
    assert any(note.startswith("not isolated: it ran in a copy") for note in answer["notes"])
    assert not (person.project / "out").exists()
    person.run(f"echo x > {person.project}/x")
    (person.project / "x").unlink()
    bundle(person, tmp_path / "other")
    with pytest.raises(CannotReplayError, match=r"without one the run would reach .* itself"):
        replay(str(tmp_path / "other"))
    assert not (person.project / "x").exists()


@pytest.mark.parametrize(
    "inputs",
    [
        [{"path": "/P/../../escaped", "what": "folder", "mode": 0o755}],
        [{"path": "escaped", "what": "folder", "mode": 0o755}],
        [{"path": "/P/d", "what": "listing", "entries": {"../../escaped": "f"}}],
        [{"path": "/P/d", "what": "listing", "entries": {"/escaped": "d"}}],
        [{"path": "/P/f", "what": "file", "mode": 0o644, "object": "../run.json"}],
    ],
)
def test_a_bundle_cannot_write_outside_its_cell(
    recorded: Person, tmp_path: Path, inputs: list[dict[str, Any]]
) -> None:
    run = bundle(recorded, tmp_path / "bundle")
    for item in inputs:
        item["path"] = item["path"].replace("/P", str(recorded.project))
    run |= {"inputs": inputs, "lacks": []}
    (tmp_path / "bundle" / "run.json").write_text(json.dumps(run))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CannotReplayError, match="is no"):
        replay(str(tmp_path / "bundle"))
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_is_made_through_a_link(recorded: Person, tmp_path: Path) -> None:
    run = bundle(recorded, tmp_path / "bundle")
    (tmp_path / "victim").mkdir()
    at = str(recorded.project / "a")
    run["inputs"] = [
        {"path": at, "what": "link", "target": str(tmp_path / "victim")},
        {"path": f"{at}/file", "what": "file", "mode": 0o644},
        {"path": f"{at}/d", "what": "folder", "mode": 0o755},
    ]
    (tmp_path / "bundle" / "run.json").write_text(json.dumps(run))
    replay(str(tmp_path / "bundle"), anyway=True)
    assert list((tmp_path / "victim").iterdir()) == []


def test_a_damaged_object_is_said(recorded: Person, tmp_path: Path) -> None:
    bundle(recorded, tmp_path / "bundle")
    for path in (tmp_path / "bundle" / "objects").iterdir():
        path.write_bytes(b"other")
    with pytest.raises(CannotReplayError, match="of the bundle is damaged"):
        replay(str(tmp_path / "bundle"), anyway=True)
