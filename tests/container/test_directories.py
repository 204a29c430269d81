"""Directories are packed whole and come back whole, and nowhere else."""

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cid_store.car.names import BlockName
from cid_store.car.writer import CarWriter
from cid_store.cid import Cid, Codec
from cid_store.encoding import encode
from cid_store.errors import UnavailableError
from ring2_orchestrator.commands import main
from ring2_orchestrator.container import (
    MAX_SEGMENTS,
    BytesSource,
    Container,
    Contents,
    DamagedContainerError,
    open_source,
)
from ring2_orchestrator.directories import directory_source, restore
from ring2_orchestrator.explaining_parts import named_parts
from ring2_orchestrator.fronts import groups_of, recognise, runs_of
from ring2_orchestrator.packing import pack
from ring2_orchestrator.planner import FAST, library_gene
from ring2_orchestrator.toolbox import Toolbox
from ring2_orchestrator.tree.listing import (
    FRONT,
    Content,
    ListedFile,
    Listing,
    Stretch,
    decode_front,
    decode_listing,
    encode_listing,
    places,
)
from tests.fronts.files import npy, wav

QUICK = replace(FAST, search_fuel=0)


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
        with directory_source(here / name) as source:
            seen.add(source.read(0, source.size))
    assert len(seen) == 1


