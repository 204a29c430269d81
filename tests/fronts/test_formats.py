"""What the front ends tell of files that other programs wrote."""

import gzip
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from ring0.plan import Dtype
from ring2_orchestrator.container import BytesSource
from ring2_orchestrator.fronts import Kind, Layer, Layout, Part, recognise
from tests.fronts.files import npy, npz, numbers, picture, pixels, tar, tensors, wav, zipped

SAMPLES = Path(__file__).parents[1] / "container" / "samples"


def told(data: bytes) -> Layout:
    layout = recognise(BytesSource(data))
    assert layout is not None
    return layout


def data_of(data: bytes) -> dict[str, tuple[bytes, Kind]]:
    """The parts of a file that hold something known."""
    return {
        part.name: (data[part.begin : part.end], part.kind)
        for part in told(data).parts
        if part.kind is not None
    }


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_npy(version: tuple[int, int]) -> None:
    array = numbers(60, "<f4").reshape(3, 4, 5)
    file = npy(array, version)
    assert told(file).format == "npy"
    assert data_of(file) == {"data": (array.tobytes(), Kind(Dtype.F32, (5, 20)))}
    assert [part.name for part in told(file).parts] == ["header", "data"]


def test_npy_in_the_order_of_fortran() -> None:
    array = np.asfortranarray(numbers(60).reshape(3, 4, 5))
    assert data_of(npy(array)) == {"data": (array.tobytes("F"), Kind(Dtype.U16, (3, 12)))}


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        ("|b1", Kind(Dtype.U8)),
        ("<i8", Kind(Dtype.U64)),
        (">f8", Kind(Dtype.F64, (), big_endian=True)),
        (">u2", Kind(Dtype.U16, (), big_endian=True)),
        ("<f2", Kind(Dtype.U16)),
        ("<c8", Kind(Dtype.F32, (2,))),
        ("<M8[ns]", Kind(Dtype.U64)),
        ("S5", Kind(Dtype.U8, (5,))),
        ("<U3", Kind(Dtype.U32, (3,))),
        ([("a", "<u2"), ("b", "<f8", (2,)), ("c", "<U3")], Kind(Dtype.U8, (30,))),
    ],
    ids=str,
)
def test_element_types_of_npy(dtype: npt.DTypeLike, kind: Kind) -> None:
    array = np.zeros(20, dtype)
    assert data_of(npy(array)) == {"data": (array.tobytes(), kind)}


def test_an_array_of_nothing_is_no_file_with_parts() -> None:
    assert recognise(BytesSource(npy(np.zeros((0, 4))))) is None


def test_arrays_in_npz_that_are_stored() -> None:
    arrays = {"a": numbers(4000, "<i8").reshape(40, 100), "b": numbers(3000, ">f4")}
    found = data_of(npz(arrays))
    assert found["a.npy: data"] == (arrays["a"].tobytes(), Kind(Dtype.U64, (100,)))
    assert found["b.npy: data"] == (arrays["b"].tobytes(), Kind(Dtype.F32, (), big_endian=True))


def test_deflated_arrays_stand_alone_and_other_members_together() -> None:
    parts = told(npz({"a": numbers(4000), "b": numbers(9)}, deflated=True)).parts
    assert [(part.name, part.alone, part.inside) for part in parts if part.coat] == [
        ("a.npy", True, 8128),
        ("b.npy", False, 146),
    ]
    assert {part.coat for part in parts} == {(), (Layer("deflate"),)}


@pytest.mark.parametrize(
    ("channels", "width", "kind"),
    [
        (1, 1, Kind(Dtype.U8)),
        (1, 2, Kind(Dtype.U16)),
        (2, 2, Kind(Dtype.U16, (2,))),
        (2, 3, Kind(Dtype.U8, (3, 6))),
        (6, 4, Kind(Dtype.U32, (6,))),
    ],
)
def test_waves_of_whole_numbers(channels: int, width: int, kind: Kind) -> None:
    data = numbers(channels * width * 11, "u1").tobytes()
    assert data_of(wav(data, channels, width)) == {"samples": (data, kind)}


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def fmt(tag: int, channels: int, width: int, more: bytes = b"") -> bytes:
    rate = 8000 * channels * width
    head = struct.pack("<HHIIHH", tag, channels, 8000, rate, channels * width, 8 * width)
    return head + (struct.pack("<H", len(more)) + more if more else b"")


