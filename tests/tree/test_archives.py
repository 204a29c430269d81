"""Trees from archives: the same as from a folder, or refused; never anything outside."""

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cid_store.errors import InputError
from cid_store.memory import MemoryStore
from ring2_orchestrator.tree import Limits, add_archive, add_folder, checkout, default_limit
from ring2_orchestrator.tree.node import File, Folder, Link, get_tree
from tests.tree.conftest import look

HERE = Path(__file__).parent / "vectors"
MIB = 1 << 20
ROOMY = Limits(64 * MIB)

# What becomes of each archive: names that appear in the target, or words of the refusal.
VERDICTS: dict[str, Sequence[str] | str] = {
    "abs.tar": "begins at the root of the file system",
    "abs.zip": "begins at the root of the file system",
    "abs2.tar": "begins at the root of the file system",
    "backslash.zip": "is a path of another system",
    "bomb-300MiB.zip": "unpacks to more than 67,108,864 bytes",
    "case-collision.tar": ["File", "file"],
    "case.zip": ["A", "a"],
    "dot.tar": "has the part '.', which is no plain name",
    "dotgit.tar": [".git", ".git/hooks", ".git/hooks/post-checkout"],
    "drive.zip": "is a path of another system",
    "dup-name.tar": "is there twice",
    "dup.zip": "is there twice",
    "empty.tar": "has the part '', which is no plain name",
    "escape-seq.tar": ["\x1b[31mred"],
    "fifo.tar": "is a pipe, which no tree holds",
    "file-as-dir.tar": "lies below 'f', which is a file",
    "mixed.zip": "has the part '..', which is no plain name",
    "newline.tar": ["a\nb"],
    "nul-utf8.tar": ["a\u202etxt"],
    "rel.tar": "has the part '..', which is no plain name",
    "rel.zip": "has the part '..', which is no plain name",
    "setuid.tar": ["s"],
    "symlink-chain.tar": "lies below 'a', which is a link",
    "symlink-rel.tar": "lies below 'd', which is a link",
    "symlink-then-through.tar": "lies below 'd', which is a link",
    "utf8-trick.zip": ["a", "a/\u2025", "a/\u2025/evil"],
}


def judge(path: Path, tmp_path: Path) -> None:
    """Add and check out an archive, with everything around the target watched."""
    verdict = VERDICTS[path.name]
    target = tmp_path / "around" / "target"
    target.parent.mkdir()
    evil = Path("/tmp/evil")  # noqa: S108 - where the archives want to write
    was_there = evil.exists()
    store = MemoryStore()
    limits = Limits(default_limit(path.stat().st_size))
    if isinstance(verdict, str):
        with pytest.raises(InputError) as raised:
            add_archive(store, path, limits)
        assert verdict in str(raised.value)
        assert list(tmp_path.rglob("*")) == [target.parent]
    else:
        checkout(store, add_archive(store, path, limits), target)
        assert sorted(look(target)) == verdict
        assert not any(mode & 0o7000 for mode, _ in look(target).values())
        assert set(tmp_path.iterdir()) == {target.parent}
        assert set(target.parent.iterdir()) == {target}
    assert evil.exists() == was_there


@pytest.mark.parametrize("path", sorted(HERE.glob("*.zip")), ids=lambda path: path.name)
def test_an_archive_that_wants_out_stays_in(path: Path, tmp_path: Path) -> None:
    judge(path, tmp_path)


@pytest.mark.parametrize("name", VERDICTS)
def test_every_archive_of_the_collection_stays_in(name: str, tmp_path: Path) -> None:
    shared = os.environ.get("REDOXA_SHARED")
    if shared is None:
        pytest.skip("REDOXA_SHARED names no folder with the traversal collection")
    judge(Path(shared, "vectors", "traversal", name), tmp_path)


# The same tree, whatever it comes in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "data").write_bytes(os.urandom(3000))
    (folder / "zeros").write_bytes(b"a" + bytes(3 * MIB) + b"b")
    (folder / "empty").touch()
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o750)
    (folder / "deep").chmod(0o711)
    (folder / "link").symlink_to("deep/../run.sh")
    (folder / ("long " * 40)).write_text("long")
    return folder


