"""Restoring makes exactly what a run left: whole or not at all, and nothing outside the roots."""

import errno
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cid_store.memory import MemoryStore
from ring2_orchestrator.runs import restore as module
from ring2_orchestrator.runs.errors import RestoreError
from ring2_orchestrator.runs.restore import restore
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.state import RESTORE_PREFIX, What
from ring2_orchestrator.runs.trace import Output

ROOT = Path(__file__).resolve().parents[2]
NOW_NS = 1_700_000_000_000_000_000


class Place:
    """A project, a folder outside it, and a store of outputs."""

    def __init__(self, path: Path) -> None:
        self.project, self.outside = path / "project", path / "outside"
        self.project.mkdir(exist_ok=True, parents=True)
        self.outside.mkdir(exist_ok=True)
        self.store = MemoryStore()
        self.roots = Roots(project=os.fsencode(self.project.resolve()), writable=())

    def file(
        self, name: str, data: bytes = b"restored", mode: int = 0o644, **more: object
    ) -> Output:
        cid = self.store.put(data)
        output = Output(b"P/" + name.encode(), What.FILE, mode, cid, len(data))
        return output._replace(**more)

    def put_back(self, *outputs: Output, old: tuple[bytes, ...] = ()) -> int:
        return restore(
            outputs,
            [output.path for output in outputs if output.path not in old],
            store=self.store,
            roots=self.roots,
            now_ns=NOW_NS,
            old=old,
        )

    def names(self) -> list[str]:
        return sorted(str(path.relative_to(self.project)) for path in self.project.rglob("*"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def folder(name: str, mode: int = 0o755) -> Output:
    return Output(b"P/" + name.encode(), What.DIR, mode)


def gone(name: str) -> Output:
    return Output(b"P/" + name.encode(), What.MISSING)


def link(name: str, target: str) -> Output:
    return Output(b"P/" + name.encode(), What.LINK, target=target.encode())


# What stands in the way.


def test_a_link_in_the_place_of_an_output_is_replaced_and_not_followed(place: Place) -> None:
    victim = place.outside / "victim"
    victim.write_text("precious")
    (place.project / "out").symlink_to(victim)
    assert place.put_back(place.file("out")) == 1
    assert victim.read_text() == "precious"
    assert not (place.project / "out").is_symlink()
    assert (place.project / "out").read_bytes() == b"restored"


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_link_in_the_place_of_a_folder_leads_nowhere(place: Place, depth: int) -> None:
    names = ["a", "b", "c"]
    (place.outside / "b" / "c").mkdir(parents=True)
    (place.outside / "c").mkdir()
    at = place.project.joinpath(*names[: depth - 1])
    at.mkdir(parents=True, exist_ok=True)
    (at / names[depth - 1]).symlink_to(place.outside)
    before = sorted(place.outside.rglob("*"))
    with pytest.raises(RestoreError, match="cannot be put back"):
        place.put_back(place.file("a/b/c/out"))
    with pytest.raises(RestoreError):
        place.put_back(folder("a"), folder("a/b"), folder("a/b/c"), place.file("a/b/c/out"))
    assert sorted(place.outside.rglob("*")) == before


def test_nothing_is_deleted_through_a_link(place: Place) -> None:
    (place.outside / "out").write_text("precious")
    (place.project / "d").symlink_to(place.outside)
    place.put_back(gone("d/out"))
    assert (place.outside / "out").read_text() == "precious"


def test_an_output_outside_the_roots_is_refused_before_anything_is_written(place: Place) -> None:
    elsewhere = os.fsencode(place.outside / "out")
    with pytest.raises(RestoreError, match="outside/out lies outside the folders a restore may"):
        place.put_back(place.file("first"), place.file("x", path=elsewhere))
    assert place.names() == []
    assert not list(place.outside.iterdir())


def test_a_container_where_home_is_the_root_folder_opens_nothing_else(tmp_path: Path) -> None:
    roots = Roots.around(tmp_path, {"HOME": "/", "TMPDIR": str(tmp_path)})
    assert roots.may_write(os.fsencode(tmp_path / "out"))
    assert not roots.may_write(b"/etc/passwd")


def in_a_folder(path: Path) -> None:
    path.mkdir()
    (path / "inner").write_text("precious")


def in_a_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize("make", [in_a_folder, in_a_socket, os.mkfifo])
def test_what_is_no_file_is_not_replaced_by_one(place: Place, make: Callable[[Path], None]) -> None:
    make(place.project / "out")
    before = (place.project / "out").lstat()
    for output in (place.file("out"), link("out", "other")):
        with pytest.raises(RestoreError, match="out is now something that is no file"):
            place.put_back(output)
    assert (place.project / "out").lstat() == before


def test_a_file_in_the_place_of_a_folder_is_not_replaced(place: Place) -> None:
    (place.project / "d").write_text("precious")
    with pytest.raises(RestoreError, match=r"/d cannot be put back \(Not a directory\)"):
        place.put_back(folder("d"), place.file("d/out"))
    assert (place.project / "d").read_text() == "precious"


def test_a_folder_with_something_in_it_is_not_deleted(place: Place) -> None:
    (place.project / "d").mkdir()
    (place.project / "d" / "mine").write_text("precious")
    with pytest.raises(RestoreError, match=r"/d cannot be put back \(Directory not empty\)"):
        place.put_back(gone("d"))
    assert place.names() == ["d", "d/mine"]


def test_a_folder_that_nobody_makes_is_said(place: Place) -> None:
    with pytest.raises(RestoreError, match=r"/d cannot be put back \(No such file or directory\)"):
        place.put_back(place.file("d/out"))


# What is left.


def test_deletions_go_from_the_deepest_up_and_may_have_happened(place: Place) -> None:
    (place.project / "a" / "b").mkdir(parents=True)
    (place.project / "a" / "b" / "out").write_text("x")
    assert place.put_back(gone("a"), gone("a/b"), gone("a/b/out"), gone("a/b/never")) == 3
    assert place.put_back(gone("a"), gone("a/b"), gone("a/b/out")) == 0
    assert place.names() == []


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o644, 0o755, 0o777, 0o4755, 0o2711])
def test_modes_do_not_depend_on_the_umask(place: Place, mode: int) -> None:
    old = os.umask(0o077)
    try:
        place.put_back(place.file("out", mode=mode), folder("d", mode | 0o700))
    finally:
        os.umask(old)
    assert stat.S_IMODE((place.project / "out").stat().st_mode) == mode
    assert stat.S_IMODE((place.project / "d").stat().st_mode) == mode | 0o700