def test_a_member_is_decoded_without_the_others(here: Path, tools: Toolbox) -> None:
    """Every other block is damaged, and nobody minds."""
    (here / "data").mkdir()
    rise = np.cumsum(np.random.default_rng(7).integers(0, 9, 40_000)).astype("<u4")
    np.save(here / "data" / "rise.npy", rise)
    (here / "data" / "words.txt").write_text("some words of a text, some other words\n" * 3_000)
    genes = [library_gene(name, tools.palette) for name in ("repeats", "series_u32")]
    out = io.BytesIO()
    with directory_source(here / "data") as source:
        pack(source, out, genes, tools, profile=QUICK, contents=Contents.TREE)
    blob = bytearray(out.getvalue())
    container = Container(BytesSource(bytes(blob)), tools.kernels)
    begin = b"".join(container.chunks(tools.executor)).index(rise.tobytes())
    block = container.header.block_at(begin)
    for extent in container.extents():
        if extent.cut.index != block:
            blob[extent.offset + extent.size // 2] ^= 1
    container = Container(BytesSource(bytes(blob)), tools.kernels)
    asked = container.range(begin, begin + rise.nbytes, tools.executor)
    assert b"".join(asked) == rise.tobytes()
    with pytest.raises(DamagedContainerError):
        b"".join(container.chunks(tools.executor))


def test_a_directory_is_no_larger_than_its_tar(here: Path, tools: Toolbox) -> None:
    (here / "data" / "more").mkdir(parents=True)
    noise = np.random.default_rng(5).normal(0, 40, 9_000)
    np.save(here / "data" / "walk.npy", np.cumsum(noise).astype("<i4"))
    (here / "data" / "sound.wav").write_bytes(wav(noise.astype("<i2").tobytes(), 1, 2))
    for at in range(40):
        (here / "data" / "more" / f"{at}.json").write_text(json.dumps({"at": at, "is": "text"}))
    with tarfile.open(here / "data.tar", "w") as file:
        file.add(here / "data", "data")
    genes = [library_gene(name, tools.palette) for name in ("repeats", "series_u32", "audio_mono")]
    out = io.BytesIO()
    with directory_source(here / "data") as source:
        packed = pack(source, out, genes, tools, profile=QUICK, contents=Contents.TREE)
    with open_source(here / "data.tar") as source:
        rival = pack(source, io.BytesIO(), genes, tools, profile=QUICK)
    assert packed.container_bytes <= rival.container_bytes
    assert Container(BytesSource(out.getvalue()), tools.kernels).header.contents is Contents.TREE


def test_explain_names_what_files_hold(
    here: Path, tools: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "data" / "weights").mkdir(parents=True)
    noise = np.random.default_rng(7).integers(0, 9, 40_000)
    np.save(here / "data" / "weights" / "layer1.npy", np.cumsum(noise).astype("<u4"))
    (here / "data" / "words.txt").write_text("some words of a text, some other words\n" * 3_000)
    genes = [library_gene(name, tools.palette) for name in ("repeats", "series_u32")]
    out = io.BytesIO()
    with directory_source(here / "data") as source:
        pack(source, out, genes, tools, profile=QUICK, contents=Contents.TREE)
    container = Container(BytesSource(out.getvalue()), tools.kernels)

    def names() -> list[str]:
        return [part.name for part in named_parts(container, tools.executor)]

    layer = "weights/layer1.npy"
    assert names() == ["the list of files", f"{layer}: data", "words.txt"]
    # Where decoding headers is too much, the list alone says which file a part belongs to.
    monkeypatch.setattr("ring2_orchestrator.explaining_parts._MOST_DECODED", 170_000)
    assert names() == ["the list of files and 2 more", f"a part of {layer}", "words.txt"]
    monkeypatch.setattr("ring2_orchestrator.explaining_parts._MOST_DECODED", 0)
    assert names() == ["part"] * 3


def test_ten_thousand_arrays_are_few_groups() -> None:
    array = npy(np.arange(20_000, dtype="<u4"))
    contents = [Content(b"%05d.npy" % at, len(array)) for at in range(10_000)]
    files = {
        each.path: ListedFile(0o644, each.length, (Stretch(0, each.length, at),))
        for at, each in enumerate(contents)
    }
    front = encode_listing(Listing(files, contents))
    begin = next(places(contents, len(front))).begin

    class Long:
        name, size = "many arrays", begin + len(array) * len(contents)

        def read(self, offset: int, size: int) -> bytes:
            if offset < begin:
                return front.ljust(begin, b"\0")[offset : offset + size]
            at = (offset - begin) % len(array)
            return (array * 2)[at : at + size]

    layout = recognise(Long())
    assert layout is not None
    runs = runs_of(layout)
    assert len(runs) <= MAX_SEGMENTS
    assert 0 < len(groups_of(runs)) <= 8


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


def test_an_older_directory_comes_back(here: Path) -> None:
    tree = encode({"type": "tree", "v": 1, "entries": [[b"a", "file", 0o644, 3, Cid.of(b"abc")]]})
    restore(car(Cid.of(tree, Codec.NODE), tree, b"abc"), "it", here / "made")
    assert (here / "made" / "a").read_bytes() == b"abc"


def test_no_changed_older_directory_is_made(here: Path) -> None:
    tree = encode({"type": "tree", "v": 1, "entries": [[b"a", "file", 0o644, 3, Cid.of(b"abc")]]})
    whole = car(Cid.of(tree, Codec.NODE), tree, b"abc").getvalue()
    begin = whole.index(tree)
    for at in (*range(begin, begin + len(tree), 9), len(whole) - 1):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        with pytest.raises(DamagedContainerError):
            restore(io.BytesIO(damaged), "it", here / "made")
        assert [*here.iterdir()] == []


def test_no_cut_or_longer_directory_is_made(here: Path) -> None:
    (here / "data").mkdir()
    fill(here / "data")
    with directory_source(here / "data") as source:
        whole = source.read(0, source.size)
    for end in (*range(0, len(whole), len(whole) // 9), len(whole) - 1):
        with pytest.raises(DamagedContainerError):
            restore(io.BytesIO(whole[:end]), "it", here / "made")
    with pytest.raises(DamagedContainerError, match="are not those that it lists"):
        restore(io.BytesIO(whole + b"x"), "it", here / "made")
    begin, end = decode_front(whole[:FRONT])
    first = next(places(decode_listing(whole[begin:end]).contents, end))
    assert first.padding
    forged = whole[: first.begin - 1] + b"x" + whole[first.begin :]
    with pytest.raises(DamagedContainerError, match="more than zeros between"):
        restore(io.BytesIO(forged), "it", here / "made")
    assert sorted(path.name for path in here.iterdir()) == ["data"]


@pytest.mark.slow
def test_no_changed_container_of_a_directory_is_unpacked(here: Path) -> None:
    (here / "data").mkdir()
    fill(here / "data")
    assert main(["pack", "data", "-q", "--gene", "bytes"]) == 0
    whole = (here / "data.rdx").read_bytes()
    for at in range(0, len(whole), len(whole) // 30):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        (here / "data.rdx").write_bytes(damaged)
        assert main(["unpack", "data.rdx", "-q", "-o", "made"]) in (4, 5)
        assert not (here / "made").exists()