def tarred(folder: Path, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        archive.add(folder, arcname=".")
    return out.getvalue()


def zipped(folder: Path) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            status = path.lstat()
            slash = "/" if stat.S_ISDIR(status.st_mode) else ""
            info = zipfile.ZipInfo(str(path.relative_to(folder)) + slash)
            info.external_attr = status.st_mode << 16
            if path.is_symlink():
                archive.writestr(info, os.fsencode(path.readlink()))
            else:
                archive.writestr(info, path.read_bytes() if path.is_file() else b"")
    return out.getvalue()


FORMS: dict[str, Callable[[Path], bytes]] = {
    "pax": tarred,
    "gnu": lambda folder: tarred(folder, tarfile.GNU_FORMAT),
    "gzip": lambda folder: gzip.compress(tarred(folder)),
    "bzip2": lambda folder: bz2.compress(tarred(folder)),
    "xz": lambda folder: lzma.compress(tarred(folder)),
    "zip": zipped,
}


@pytest.mark.parametrize("form", FORMS)
def test_an_archive_of_a_folder_is_the_folders_tree(
    store: MemoryStore, folder: Path, form: str
) -> None:
    archive = folder.with_name("archive")
    archive.write_bytes(FORMS[form](folder))
    assert add_archive(store, archive, ROOMY) == add_folder(store, folder)


def archive_of(tmp_path: Path, *members: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    path = tmp_path / "made.tar"
    with tarfile.open(path, "w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


def special(name: str, kind: bytes, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    return info


def test_second_names_and_folders_said_twice_or_never(store: MemoryStore, tmp_path: Path) -> None:
    path = archive_of(
        tmp_path,
        special("./", tarfile.DIRTYPE, mode=0o700),
        ("./x/one", b"data"),
        special("x", tarfile.DIRTYPE, mode=0o700),
        special("x/", tarfile.DIRTYPE, mode=0o750),
        special("y/two", tarfile.LNKTYPE, "./x/one"),
        special("z", tarfile.SYMTYPE, "../../anywhere"),
    )
    top = get_tree(store, add_archive(store, path, ROOMY))
    x, y = top[b"x"], top[b"y"]
    assert isinstance(x, Folder)
    assert isinstance(y, Folder)
    assert (x.mode, y.mode) == (0o750, 0o755)
    one, two = get_tree(store, x.tree)[b"one"], get_tree(store, y.tree)[b"two"]
    assert isinstance(one, File)
    assert one == two
    assert top[b"z"] == Link(b"../../anywhere")


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([special("a", tarfile.LNKTYPE, "/etc/passwd")], "begins at the root"),
        ([special("a", tarfile.LNKTYPE, "../b")], "has the part '..'"),
        ([special("a", tarfile.LNKTYPE, "b")], "another name of 'b', which is no file in it"),
        ([special("a", tarfile.CHRTYPE)], "is neither file, folder nor link"),
        ([special("..", tarfile.DIRTYPE)], "has the part '..'"),
        ([special("a/..", tarfile.DIRTYPE)], "has the part '..'"),
        ([special("a", tarfile.SYMTYPE, "")], "is a link that leads nowhere"),
        ([special("d", tarfile.SYMTYPE, "."), special("d", tarfile.DIRTYPE)], "which is a link"),
        ([("a//b", b"")], "has the part ''"),
        ([("a/./b", b"")], "has the part '.'"),
        ([("x" * 300, b"")], "has 300 bytes; a file's has at most 255"),
        ([("d/" * 300 + "f", b"")], "deeper than 256 folders"),
    ],
)
def test_what_a_tar_may_say_and_a_tree_not(
    store: MemoryStore,
    tmp_path: Path,
    members: list[tarfile.TarInfo | tuple[str, bytes]],
    says: str,
) -> None:
    with pytest.raises(InputError, match=says):
        add_archive(store, archive_of(tmp_path, *members), ROOMY)


def test_a_zip_name_with_a_nul_is_refused(store: MemoryStore, tmp_path: Path) -> None:
    path = tmp_path / "made.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("safe?evil", b"data")
    path.write_bytes(path.read_bytes().replace(b"safe?", b"safe\0"))
    with pytest.raises(InputError, match="no plain name"):
        add_archive(store, path, ROOMY)


def test_a_zip_name_that_is_empty_is_refused(store: MemoryStore, tmp_path: Path) -> None:
    path = tmp_path / "made.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"data")
        archive.infolist()[0].filename = ""
    with pytest.raises(InputError, match="File name in directory '' and header"):
        add_archive(store, path, ROOMY)


# Bombs and damage


def test_an_archive_stops_at_the_limit(store: MemoryStore, tmp_path: Path) -> None:
    inner = archive_of(tmp_path, ("a", bytes(3 * MIB)), ("b", bytes(3 * MIB)))
    assert add_archive(store, inner, Limits(6 * MIB))
    with pytest.raises(InputError, match=r"unpacks to more than 6,291,455 bytes; if it may"):
        add_archive(store, inner, Limits(6 * MIB - 1))
    with pytest.raises(InputError, match="has more than 1 entries"):
        add_archive(store, inner, Limits(6 * MIB, 1))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.CHRTYPE])