def test_links_come_back_as_they_were_wherever_they_point(place: Place) -> None:
    targets = {"a": "b", "b": "../outside/nothing", "c": "/etc/passwd", "d": " spaced \n"}
    place.put_back(*(link(name, target) for name, target in targets.items()))
    assert {name: os.readlink(place.project / name) for name in targets} == targets  # noqa: PTH115


def test_hard_links_share_one_file_with_outputs_and_inputs(place: Place) -> None:
    (place.project / "input").write_bytes(b"restored")
    (place.project / "b").write_text("another file")
    place.put_back(
        place.file("a", link_to=b"P/z"), place.file("z"), place.file("b", link_to=b"P/input")
    )
    inodes = {name: (place.project / name).stat().st_ino for name in ("a", "z", "b", "input")}
    assert inodes["a"] == inodes["z"] != inodes["b"] == inodes["input"]
    assert place.names() == ["a", "b", "input", "z"]


def test_a_hard_link_that_is_there_already_stays(place: Place) -> None:
    (place.project / "a").write_bytes(b"restored")
    os.link(place.project / "a", place.project / "b")
    place.put_back(place.file("b", link_to=b"P/a"))
    assert place.names() == ["a", "b"]
    assert (place.project / "a").stat().st_nlink == 2


def test_the_other_names_of_an_overwritten_file_keep_their_content(place: Place) -> None:
    (place.project / "out").write_text("precious")
    os.link(place.project / "out", place.outside / "other")
    place.put_back(place.file("out"))
    assert (place.outside / "other").read_text() == "precious"


@given(ranks=st.lists(st.integers(0, 5), min_size=1, max_size=6))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_times_follow_the_order_of_writing(place: Place, ranks: list[int]) -> None:
    for path in place.project.glob("f[1-9]"):  # what stands right would keep its time
        path.unlink()
    outputs = [place.file(f"f{at}", rank=rank) for at, rank in enumerate(ranks)]
    place.put_back(*outputs, old=(outputs[0].path,) if (place.project / "f0").exists() else ())
    times = [(place.project / f"f{at}").stat().st_mtime_ns for at in range(len(ranks))]
    assert min(times) >= NOW_NS
    for one, its in zip(ranks, times, strict=True):
        for other, others in zip(ranks, times, strict=True):
            assert (one < other) == (its < others)


def test_a_time_of_the_runs_own_comes_back_exactly(place: Place) -> None:
    place.put_back(place.file("out", mtime_ns=981_173_106_123_456_789))
    assert (place.project / "out").stat().st_mtime_ns == 981_173_106_123_456_789


def no_nameless_file(_folder: int) -> None:
    """What some file systems give."""


