# pyright: basic, reportMissingImports=false
"""Arrays go through real zarr stores, of both formats, and come back."""

from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest

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


def test_a_damaged_chunk_is_an_error(tmp_path: Path) -> None:
    codec = RedoxaCodec("series_u32")
    zarr.create_array(tmp_path / "a.zarr", data=SERIES, chunks=SERIES.shape, compressors=codec)
    (chunk,) = (path for path in (tmp_path / "a.zarr" / "c").rglob("*") if path.is_file())
    damaged = bytearray(chunk.read_bytes())
    damaged[-40] ^= 1
    chunk.write_bytes(damaged)
    with pytest.raises(Exception, match="its check fails"):
        zarr.open_array(tmp_path / "a.zarr", mode="r")[:]