def test_a_compressed_tar_cannot_hide_a_bomb_in_its_headers(
    store: MemoryStore, tmp_path: Path, kind: bytes
) -> None:
    info = special("a", kind)
    info.size = 400 * MIB
    path = tmp_path / "bomb.tgz"
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(info.tobuf())
        for _ in range(100):
            out.write(bytes(4 * MIB))
    with pytest.raises(InputError):
        add_archive(store, path, Limits(8 * MIB))


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_archive_is_one_sentence(store: MemoryStore, folder: Path, form: str) -> None:
    (folder / "zeros").unlink()
    data = FORMS[form](folder)
    archive = folder.with_name("archive")
    whole = add_folder(store, folder)
    said: list[str] = []
    for cut in range(0, len(data), max(1, len(data) // 40)):
        archive.write_bytes(data[:cut])
        try:
            cid = add_archive(store, archive, ROOMY)
        except InputError as error:
            said.append(str(error))
        else:
            assert cid == whole, "only padding may be missing"
    assert all("no sound tar or zip archive" in sentence for sentence in said)
    assert len(said) > 25


@given(st.data())
def test_whatever_becomes_of_an_archive_it_is_read_or_one_sentence(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(["pax", "zip"]))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "folder")
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "data").write_bytes(b"data")
        (folder / "link").symlink_to("deep")
        archive = bytearray(FORMS[form](folder))
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(archive) - 1))
            archive[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
        Path(place, "archive").write_bytes(archive)
        with suppress(InputError):
            add_archive(MemoryStore(), Path(place, "archive"), ROOMY)


def three(tmp_path: Path) -> tuple[Path, bytes]:
    path = archive_of(tmp_path, ("a", b"xyz"), ("b", b"xyz"), ("c", b"xyz"))
    return path, path.read_bytes()


@pytest.mark.parametrize("at", [1024, 1030, 1024 + 100, 1024 + 130, 1024 + 156, 1024 + 511])
def test_a_damaged_header_is_not_the_end_of_a_tar(
    store: MemoryStore, tmp_path: Path, at: int
) -> None:
    path, data = three(tmp_path)
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(InputError, match="offset 1,024 is neither a header nor its end"):
        add_archive(store, path, ROOMY)


@pytest.mark.parametrize("length", [512, 1024, 1536])
def test_zeros_in_the_middle_of_a_tar_are_not_its_end(
    store: MemoryStore, tmp_path: Path, length: int
) -> None:
    path, data = three(tmp_path)
    path.write_bytes(data[:1024] + bytes(length) + data[1024 + length :])
    with pytest.raises(InputError, match="no sound tar or zip archive"):
        add_archive(store, path, ROOMY)


def test_a_size_below_zero_is_refused(store: MemoryStore, tmp_path: Path) -> None:
    info = special("a", tarfile.REGTYPE)
    info.pax_headers = {"size": "-5"}
    with pytest.raises(InputError, match="has fewer than no bytes"):
        add_archive(store, archive_of(tmp_path, info), ROOMY)


def test_a_zip_that_lost_a_part_of_its_list_is_refused(store: MemoryStore, tmp_path: Path) -> None:
    path = tmp_path / "made.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a", "b"):
            archive.writestr(name, b"data")
    data = bytearray(path.read_bytes())
    one = (len(data) - 22 - data.index(b"PK\1\2")) // 2
    data[-10:-6] = one.to_bytes(4, "little")  # how long the list is
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["b"]
    with pytest.raises(InputError, match="2 files are announced, and 1 are listed"):
        add_archive(store, path, ROOMY)


@pytest.mark.parametrize(
    "data", [b"", b"text\n" * 300, b"PK\3\4", b"\x1f\x8b", b"\xfd7zXZ\0", b"BZh"]
)
def test_what_is_no_archive_is_refused(store: MemoryStore, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(InputError, match="no sound tar or zip archive"):
        add_archive(store, path, ROOMY)


@pytest.mark.parametrize(
    "headers",
    [
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a"},
        {"GNU.sparse.map": "x,y"},
        {"GNU.sparse.size": "many"},
    ],
)
def test_a_malformed_sparse_header_is_said_in_words(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a")
        info.size, info.pax_headers = 512, headers
        archive.addfile(info, io.BytesIO(b"no numbers\n" * 47))
    with pytest.raises(InputError, match=r"archive \(one of its headers is malformed\)"):
        add_archive(MemoryStore(), path, ROOMY)