def test_a_file_system_without_nameless_files_serves_as_well(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_open_nameless", no_nameless_file)
    (place.project / "out").write_text("before")
    place.put_back(place.file("out", mode=0o640))
    assert (place.project / "out").read_bytes() == b"restored"
    assert stat.S_IMODE((place.project / "out").stat().st_mode) == 0o640
    assert place.names() == ["out"]


NAMES = ["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a"]


@st.composite
def trees(draw: st.DrawFn) -> dict[str, bytes | None]:
    """A tree of folders (None) and files; what lies in a file is left out."""
    found: dict[str, bytes | None] = {}
    for name in NAMES:
        parent = name.rpartition("/")[0]
        if (not parent or found.get(parent, b"") is None) and draw(st.booleans()):
            is_folder = name in ("d", "d/e")
            found[name] = None if is_folder else draw(st.binary(max_size=3))
    return found


@given(was=trees(), left=trees())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tree_becomes_any_other(
    tmp_path_factory: pytest.TempPathFactory,
    was: Mapping[str, bytes | None],
    left: Mapping[str, bytes | None],
) -> None:
    place = Place(tmp_path_factory.mktemp("tree"))
    outputs: list[Output] = []
    for name, data in was.items():
        path = place.project / name
        path.mkdir() if data is None else path.write_bytes(data)
    for name in NAMES:
        data = left.get(name)
        if name in left:
            outputs.append(folder(name) if data is None else place.file(name, data))
        elif name in was:
            outputs.append(gone(name))
    place.put_back(*outputs)
    paths = {name: place.project / name for name in place.names()}
    assert {n: p.read_bytes() if p.is_file() else None for n, p in paths.items()} == dict(left)


# All of it or nothing.


def shapes(project: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content, or target, of everything there."""
    found: dict[str, tuple[int, bytes]] = {}
    for path in sorted(project.rglob("*")):
        content = os.fsencode(path.readlink()) if path.is_symlink() else b""
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
        found[str(path.relative_to(project))] = (path.lstat().st_mode, content)
    return found


def world(place: Place) -> list[Output]:
    """A tree in which a restore makes, replaces, links, moves and deletes."""
    for name in ("gone", "gone/deep", "kept"):
        (place.project / name).mkdir()
    for name in ("in", "replaced", "gone/deep/file", "gone/other", "kept/old"):
        (place.project / name).write_text(f"before {name}")
    (place.project / "turned").symlink_to("in")
    return [
        gone("in"), gone("gone"), gone("gone/deep"), gone("gone/deep/file"), gone("gone/other"),
        place.file("replaced", mode=0o600), place.file("kept/new"), link("turned", "kept/new"),
        folder("shut", 0o555), place.file("shut/inner", rank=1), folder("shut/below"),
        place.file("a-twin", link_to=b"P/shut/inner"),
    ]  # fmt: skip


CALLS = ["open", "mkdir", "link", "symlink", "write", "rename", "fchmod", "utime", "stat"]


@pytest.mark.parametrize("call", CALLS)
def test_whatever_fails_the_files_are_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    real = getattr(os, call)
    for number in range(1, 100):
        place = Place(tmp_path / str(number))
        outputs = world(place)
        before = shapes(place.project)
        left = number

        def failing(*args: object, **options: object) -> object:
            nonlocal left
            left -= 1
            if left == 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing)
            try:
                done = place.put_back(*outputs)
            except RestoreError:
                done = None
        if done is not None and left > 0:
            assert shapes(place.project)["shut/inner"] == (stat.S_IFREG | 0o644, b"restored")
            assert number > 1, "the call is used"
            break
        if done is None:
            assert shapes(place.project) == before


def test_nothing_is_deleted_before_what_follows_it_is_there(place: Place) -> None:
    (place.project / "in").write_text("precious")
    (place.project / "out").mkdir()
    with pytest.raises(RestoreError):
        place.put_back(gone("in"), place.file("out"))
    assert (place.project / "in").read_text() == "precious"


def test_a_folder_gets_its_mode_when_it_is_full(place: Place) -> None:
    place.put_back(folder("shut", 0o555), place.file("shut/inner"))
    assert stat.S_IMODE((place.project / "shut").stat().st_mode) == 0o555
    assert (place.project / "shut/inner").read_bytes() == b"restored"


# Killed in the middle.

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.runs.test_restore import Place
place = Place(Path(sys.argv[1]))
left, name = int(sys.argv[3]), sys.argv[2]
real = getattr(os, name)
def call(*args, **options):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **options)
setattr(os, name, call)
place.put_back(*(place.file(f"f{at}", b"new" * 1000) for at in range(4)))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "number"), [("write", 2), ("link", 3), ("rename", 1), ("rename", 4), ("utime", 2)]
)
def test_killed_in_the_middle_every_file_is_old_or_new(
    place: Place, tmp_path: Path, call: str, number: int
) -> None:
    for at in range(4):
        (place.project / f"f{at}").write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path, call, str(number)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    names = [f"f{at}" for at in range(4)]
    assert all((place.project / name).read_bytes() in (b"old", b"new" * 1000) for name in names)
    assert len(place.names()) <= 12, "what was staged, and what was kept, but nothing else"
    place.put_back(*(place.file(name, b"new" * 1000) for name in names))
    assert place.names() == names, "what the killed restore left is swept"


def test_what_a_living_restore_is_writing_is_left_alone(place: Place) -> None:
    name = f"{RESTORE_PREFIX.decode()}{os.getppid()}-1"
    (place.project / name).write_text("of somebody else")
    place.put_back(place.file("out"))
    assert place.names() == [name, "out"]