def test_waves_of_floats_extensible_and_after_odd_chunks() -> None:
    data = numbers(64, "<f4").tobytes()
    assert data_of(riff((b"fmt ", fmt(3, 2, 4)), (b"LIST", b"odd"), (b"data", data))) == {
        "samples": (data, Kind(Dtype.F32, (2,)))
    }
    more = struct.pack("<HIH", 32, 3, 3) + bytes(14)
    extensible = riff((b"fmt ", fmt(0xFFFE, 2, 4, more)), (b"data", data), (b"note", b"x"))
    assert data_of(extensible) == {"samples": (data, Kind(Dtype.F32, (2,)))}
    assert [part.name for part in told(extensible).parts] == ["header", "samples", "rest"]


def test_a_wave_that_was_never_finished_goes_to_its_end() -> None:
    data = numbers(50).tobytes()
    for size in (0, 0xFFFFFFFF):
        file = bytearray(wav(data, 1, 2))
        file[40:44] = struct.pack("<I", size)
        assert data_of(bytes(file)) == {"samples": (data, Kind(Dtype.U16))}


def test_a_compressed_wave_is_none() -> None:
    assert recognise(BytesSource(riff((b"fmt ", fmt(17, 1, 2)), (b"data", bytes(64))))) is None


def test_pixels_of_netpbm() -> None:
    colours, grey = pixels(7, 5, 3), pixels(7, 5, 1)
    assert data_of(picture("PPM", colours)) == {
        "pixels": (colours.tobytes(), Kind(Dtype.U8, (3, 15)))
    }
    assert data_of(picture("PPM", grey)) == {"pixels": (grey.tobytes(), Kind(Dtype.U8, (5,)))}
    deep = picture("PPM", numbers(35).reshape(7, 5))
    assert data_of(deep)["pixels"][1] == Kind(Dtype.U16, (5,), big_endian=True)
    bits = io.BytesIO()
    Image.fromarray(grey > 100).save(bits, "PPM")
    assert data_of(bits.getvalue())["pixels"][1] == Kind(Dtype.U8, (1,))


def test_netpbm_with_a_remark_and_two_pictures() -> None:
    file = b"P5 # grey\n5 7\n255\n" + bytes(35) + b"P6\n2 2\n255\n" + bytes(12)
    assert [part.size for part in told(file).parts] == [18, 35, 11, 12]


def test_pixels_of_bmp_with_padded_rows() -> None:
    file = picture("BMP", pixels(7, 5, 3))
    (part,) = (part for part in told(file).parts if part.kind is not None)
    assert (part.begin, part.size, part.kind) == (54, 7 * 16, Kind(Dtype.U8, (3, 16)))
    grey = picture("BMP", pixels(7, 5, 1))
    assert data_of(grey)["pixels"][1] == Kind(Dtype.U8, (8,))


def test_pixels_of_tiff() -> None:
    colours = pixels(70, 50, 3)
    assert data_of(picture("TIFF", colours)) == {
        "pixels": (colours.tobytes(), Kind(Dtype.U8, (3, 150)))
    }
    deep = numbers(3500).reshape(70, 50)
    assert data_of(picture("TIFF", deep)) == {"pixels": (deep.tobytes(), Kind(Dtype.U16, (50,)))}
    assert recognise(BytesSource(picture("TIFF", colours, compression="tiff_lzw"))) is None


