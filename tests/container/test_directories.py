"""Directories are packed whole and come back whole, and nowhere else."""

import io
import json
from pathlib import Path

import pytest

from cid_store.car.names import BlockName
from cid_store.car.writer import CarWriter
from cid_store.cid import Cid, Codec
from cid_store.encoding import encode
from cid_store.errors import UnavailableError
from ring2_orchestrator.commands import main
from ring2_orchestrator.container import BytesSource, Container, Contents, DamagedContainerError
from ring2_orchestrator.directories import directory_source, restore
from ring2_orchestrator.packing_parts import pack_parts
from ring2_orchestrator.toolbox import Toolbox


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDOXA_HOME", str(tmp_path / "home"))
    return tmp_path


def fill(folder: Path) -> None:
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "a.txt").write_text("some text, some text\n" * 90)
    (folder / "deep" / "b.txt").write_text("other text, some text\n" * 90)
    (folder / "deep" / "er" / "run").write_bytes(b"#!/bin/sh\n")
    (folder / "deep" / "er" / "run").chmod(0o755)
    (folder / "nothing").write_bytes(b"")
    (folder / "link").symlink_to("deep/er/run")
    (folder / "series.u16").write_bytes(b"".join(at.to_bytes(2, "little") for at in range(9_000)))


def look(folder: Path) -> dict[str, object]:
    """Names, permissions, contents and links of everything below."""
    seen: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name, mode = str(path.relative_to(folder)), path.lstat().st_mode
        if path.is_symlink():
            seen[name] = path.readlink()
        else:
            seen[name] = (mode, path.read_bytes() if path.is_file() else None)
    return seen


@pytest.mark.slow
def test_a_directory_goes_there_and_back(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "data").mkdir()
    fill(here / "data")
    assert main(["pack", "data", "--gene", "series_u16", "--json"]) == 0
    packed = json.loads(capsys.readouterr().out)
    size = (here / "data.rdx").stat().st_size
    assert packed["container_bytes"] == size < 8_000
    assert main(["unpack", "data.rdx", "-o", "back"]) == 0
    assert look(here / "back") == look(here / "data")
    assert main(["unpack", "data.rdx", "-o", "back", "-q"]) == 3
    assert "back is not empty" in capsys.readouterr().err
    assert main(["unpack", "data.rdx", "-o", "back", "-q", "--force"]) == 0
    for words in (["-o", "-"], ["-o", "part", "--range", "0:4"]):
        assert main(["unpack", "data.rdx", *words]) == 2
        assert "holds a directory" in capsys.readouterr().err
    assert sorted(path.name for path in here.iterdir()) == ["back", "data", "data.rdx"]


@pytest.mark.parametrize("size", [0, 1, 5_000])
def test_a_directory_of_one_small_file_goes_there_and_back(here: Path, size: int) -> None:
    (here / "data").mkdir()
    (here / "data" / "one").write_bytes(bytes(range(250)) * (size // 250) + bytes(size % 250))
    assert main(["pack", "data", "-q", "--gene", "bytes"]) == 0
    assert main(["unpack", "data.rdx", "-q", "-o", "back"]) == 0
    assert look(here / "back") == look(here / "data")


def test_equal_directories_are_equal_bytes_whatever_their_names(here: Path) -> None:
    seen: set[bytes] = set()
    for name in ("one", "two"):
        (here / name).mkdir()
        fill(here / name)
        with directory_source(here / name) as (source, lengths):
            assert sum(lengths) == source.size
            seen.add(source.read(0, source.size))
    assert len(seen) == 1


def test_large_files_are_parts_of_their_own(here: Path, tools: Toolbox) -> None:
    (here / "data").mkdir()
    large = bytes(range(256)) * 8_192
    (here / "data" / "large.bin").write_bytes(large)
    (here / "data" / "small.txt").write_bytes(b"small")
    with directory_source(here / "data") as (source, lengths):
        asked: list[int] = []
        out = io.BytesIO()
        pack_parts(
            source, lengths, out, tools,
            lambda part: asked.append(part.size),
            contents=Contents.TREE,
        )  # fmt: skip
        assert len(large) in asked
        container = Container(BytesSource(out.getvalue()), tools.kernels)
        assert b"".join(container.chunks(tools.executor)) == source.read(0, source.size)


def test_what_is_no_directory_is_refused(here: Path) -> None:
    with pytest.raises(DamagedContainerError, match="does not hold a directory"):
        restore(io.BytesIO(b"these are no blocks"), "it", here / "out")


def car(root: Cid, *blocks: bytes) -> io.BytesIO:
    file = io.BytesIO()
    writer = CarWriter(file, [BlockName.from_bytes(root.to_bytes())], version=1)
    for block in blocks:
        name = root if Cid.of(block, root.codec) == root else Cid.of(block)
        writer.block(BlockName.from_bytes(name.to_bytes()), len(block), [block])
    writer.finish()
    return file


def test_nothing_is_written_outside(here: Path) -> None:

    for name in (b"..", b"../out", b"/tmp/x", b"a/b"):
        tree = encode(
            {"type": "tree", "v": 1, "entries": [[name, "file", 0o644, 3, Cid.of(b"abc")]]}
        )
        with pytest.raises(DamagedContainerError, match="does not hold a directory") as caught:
            restore(car(Cid.of(tree, Codec.NODE), tree, b"abc"), "it", here / "made")
        assert "\n" not in str(caught.value)
        assert not (here / "made").exists()


def test_a_directory_that_lacks_a_file_is_not_made(here: Path) -> None:

    tree = encode({"type": "tree", "v": 1, "entries": [[b"a", "file", 0o644, 3, Cid.of(b"abc")]]})
    with pytest.raises(DamagedContainerError, match="lacks a file"):
        restore(car(Cid.of(tree, Codec.NODE), tree), "it", here / "made")
    assert not (here / "made").exists()


def test_a_directory_larger_than_the_disk_is_not_begun(here: Path) -> None:
    tree = encode({"type": "tree", "v": 1, "entries": [[b"hole", "sparse", 0o644, 1 << 61, []]]})
    with pytest.raises(UnavailableError, match=r"the disk of .* has only"):
        restore(car(Cid.of(tree, Codec.NODE), tree), "it", here / "made")
    assert [*here.iterdir()] == []


@pytest.mark.slow
def test_no_changed_directory_is_made(here: Path) -> None:
    (here / "data").mkdir()
    fill(here / "data")
    with directory_source(here / "data") as (source, _):
        whole = source.read(0, source.size)
    for at in range(0, len(whole), len(whole) // 50):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        with pytest.raises(DamagedContainerError):
            restore(io.BytesIO(damaged), "it", here / "made")
        assert sorted(path.name for path in here.iterdir()) == ["data"]
