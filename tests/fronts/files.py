"""Files of every format that a front end knows, each written by another program's code."""

import gzip
import io
import json
import tarfile
import wave
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

SEED = 11


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


def npz(arrays: dict[str, np.ndarray], deflated: bool = False) -> bytes:
    file = io.BytesIO()
    if deflated:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    else:
        np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def wav(data: bytes, channels: int, width: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(8000)
        out.writeframes(data)
    return file.getvalue()


def picture(kind: str, pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def tar(**members: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as out:
        for name, data in members.items():
            info = tarfile.TarInfo(name.replace("__", "."))
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return file.getvalue()


def tensors(given: dict[str, np.ndarray], *, library: bool = False) -> bytes:
    """Written by hand, so that most tests need nothing, or by the library."""
    if library:
        save = pytest.importorskip("safetensors.numpy").save
        return save(given, metadata={"made by": "a test"})
    header: dict[str, object] = {"__metadata__": {"made by": "a test"}}
    begin = 0
    for name, array in given.items():
        letter = "FIU"["fiu".index(array.dtype.kind)]
        end = begin + array.nbytes
        header[name] = {
            "dtype": f"{letter}{8 * array.dtype.itemsize}",
            "shape": array.shape,
            "data_offsets": [begin, end],
        }
        begin = end
    text = json.dumps(header).encode()
    data = b"".join(array.tobytes() for array in given.values())
    return len(text).to_bytes(8, "little") + text + data


def numbers(count: int, dtype: str = "<u2") -> np.ndarray:
    return np.random.default_rng(SEED).integers(0, 200, count).astype(dtype)


def pixels(height: int, width: int, channels: int) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return numbers(height * width * channels, "u1").reshape(shape)


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as out:
        for name, data in members.items():
            out.writestr(name, data)
    return file.getvalue()


# One small file of each, for what must hold of all of them.
EVERY: dict[str, Callable[[], bytes]] = {
    "npy": lambda: npy(numbers(60, "<f4").reshape(3, 4, 5)),
    "npy of records": lambda: npy(np.zeros(9, [("a", "<u2"), ("b", "<f8", (2,)), ("c", "<U3")])),
    "npz": lambda: npz({"a": numbers(700, "<i8"), "b": numbers(1200, ">f4")}),
    "deflated npz": lambda: npz({"a": numbers(700, "<i8")}, deflated=True),
    "png": lambda: picture("PNG", pixels(7, 5, 3)),
    "gzip": lambda: gzip.compress(numbers(90).tobytes(), mtime=0),
    "wav": lambda: wav(numbers(90).tobytes(), 2, 2),
    "ppm": lambda: picture("PPM", pixels(7, 5, 3)),
    "bmp": lambda: picture("BMP", pixels(7, 5, 3)),
    "tiff": lambda: picture("TIFF", pixels(7, 5, 3)),
    "safetensors": lambda: tensors({"a": numbers(24).reshape(4, 6), "b": numbers(7, "<f4")}),
    "tar": lambda: tar(one__npy=npy(numbers(2100)), two__txt=b"two\n" * 9),
    "zip": lambda: zipped({"one.npy": npy(numbers(2100)), "two.txt": b"two\n" * 9}),
}
