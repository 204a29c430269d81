"""Deflated contents in known formats: planned as what they are, and made again byte for byte."""

import gzip
import io
import struct
import subprocess
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ring0.boundary import MIB
from ring2_orchestrator.container import BytesSource, Container
from ring2_orchestrator.fronts import recognise, runs_of
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.packing import Packed, pack
from ring2_orchestrator.planner import FAST, Profile, library_gene
from ring2_orchestrator.toolbox import Toolbox
from ring2_orchestrator.undressing import Undressing
from tests.container.conftest import node
from tests.fronts.files import npz, numbers, picture, tar, zipped

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "container" / "samples"
# Whatever decodes slowly is allowed, and little is looked for.
PATIENT = replace(FAST, search_fuel=0, decode_fuel=10_000)
QUICK = replace(FAST, search_fuel=0)
GENES = ("repeats", "picture_rgb", "picture_grey", "grid_u16")
ROOMY = 4


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No quicker profile is searched for as well."""

    def only(profile: Profile) -> list[Profile]:
        return [profile]

    monkeypatch.setattr("ring2_orchestrator.packing.in_turn", only)


def few(tools: Toolbox) -> list[Gene]:
    return [library_gene(name, tools.palette) for name in GENES]


def packed(tools: Toolbox, data: bytes, *, in_parts: bool = True) -> tuple[Packed, bytes]:
    out = io.BytesIO()
    result = pack(BytesSource(data), out, few(tools), tools, profile=PATIENT, in_parts=in_parts)
    container = Container(BytesSource(out.getvalue()), tools.kernels)
    assert b"".join(container.chunks(tools.executor)) == data
    return result, out.getvalue()


def kernels(result: Packed, tools: Toolbox) -> set[str]:
    plans = (segment.plan for segment in result.segments)
    return {tools.kernel(cid).name for plan in plans if plan is not None for cid in plan.kernels}


def coffee() -> np.ndarray:
    return np.frombuffer((SAMPLES / "coffee.rgb8").read_bytes(), "u1").reshape(10, 600, 3)


def words(count: int = 4000) -> bytes:
    rng = np.random.default_rng(8)
    known = [rng.integers(97, 123, 6).astype("u1").tobytes() for _ in range(60)]
    return b" ".join(known[each] for each in rng.integers(0, 60, count))


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for at in range(12):
            out.writestr(f"words/{at}.txt", words()[100 * at : 100 * at + 2000 + 97 * at])
        out.writestr("empty", b"")
        out.writestr("stored", b"stored", zipfile.ZIP_STORED)
    return file.getvalue()


FILES = {
    "png": lambda: picture("PNG", coffee()),
    "optimised png": lambda: picture("PNG", coffee(), optimize=True),
    "grey png": lambda: picture("PNG", coffee()[:, :, 0]),
    "gzip": lambda: gzip.compress(words(), 6, mtime=0),
    "several gzips": lambda: b"".join(gzip.compress(words(900 + at), mtime=0) for at in range(4)),
    "zip": archive,
    "npz": lambda: npz({"a": numbers(4000, "<u2"), "b": numbers(3000, "<f4")}, deflated=True),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_contents_are_coded_in_place_of_the_stream(tools: Toolbox, name: str) -> None:
    data = FILES[name]()
    result, container = packed(tools, data)
    assert "deflate" in kernels(result, tools)
    assert container[4] == ROOMY
    assert result.container_bytes < len(data)
    assert packed(tools, data)[1] == container


@pytest.mark.slow
def test_a_png_costs_little_more_than_its_pixels(tools: Toolbox) -> None:
    png, _ = packed(tools, picture("PNG", coffee()))
    bare, _ = packed(tools, coffee().tobytes())
    assert png.container_bytes < bare.container_bytes + 300


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_out_of_a_png_come_its_pixels(mode: str, tools: Toolbox) -> None:
    width = 2 if mode == "I;16" else len(mode)
    pixels = numbers(40 * 30 * width, "u1").tobytes()
    out = io.BytesIO()
    Image.frombytes(mode, (40, 30), pixels).save(out, "PNG")
    source = BytesSource(out.getvalue())
    layout = recognise(source)
    assert layout is not None
    (run,) = (run for run in runs_of(layout) if run.coat)
    kept, inside = Undressing(source, tools).undress(run, PATIENT)
    assert inside is not None
    lanes = np.frombuffer(inside.contents, ">u2" if kept.kind and kept.kind.big_endian else "u1")
    assert lanes.astype("<u2" if mode == "I;16" else "u1").tobytes() == pixels


def test_what_is_quick_leaves_streams_as_they_are(tools: Toolbox) -> None:
    out = io.BytesIO()
    data = gzip.compress(words(), mtime=0)
    result = pack(BytesSource(data), out, few(tools), tools, profile=QUICK)
    assert "deflate" not in kernels(result, tools)
    assert out.getvalue()[4] == ROOMY - 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["png", "gzip", "zip"])
def test_the_other_decoder_reads_contents_in_coats(
    name: str, tmp_path: Path, tools: Toolbox
) -> None:
    program = node()
    data = FILES[name]()
    (tmp_path / "a.rdx").write_bytes(packed(tools, data)[1])
    command = [program, str(ROOT / "decoder_js" / "cli.mjs"), str(tmp_path / "a.rdx")]
    done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    assert done.stdout == data


def stored_png() -> bytes:
    """A picture whose stream no encoder makes of its pixels."""
    rows = b"".join(b"\0" + row.tobytes() for row in coffee())
    z = b"\x78\x01\x01" + struct.pack("<2H", len(rows), len(rows) ^ 0xFFFF) + rows
    z += struct.pack(">I", zlib.adler32(rows))
    chunk = b"IDAT" + z
    file = picture("PNG", coffee())
    return (
        file[:33]
        + struct.pack(">I", len(z))
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + file[-12:]
    )


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at:][1:]


def broken() -> dict[str, bytes]:
    png, zip_, gz = FILES["png"](), archive(), FILES["gzip"]()
    return {
        "a stream of another make": stored_png(),
        "a wrong sum of a chunk": changed(png, len(png) - 14),
        "a wrong sum of the pixels": changed(png, len(png) - 18),
        "a picture cut short": png[:-4000],
        "bytes after a picture": png + b"after",
        "another size than the pixels have": changed(png, 19),
        "a gzip cut short": gz[:-1000],
        "a wrong sum of gzip": changed(gz, len(gz) - 6),
        "bytes after a gzip": gz + b"after it",
        "a gzip of nothing": gzip.compress(b"", mtime=0),
        "a wrong stream in a zip": changed(zip_, 300),
        "a zip cut short": zip_[:-30],
        "a header of gzip alone": b"\x1f\x8b\x08\x1f" + bytes(30),
        "headers and nothing else": b"\x1f\x8b\x08" * 3000,
        "headers of zip": b"PK\3\4\x14\0\0\0\x08\0" * 900 + zip_[-400:],
    }


BROKEN = broken()


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_whatever_is_wrong_comes_back(tools: Toolbox, name: str) -> None:
    result, _ = packed(tools, BROKEN[name])
    assert result.container_bytes <= len(BROKEN[name]) + 60


@pytest.mark.slow
@given(st.sampled_from(["png", "gzip", "zip"]), st.data())
@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_change_comes_back(tools: Toolbox, name: str, drawn: st.DataObject) -> None:
    data = bytearray(FILES[name]())
    for _ in range(drawn.draw(st.integers(1, 3))):
        data[drawn.draw(st.integers(0, len(data) - 1))] = drawn.draw(st.integers(0, 255))
    packed(tools, bytes(data))


@pytest.mark.slow
def test_a_bomb_stays_in_its_coat(tools: Toolbox) -> None:
    """Two gibibytes of zeros: no more is inflated than the limits of a block allow."""
    maker = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = maker.compress(bytes(MIB)) + maker.flush(zlib.Z_FULL_FLUSH)
    piece = maker.compress(bytes(MIB)) + maker.flush(zlib.Z_FULL_FLUSH)
    stream = head + piece * (2 * 1024 - 1) + maker.flush()
    assert piece == head
    bomb = gzip.compress(b"", mtime=0)[:10] + stream + bytes(8)
    out = io.BytesIO()
    result = pack(BytesSource(bomb), out, few(tools)[:1], tools, profile=PATIENT)
    assert "deflate" not in kernels(result, tools)


def bombs(count: int, *, damaged: int = 0) -> bytes:
    """Members of a mebibyte each, all of them different; of the first, the contents are wrong."""
    members = {f"{at}": bytes([at]) + bytes(MIB - 1) for at in range(count)}
    data = bytearray(zipped(members, zipfile.ZIP_DEFLATED))
    at = 0
    for _ in range(damaged):
        at = data.index(b"PK\3\4", at) + 200
        data[at] ^= 0x55
    return bytes(data)


def taken_off(data: bytes, tools: Toolbox) -> list[int]:
    """How many bytes were in each coat that came off."""
    source = BytesSource(data)
    layout, undressing = recognise(source), Undressing(source, tools)
    assert layout is not None
    patient = replace(PATIENT, decode_fuel=1 << 40)
    insides = [undressing.undress(run, patient)[1] for run in runs_of(layout)]
    return [len(inside.contents) for inside in insides if inside is not None]


def test_members_that_inflate_to_too_much_keep_their_coats(
    tools: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert taken_off(bombs(5), tools) == [MIB] * 5
    monkeypatch.setattr("ring2_orchestrator.undressing._MOST_INFLATED", 3 * MIB)
    assert taken_off(bombs(5), tools) == [MIB] * 3
    # What was tried in vain took its time, too.
    assert taken_off(bombs(5, damaged=2), tools) == [MIB]


def interlaced() -> bytes:
    """A picture whose filters cannot be undone row by row; in small chunks."""
    pixels = numbers(96 * 96, "u1").reshape(96, 96)
    grids = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    rows = b"".join(
        b"\0" + row.tobytes()
        for top, left, down, right in (*grids, (1, 0, 2, 1))
        for row in pixels[top::down, left::right]
    )
    stream = zlib.compress(rows)
    pieces = [(b"IDAT", stream[at : at + 60]) for at in range(0, len(stream), 60)]
    header = struct.pack(">2I5B", 96, 96, 8, 0, 0, 0, 1)
    chunks = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in ((b"IHDR", header), *pieces, (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.slow
def test_contents_in_different_coats_are_planned_together(tools: Toolbox) -> None:
    """What lies between members has a plan of its own; a coat of chunks leaves other streams."""
    assert Image.open(io.BytesIO(interlaced())).load()
    members = b"".join(gzip.compress(words(300), mtime=0) for _ in range(40))
    result, _ = packed(tools, tar(a__gz=members, b__png=interlaced()))
    assert {"idat", "deflate"} <= kernels(result, tools)
