"""Other compressors that are installed here, each with what it knows of a file's kind.

Installed by `pip install -e '.[peers]'`; what cannot be imported is named and left out. A tool for
numbers, sound or pictures is given only what it is made for, with its type and shape.
"""

import ast
import io
import lzma
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]

_SOUND_RATE = 44_100  # FLAC wants to know; it changes no size
_PCO_LEVEL = 12
_JXL_EFFORT = 9


class Codec(NamedTuple):
    """How one tool codes a file and gives its bytes back."""

    encode: Callable[[bytes], bytes]
    decode: Callable[[bytes], bytes]


class Kind(NamedTuple):
    """What is known of a file: how its numbers are laid out, and what they are of."""

    word: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def array(self, data: bytes) -> Array:
        """The file's numbers in their shape."""
        return np.frombuffer(data, self.dtype).reshape(self.shape or -1)


def kind_of(path: Path, manifest: Path) -> Kind:
    """The line of the manifest beside the file, read; bytes where it says nothing of numbers."""
    for line in manifest.read_text().splitlines() if manifest.exists() else []:
        name, _, word, dtype, shape, *_ = line.split("\t")
        if name == path.name and dtype.startswith(("<", "u1")) and " " not in dtype:
            sizes = ast.literal_eval(shape) if shape.startswith("(") else ()
            return Kind(word, np.dtype(dtype), sizes)
    return Kind("bytes", np.dtype("u1"), ())


def codecs_for(kind: Kind) -> dict[str, Codec]:
    """Every tool that is installed and takes such a file, by its name and setting."""
    codecs = {"xz:9": Codec(lambda data: lzma.compress(data, preset=9), lzma.decompress)}
    for module, add in _TOOLS.items():
        try:
            import_module(module)
        except ImportError:
            print(f"{module} is not installed: left out", file=sys.stderr)
        else:
            codecs |= add(kind)
    return codecs


def _zstandard(_: Kind) -> dict[str, Codec]:
    zstandard = import_module("zstandard")
    decode = zstandard.ZstdDecompressor().decompress
    return {
        f"zstd:{level}": Codec(zstandard.ZstdCompressor(level=level).compress, decode)
        for level in (3, 19, 22)
    }


def _brotli(_: Kind) -> dict[str, Codec]:
    brotli = import_module("brotli")
    return {"brotli:11": Codec(brotli.compress, brotli.decompress)}


def _blosc2(kind: Kind) -> dict[str, Codec]:
    blosc2 = import_module("blosc2")

    def encode(data: bytes) -> bytes:
        return blosc2.compress2(
            data,
            typesize=kind.dtype.itemsize,
            codec=blosc2.Codec.ZSTD,
            clevel=9,
            filters=[blosc2.Filter.SHUFFLE],
            nthreads=1,
        )

    return {"blosc2:zstd9/shuffle": Codec(encode, blosc2.decompress2)}


def _pcodec(kind: Kind) -> dict[str, Codec]:
    if kind.dtype.itemsize == 1:
        return {}
    pcodec = import_module("pcodec")
    config = pcodec.ChunkConfig(compression_level=_PCO_LEVEL)
    standalone = pcodec.standalone
    return {
        f"pco:{_PCO_LEVEL}/{kind.dtype.name}": Codec(
            lambda data: standalone.simple_compress(np.frombuffer(data, kind.dtype), config),
            lambda coded: standalone.simple_decompress(coded).tobytes(),
        )
    }


def _soundfile(kind: Kind) -> dict[str, Codec]:
    if kind.word != "audio-i16":
        return {}
    soundfile = import_module("soundfile")

    def encode(data: bytes) -> bytes:
        out = io.BytesIO()
        samples = np.frombuffer(data, kind.dtype)
        soundfile.write(
            out, samples, _SOUND_RATE, format="FLAC", subtype="PCM_16", compression_level=1.0
        )
        return out.getvalue()

    def decode(coded: bytes) -> bytes:
        return soundfile.read(io.BytesIO(coded), dtype="int16")[0].tobytes()

    return {"flac:8": Codec(encode, decode)}


def _imagecodecs(kind: Kind) -> dict[str, Codec]:
    is_picture, is_grid = kind.word == "image", len(kind.shape) == 2 and kind.dtype.itemsize == 2
    if not (is_picture or is_grid):
        return {}
    image = import_module("imagecodecs")
    unsigned = np.dtype(f"u{kind.dtype.itemsize}")
    # Codecs of pictures know nothing of signs: from the lowest number upwards is the same picture.
    lowest = 1 << 15 if kind.dtype.kind == "i" else 0

    def picture(data: bytes) -> Array:
        return (kind.array(data).astype(np.int32) + lowest).astype(unsigned)

    def numbers(back: Array) -> bytes:
        return (back.astype(np.int32) - lowest).astype(kind.dtype).tobytes()

    codecs = {
        f"jxl:e{_JXL_EFFORT}": Codec(
            lambda data: image.jpegxl_encode(picture(data), lossless=True, effort=_JXL_EFFORT),
            lambda coded: numbers(image.jpegxl_decode(coded)),
        ),
        "png:9": Codec(
            lambda data: image.png_encode(picture(data), level=9),
            lambda coded: numbers(image.png_decode(coded)),
        ),
    }
    if is_picture:
        codecs["webp:lossless"] = Codec(
            lambda data: image.webp_encode(picture(data), lossless=True, level=100),
            lambda coded: numbers(image.webp_decode(coded)),
        )
    return codecs


_TOOLS: dict[str, Callable[[Kind], dict[str, Codec]]] = {
    "zstandard": _zstandard,
    "brotli": _brotli,
    "blosc2": _blosc2,
    "pcodec": _pcodec,
    "soundfile": _soundfile,
    "imagecodecs": _imagecodecs,
}


def sizes_of(table: Path) -> dict[str, dict[str, int]]:
    """A table of sizes that somebody measured before: by file, then by tool and setting."""
    found: dict[str, dict[str, int]] = {}
    for line in table.read_text().splitlines() if table.exists() else []:
        cells = line.split("\t")
        if not line.startswith("#") and cells[0] != "name":
            found.setdefault(cells[0], {})[cells[1]] = int(cells[2])
    return found
