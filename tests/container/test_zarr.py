# pyright: basic, reportMissingImports=false
"""Arrays go through real zarr stores, of both formats, and come back."""

from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest
import zstandard

from cid_store.errors import UsageError

zarr = pytest.importorskip("zarr", reason="zarr is an extra")
numcodecs = pytest.importorskip("numcodecs", reason="numcodecs is an extra")

from ring2_orchestrator.zarr_codecs import Redoxa, RedoxaCodec  # noqa: E402 - see above

SERIES = np.cumsum(np.arange(20_000) % 7, dtype="<i4").reshape(100, 200)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "codec"),
    [(2, Redoxa("series_u32")), (3, RedoxaCodec("series_u32")), (3, RedoxaCodec())],
)
def test_an_array_goes_through_a_store(tmp_path: Path, version: int, codec: object) -> None:
    array = zarr.create_array(
        tmp_path / "a.zarr", data=SERIES, chunks=(50, 100), zarr_format=version, compressors=codec
    )
    assert (array[:] == SERIES).all()
    again = zarr.open_array(tmp_path / "a.zarr", mode="r")
    assert (again[:] == SERIES).all()
    assert (again[30:60, 7] == SERIES[30:60, 7]).all()
    assert again.nbytes_stored() < SERIES.nbytes // 3


def test_the_codec_speaks_numcodecs() -> None:
    codec = numcodecs.get_codec({"id": "redoxa", "gene": "bytes"})
    for data in (SERIES, b"", b"abc", np.arange(7.0), np.asfortranarray(SERIES)):
        packed = codec.encode(data)
        whole = data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
        if not (isinstance(data, np.ndarray) and not data.flags.c_contiguous):
            assert bytes(codec.decode(packed)) == whole
    out = np.empty_like(SERIES)
    codec.decode(codec.encode(SERIES), out)
    assert (out == SERIES).all()
    assert numcodecs.get_codec(codec.get_config()) == codec


@pytest.mark.parametrize("codec", [Redoxa("series_u32"), RedoxaCodec("series_u32")])
def test_a_codec_and_its_arrays_go_to_other_processes(tmp_path: Path, codec: object) -> None:
    """As dask and xarray send them, after the codec has been used."""
    version = 2 if isinstance(codec, Redoxa) else 3
    array = zarr.create_array(
        tmp_path / "a.zarr", data=SERIES, chunks=(50, 100), zarr_format=version, compressors=codec
    )
    receiver, sender = Pipe(duplex=False)
    with receiver, sender:
        sender.send((codec, array))
        sent = receiver.recv()
    assert sent[0] == codec
    assert (sent[1][:] == SERIES).all()


def test_a_chunk_becomes_the_same_whatever_came_before() -> None:
    """Were a plan kept from one chunk for the next, the order of threads would show."""
    rng = np.random.default_rng(7)
    noise = rng.integers(0, 1 << 16, 1024, dtype=np.uint16).tobytes()
    series = np.cumsum(rng.integers(0, 7, 1024), dtype=np.uint16).tobytes()
    alone = [Redoxa().encode(chunk) for chunk in (noise, series)]
    codec = Redoxa()
    assert [codec.encode(chunk) for chunk in (series, noise)] == alone[::-1]
    zstd = [len(zstandard.ZstdCompressor(19).compress(chunk)) for chunk in (noise, series)]
    assert all(len(made) <= size + 64 for made, size in zip(alone, zstd, strict=True))
    assert len(alone[1]) < zstd[1]


def test_a_profile_is_part_of_the_configuration() -> None:
    codec = RedoxaCodec(profile="fast")
    assert codec.to_dict()["configuration"] == {"gene": None, "profile": "fast"}
    assert RedoxaCodec.from_dict(codec.to_dict()) == codec
    old = Redoxa(profile="fast")
    assert numcodecs.get_codec(old.get_config()) == old
    out = bytearray(300)
    old.decode(old.encode(b"abc" * 100), out)
    assert out == b"abc" * 100
    assert RedoxaCodec().to_dict()["configuration"] == {"gene": None}


@pytest.mark.parametrize("make", [Redoxa, RedoxaCodec])
@pytest.mark.parametrize(
    "wrong", [{"gene": 5}, {"profile": "slow"}, {"gene": "bytes", "profile": "max"}]
)
def test_what_is_no_codec_is_refused_when_it_is_made(
    make: Callable[..., object], wrong: dict[str, object]
) -> None:
    with pytest.raises(UsageError):
        make(**wrong)


def test_the_text_of_a_gene_may_stand_on_one_line() -> None:
    text = "input x: u8 emit x |> delta |> zstd"
    codec = Redoxa(text)
    made = codec.encode(SERIES.tobytes())
    assert made == Redoxa(text.replace(" emit", "\nemit")).encode(SERIES.tobytes())
    assert len(made) < SERIES.nbytes


def test_a_damaged_chunk_is_an_error(tmp_path: Path) -> None:
    codec = RedoxaCodec("series_u32")
    zarr.create_array(tmp_path / "a.zarr", data=SERIES, chunks=SERIES.shape, compressors=codec)
    (chunk,) = (path for path in (tmp_path / "a.zarr" / "c").rglob("*") if path.is_file())
    damaged = bytearray(chunk.read_bytes())
    damaged[-40] ^= 1
    chunk.write_bytes(damaged)
    with pytest.raises(Exception, match="its check fails"):
        zarr.open_array(tmp_path / "a.zarr", mode="r")[:]
