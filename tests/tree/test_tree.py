"""Directory trees: the same tree comes back, has one name, and never leaves its folder."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cid_store.cid import Cid, Codec
from cid_store.encoding import NodeLike
from cid_store.errors import DamageError, InputError, MalformedNodeError, MissingObjectError
from cid_store.memory import MemoryStore
from cid_store.nodes import put_node
from cid_store.store import Buffer
from ring2_orchestrator.tree import Limits, add_folder, checkout, survey
from ring2_orchestrator.tree.node import Entry, Extent, File, Folder, Link, get_tree, put_tree
from tests.tree.conftest import look

MIB = 1 << 20


# There and back

names = st.binary(min_size=1, max_size=40).filter(
    lambda name: name not in (b".", b"..") and not set(name) & {0, ord("/")}
)
# Only root reads what forbids its owner to read.
OWNER = 0 if os.geteuid() == 0 else 0o700
modes = st.integers(0, 0o777).map(lambda mode: mode | OWNER)
leaves = st.one_of(
    st.tuples(st.just("file"), modes, st.binary(max_size=200)),
    st.tuples(st.just("link"), st.binary(min_size=1, max_size=40).filter(lambda to: 0 not in to)),
)
trees = st.recursive(
    st.dictionaries(names, leaves, max_size=4),
    lambda inner: st.dictionaries(
        names, leaves | st.tuples(st.just("folder"), modes, inner), max_size=4
    ),
    max_leaves=8,
)


def build(folder: Path, tree: dict[bytes, tuple[Any, ...]]) -> None:
    for name, (kind, *rest) in tree.items():
        path = folder / os.fsdecode(name)
        if kind == "link":
            path.symlink_to(os.fsdecode(rest[0]))
            continue
        mode, inside = rest
        if kind == "folder":
            path.mkdir()
            build(path, inside)
        else:
            path.write_bytes(inside)
        path.chmod(mode)


@settings(max_examples=60, deadline=None)
@given(trees)
def test_a_tree_comes_back_with_the_same_name(tree: dict[bytes, tuple[Any, ...]]) -> None:
    store = MemoryStore()
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "first"), Path(folder, "second")
        first.mkdir()
        build(first, tree)
        cid = add_folder(store, first)
        totals = checkout(store, cid, second)
        assert look(second) == look(first)
        assert totals.entries == len(look(first))
        assert add_folder(store, second) == cid


def sample(folder: Path) -> Path:
    """A small tree of every kind."""
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "data").write_bytes(b"\0\1\2" * 999)
    (folder / "empty").touch()
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o750)
    (folder / "deep").chmod(0o700)
    (folder / "away").symlink_to("/nowhere/at/all")
    (folder / "near").symlink_to("deep/er")
    os.close(os.open(os.fsencode(folder) + b"/not\xffunicode", os.O_CREAT, 0o644))
    return folder


def test_every_kind_comes_back(store: MemoryStore, tmp_path: Path) -> None:
    first = sample(tmp_path / "first")
    cid = add_folder(store, first)
    checkout(store, cid, tmp_path / "second")
    assert look(tmp_path / "second") == look(first)


def test_times_owners_and_order_change_no_name(store: MemoryStore, tmp_path: Path) -> None:
    first = sample(tmp_path / "first")
    cid = add_folder(store, first)
    second = tmp_path / "second"
    shutil.copytree(first, second, symlinks=True)
    for name in ("empty", "run.sh"):
        (second / name).rename(second / "x")
        (second / "x").rename(second / name)
        os.utime(second / name, (1, 2))
    if os.geteuid() == 0:
        os.chown(second / "empty", 1234, 1234)
    assert add_folder(store, second) == cid
    (second / "run.sh").chmod(0o755)
    assert add_folder(store, second) != cid


def test_the_example_of_the_page(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "hello").write_bytes(b"hello")
    (tmp_path / "hello").chmod(0o755)
    (tmp_path / "hi").symlink_to("hello")
    cid = add_folder(store, tmp_path)
    page = Path(__file__).parents[2] / "docs" / "formats" / "tree.md"
    assert f"`{cid}`" in page.read_text("utf-8")


def test_a_file_is_kept_under_the_name_that_put_gives_it(
    store: MemoryStore, tmp_path: Path
) -> None:
    data = os.urandom(3 * MIB + 17)
    (tmp_path / "big").write_bytes(data)
    entries = get_tree(store, add_folder(store, tmp_path))
    assert entries[b"big"] == File(
        (tmp_path / "big").stat().st_mode & 0o777,
        len(data),
        (Extent(0, len(data), Cid.of(data)),),
    )


def test_special_bits_are_dropped(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "s").touch()
    (tmp_path / "in" / "s").chmod(0o6755)
    checkout(store, add_folder(store, tmp_path / "in"), tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out" / "s").stat().st_mode) == 0o755


# Zeros


def sparse(path: Path, parts: dict[int, bytes], size: int) -> None:
    with path.open("wb") as file:
        for offset, data in parts.items():
            file.seek(offset)
            file.write(data)
        file.truncate(size)


PLACES = [
    ({}, 0),
    ({}, 1),
    ({}, MIB - 1),
    ({}, MIB),
    ({}, 3 * MIB + 5),
    ({0: b"a"}, 3 * MIB),
    ({2 * MIB - 1: b"ab"}, 5 * MIB),
    ({0: b"a" * MIB, 3 * MIB: b"b" * (2 * MIB)}, 6 * MIB + 1),
    ({4 * MIB: b"end"}, 4 * MIB + 3),
]


@pytest.mark.parametrize(("parts", "size"), PLACES)
def test_holes_and_written_zeros_are_the_same_file(
    store: MemoryStore, tmp_path: Path, parts: dict[int, bytes], size: int
) -> None:
    for name in ("holes", "zeros", "back"):
        (tmp_path / name).mkdir()
    sparse(tmp_path / "holes" / "f", parts, size)
    whole = (tmp_path / "holes" / "f").read_bytes()
    (tmp_path / "zeros" / "f").write_bytes(whole)
    cid = add_folder(store, tmp_path / "holes")
    assert add_folder(store, tmp_path / "zeros") == cid
    checkout(store, cid, tmp_path / "back")
    assert (tmp_path / "back" / "f").read_bytes() == whole
    assert add_folder(store, tmp_path / "back") == cid


def test_a_terabyte_of_holes_takes_no_room(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    try:
        sparse(tmp_path / "in" / "disk", {1 << 39: b"data"}, 1 << 40)
    except OSError:
        pytest.skip("this file system has no files of a terabyte")
    cid = add_folder(store, tmp_path / "in")
    with pytest.raises(InputError, match=r"takes 1,099,511,627,776 bytes, over the limit of"):
        checkout(store, cid, tmp_path / "out", limits=Limits(1 << 39))
    assert not (tmp_path / "out").exists()
    checkout(store, cid, tmp_path / "out", limits=Limits(1 << 40))
    status = (tmp_path / "out" / "disk").stat()
    assert status.st_size == 1 << 40
    assert status.st_blocks * 512 <= 4 * MIB


# What cannot be taken


def test_a_pipe_is_refused_by_name(store: MemoryStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p")
    with pytest.raises(InputError, match="/p' is a pipe; a tree holds files, folders and links"):
        add_folder(store, tmp_path)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"before")

    class Slow(MemoryStore):
        def put(self, data: Buffer, codec: Codec = Codec.RAW) -> Cid:
            path.write_bytes(b"and after")
            return super().put(data, codec)

    with pytest.raises(InputError, match="/f' changed while it was read; add the folder again"):
        add_folder(Slow(), tmp_path)


def test_folders_too_deep_are_refused(store: MemoryStore, tmp_path: Path) -> None:
    deepest = tmp_path / "/".join("d" * 300)
    deepest.mkdir(parents=True)
    with pytest.raises(InputError, match="deeper than 256 folders in one another"):
        add_folder(store, tmp_path)
    cid = put_tree(store, {})
    for _ in range(300):
        cid = put_tree(store, {b"d": Folder(0o755, cid)})
    with pytest.raises(InputError, match="deeper than 256 folders in one another"):
        survey(store, cid)


# Hostile trees

CONTENT = Cid.of(b"data")


def listed(*entries: NodeLike) -> NodeLike:
    return {"type": "tree", "v": 1, "entries": list(entries)}


def file(name: bytes) -> NodeLike:
    return [name, "file", 0o644, 4, CONTENT]


@pytest.mark.parametrize(
    "node",
    [
        *(listed(file(name)) for name in (b"", b".", b"..", b"a/b", b"/a", b"a\0b", b"n" * 256)),
        listed(file(b"b"), file(b"a")),
        listed(file(b"a"), file(b"a")),
        listed(["text", "file", 0o644, 4, CONTENT]),
        listed([b"a", "file", 0o4755, 4, CONTENT]),
        listed([b"a", "file", -1, 4, CONTENT]),
        listed([b"a", "file", True, 4, CONTENT]),
        listed([b"a", "file", 0o644, -4, CONTENT]),
        listed([b"a", "file", 0o644, 1 << 63, CONTENT]),
        listed([b"a", "file", 0o644, 4, Cid.of(b"data", Codec.NODE)]),
        listed([b"a", "file", 0o644, 4]),
        listed([b"a", "link", b""]),
        listed([b"a", "link", b"x\0y"]),
        listed([b"a", "link", b"x" * 4096]),
        listed([b"a", "device", 0o644]),
        listed([b"a", "sparse", 0o644, 4, [[0, 5, CONTENT]]]),
        listed([b"a", "sparse", 0o644, 4, [[-1, 4, CONTENT]]]),
        listed([b"a", "sparse", 0o644, 9, [[4, 4, CONTENT], [0, 4, CONTENT]]]),
        listed([b"a", "sparse", 0o644, 9, [[0, 0, CONTENT]]]),
        listed([b"a", "folder", 0o755, CONTENT]),
        listed(b"a"),
        {"type": "tree", "v": 2, "entries": []},
        {"type": "tree", "v": 1, "entries": [], "more": 1},
        [],
    ],
)
def test_what_is_no_tree_is_refused_and_nothing_written(
    store: MemoryStore, tmp_path: Path, node: NodeLike
) -> None:
    store.put(b"data")
    cid = put_node(store, node)
    with pytest.raises(MalformedNodeError):
        checkout(store, cid, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ({"type": "tree", "v": 2, "files": []}, "version 2, .* install a newer Redoxa"),
        (listed([b"a", "file", 0o4755, 4, CONTENT]), "the mode of 'a'"),
        (listed([b"a", "folder", -1, CONTENT]), "the mode of 'a'"),
        (listed([b"a", "sparse", 0o644, -4, []]), "the size of 'a'"),
        (listed([b"a", "file", 0o644, 4, Cid.of(b"", Codec.NODE)]), "contents of 'a' are a node"),
        (listed([b"a", "link", b""]), "the link 'a' names is empty"),
        (listed([b"a", "file", 0o644, 4]), "the file 'a' does not have the parts"),
        (listed([b"a", "device", 0o644]), "'a' is neither folder, file nor link"),
        (listed(b"a"), "has no name"),
    ],
)
def test_what_is_wrong_with_a_tree_is_named(store: MemoryStore, node: NodeLike, says: str) -> None:
    with pytest.raises(MalformedNodeError, match=says):
        get_tree(store, put_node(store, node))


@pytest.mark.parametrize("size", [0, 3, 5, 2 * MIB])
def test_an_object_of_another_length_is_refused(
    store: MemoryStore, tmp_path: Path, size: int
) -> None:
    cid = put_tree(store, {b"a": File(0o644, size, (Extent(0, size, store.put(b"data")),))})
    with pytest.raises(DamageError, match="that object has not as many"):
        checkout(store, cid, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_tree_that_repeats_itself_is_counted_not_walked(
    store: MemoryStore, tmp_path: Path
) -> None:
    cid = put_tree(store, {b"f": File(0o644, 4, (Extent(0, 4, store.put(b"data")),))})
    for _ in range(100):
        cid = put_tree(store, {b"%d" % at: Folder(0o755, cid) for at in range(10)})
    assert survey(store, cid).size_bytes == 4 * 10**100
    with pytest.raises(InputError, match="over the limit of"):
        checkout(store, cid, tmp_path / "out")
    empty = put_tree(store, {})
    for _ in range(30):
        empty = put_tree(store, {b"a": Folder(0o755, empty), b"b": Folder(0o755, empty)})
    with pytest.raises(InputError, match=r"has 2,147,483,646 entries, over the limit"):
        checkout(store, empty, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_one_on_the_disk_are_refused_before_anything_is_written(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries: dict[bytes, Entry] = {b"File": Link(b"x"), b"file": Link(b"y")}
    cid = put_tree(store, {b"in": Folder(0o755, put_tree(store, entries))})
    checkout(store, cid, tmp_path / "kept apart")
    assert len(list((tmp_path / "kept apart" / "in").iterdir())) == 2

    def folding(folder: int, one: bytes, other: bytes) -> bool:
        return one.lower() == other.lower()

    monkeypatch.setattr("ring2_orchestrator.tree.writing._folds", folding)
    with pytest.raises(InputError, match="has both 'File' and 'file', which are one name"):
        checkout(store, cid, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# The place


def simple(store: MemoryStore) -> Cid:
    data = File(0o644, 4, (Extent(0, 4, store.put(b"data")),))
    return put_tree(store, {b"d": Folder(0o755, put_tree(store, {b"f": data})), b"g": data})


def test_an_empty_folder_is_filled_and_a_full_one_left_alone(
    store: MemoryStore, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    checkout(store, simple(store), out)
    before = look(out)
    with pytest.raises(InputError, match="is not empty; name another folder, or give --force"):
        checkout(store, simple(store), out)
    assert look(out) == before


def test_force_replaces_files_and_keeps_the_rest(store: MemoryStore, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "d").mkdir(parents=True)
    (out / "d" / "f").write_text("old")
    (out / "d" / "other").write_text("kept")
    (out / "g").symlink_to(tmp_path / "outside")
    checkout(store, simple(store), out, force=True)
    assert (out / "d" / "f").read_bytes() == b"data"
    assert (out / "d" / "other").read_text() == "kept"
    assert not (out / "g").is_symlink()
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("planted", ["link", "file"])
def test_what_stands_where_a_folder_should_is_not_followed(
    store: MemoryStore, tmp_path: Path, planted: str
) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    out.mkdir()
    outside.mkdir()
    if planted == "link":
        (out / "d").symlink_to(outside)
    else:
        (out / "d").write_text("old")
    with pytest.raises(InputError, match="is a link or a file, and a folder in the tree"):
        checkout(store, simple(store), out, force=True)
    assert list(outside.iterdir()) == []


def test_a_folder_where_a_file_should_be_is_left_alone(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "g" / "below").mkdir(parents=True)
    with pytest.raises(InputError, match="/g' is a folder, and a file or link in the tree"):
        checkout(store, simple(store), tmp_path, force=True)
    assert (tmp_path / "g" / "below").is_dir()


@pytest.mark.parametrize("present", [False, True])
def test_after_an_error_nothing_is_left(store: MemoryStore, tmp_path: Path, present: bool) -> None:
    out = tmp_path / "out"
    if present:
        out.mkdir()
    locked = put_tree(store, {b"f": File(0, 4, (Extent(0, 4, store.put(b"data")),))})
    gone = File(0o644, 4, (Extent(0, 4, Cid.of(b"gone")),))
    inner = put_tree(store, {b"locked": Folder(0, locked)})
    cid = put_tree(store, {b"a": Folder(0o555, inner), b"b": gone})
    with pytest.raises(MissingObjectError):
        checkout(store, cid, out)
    assert list(tmp_path.rglob("*")) == ([out] if present else [])


def put_file(path: Path) -> None:
    path.write_text("kept")


def put_link(path: Path) -> None:
    path.symlink_to("gone")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (put_file, "is not a folder; name one"),
        (put_link, "is a link that leads nowhere"),
    ],
)
def test_a_place_that_is_no_folder_is_refused(
    store: MemoryStore, tmp_path: Path, make: Callable[[Path], None], says: str
) -> None:
    make(tmp_path / "out")
    with pytest.raises(InputError, match=says):
        checkout(store, simple(store), tmp_path / "out", force=True)


def test_a_place_in_no_folder_is_refused(store: MemoryStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        checkout(store, simple(store), tmp_path / "no" / "out")