@pytest.mark.parametrize("library", [False, True])
def test_every_tensor_of_safetensors(library: bool) -> None:
    given = {
        "weight": numbers(240, "<f4").reshape(4, 1, 6, 10),
        "half": numbers(12, "<f2"),
        "bias": numbers(7, "<i8"),
        "none": np.zeros((0, 3), "<f4"),
    }
    found = data_of(tensors(given, library=library))
    assert found["weight"] == (given["weight"].tobytes(), Kind(Dtype.F32, (10, 60)))
    assert found["half"] == (given["half"].tobytes(), Kind(Dtype.U16))
    assert found["bias"] == (given["bias"].tobytes(), Kind(Dtype.U64))
    assert "none" not in found


def test_members_of_archives() -> None:
    inner, sound = npy(numbers(4000)), wav(numbers(3000).tobytes(), 1, 2)
    members = {"one.npy": inner, "dir/two.wav": sound, "three.TXT": b"three\n" * 5}
    for file in (tar(**members), zipped(members)):
        found = data_of(file)
        assert found["one.npy: data"][0] == numbers(4000).tobytes()
        assert found["dir/two.wav: samples"][0] == numbers(3000).tobytes()
        (text,) = (part for part in told(file).parts if part.name == "three.TXT")
        assert (text.kind, text.family) == (None, "txt")
        assert file[text.begin : text.end] == members["three.TXT"]


def test_an_archive_in_an_archive_is_one_member() -> None:
    inside = tar(a=bytes(9000))
    (member,) = (part for part in told(tar(inner__tar=inside)).parts if part.family)
    assert member == Part("inner.tar", 512, len(inside), None, "tar")


def test_a_deflated_member_is_told_with_its_header() -> None:
    file = zipped({"a.txt": b"a" * 5000}, zipfile.ZIP_DEFLATED)
    member, rest = told(file).parts
    assert (member.name, member.begin, member.inside, member.kind) == ("a.txt", 0, 5000, None)
    assert file[rest.begin : rest.begin + 4] == b"PK\1\2"


@pytest.mark.parametrize(
    ("mode", "kind", "pixel"),
    [
        ("L", Kind(Dtype.U8, (11,)), 1),
        ("LA", Kind(Dtype.U8, (2, 22)), 2),
        ("RGB", Kind(Dtype.U8, (3, 33)), 3),
        ("RGBA", Kind(Dtype.U8, (4, 44)), 4),
        ("1", Kind(Dtype.U8, (2,)), 1),
        ("I;16", Kind(Dtype.U16, (11,), big_endian=True), 2),
    ],
)
def test_pictures_of_png(mode: str, kind: Kind, pixel: int) -> None:
    out = io.BytesIO()
    Image.new(mode, (11, 7)).save(out, "PNG")
    (found,) = (part for part in told(out.getvalue()).parts if part.coat)
    row = kind.strides[-1] * kind.dtype.width
    assert found.kind == kind
    assert found.coat[-1] == Layer("scanlines", (row, pixel), 1)
    assert out.getvalue()[found.end + 4 : found.end + 8] == b"IEND"


def test_a_png_that_is_interlaced_keeps_its_rows() -> None:
    out = io.BytesIO()
    Image.new("L", (11, 7)).save(out, "PNG")
    data = bytearray(out.getvalue())
    data[28] = 1
    (found,) = (part for part in told(bytes(data)).parts if part.coat)
    assert (found.kind, found.coat) == (None, (Layer("idat", port=1), Layer("deflate")))


def test_a_file_of_gzip_is_one_part() -> None:
    data = gzip.compress(b"some text", mtime=0)
    (part,) = told(data).parts
    assert (part.begin, part.size, part.inside) == (0, len(data), 9)


def test_other_files_are_not_recognised() -> None:
    for path in SAMPLES.iterdir():
        assert recognise(BytesSource(path.read_bytes())) is None
    for data in (b"", b"B", b"BM", b"P6", b"{}", bytes(600), b"P5 is not a picture\n" * 40):
        assert recognise(BytesSource(data)) is None
