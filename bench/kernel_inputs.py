"""What each kernel is timed on: synthetic walks and skewed bytes, or a piece of a real file."""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ring0.abi import Op
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.outcome import Result
from ring2_orchestrator.kernel_speed import Choice, every_choice
from ring2_orchestrator.kernels import KernelSet

MIB = 1 << 20
# What takes a second for a mebibyte is timed on less, so that it is called often enough.
SLOW = 1 << 18


@dataclass(frozen=True)
class Real:
    """The first bytes of a file, and perhaps a kernel that they go through before."""

    file: str
    dtype: str | None
    values: Mapping[str, int] = field(default_factory=dict[str, int])
    size: int = MIB
    after: str | None = None
    after_values: Mapping[str, int] = field(default_factory=dict[str, int])


IMAGE, GRID, SEA, ORBIT = (
    "img_coffee.rgb8",
    "grid_etopo20.i16",
    "f32_coads_sst.f32",
    "f64_de421_mercury.f64",
)
SOUND, RECORDS, TABLE, LOG, JSON = (
    "pcm_fluidr3gs.i16",
    "rec_hd_index.u32",
    "csv_ppmf.csv",
    "log_apache.txt",
    "json_mdn_compat.json",
)
PHOTO, RELIEF = {"row": 1800, "channels": 3}, {"row": 1081}

# Kernels that depend on what they are given: on noise they would be other programs.
REAL: dict[str, list[Real]] = {
    "adaptive_lpc": [Real(SOUND, "u16", {}, SLOW), Real(SOUND, "u16", {"order": 32}, SLOW)],
    "colour_lift": [Real(IMAGE, "u8", {"mode": mode}) for mode in range(4)],
    "context_mix": [Real(LOG, None, {}, SLOW)],
    "lz_mix": [Real(JSON, None, {}, SLOW)],
    "lzma": [Real(JSON, "u8"), Real(RECORDS, "u32"), Real(SOUND, "u16", {}, SLOW)],
    "predict2d": [
        Real(IMAGE, "u8", {**PHOTO, "mode": 0}),
        Real(IMAGE, "u8", {**PHOTO, "mode": 1}),
        Real(GRID, "u16", {**RELIEF, "mode": 0}),
        Real(GRID, "u16", {**RELIEF, "mode": 1}),
        Real(SEA, "u32", {"row": 180, "mode": 1}),
    ],
    "raster": [Real(IMAGE, "u8", PHOTO, SLOW), Real(GRID, "u16", RELIEF, SLOW)],
    "record_mix": [Real(RECORDS, None, {"record": 4}, SLOW)],
    "regression": [
        Real(SEA, "f32", {"history": 12}),
        Real(ORBIT, "f64", {"record": 14, "history": 3}),
    ],
    "residual": [
        Real(IMAGE, "u8", PHOTO, after="predict2d", after_values=PHOTO),
        Real(GRID, "u16", RELIEF, after="predict2d", after_values=RELIEF),
        Real(SEA, "u32", {}, after="delta"),
        Real(ORBIT, "u64", {}, after="delta", after_values={"lag": 14}),
    ],
    "table": [Real(TABLE, None), Real(LOG, None, {"delimiter": 32})],
    "transpose": [
        Real(IMAGE, "u8", {"record": 3}),
        Real(GRID, "u16", {"record": 1081}),
        Real(SEA, "u32", {"record": 180}),
        Real(ORBIT, "u64", {"record": 14}),
    ],
    "zstd": [Real(LOG, None), Real(TABLE, None), Real(IMAGE, None)],
}

# The same for kernels on synthetic data; one that is named nowhere is timed with its defaults on
# every type.
CASES: dict[str, list[Choice]] = {
    "delta": [
        ("u8", {}),
        ("u16", {}),
        ("u32", {}),
        ("u64", {}),
        ("u8", {"order": 2}),
        ("u8", {"lag": 3}),
        ("u16", {"order": 2, "lag": 100}),
    ],
    "mantissa_quant": [("f32", {"bits": 8}), ("f64", {"bits": 29})],
}


def data_folder() -> Path:
    """Where the files lie; ends the program where nobody said."""
    if "REDOXA_SHARED" not in os.environ:
        sys.exit("set REDOXA_SHARED to the folder that holds data/")
    return Path(os.environ["REDOXA_SHARED"]) / "data"


def inputs(
    kernel: Kernel, kernels: KernelSet, folder: Path
) -> Iterator[tuple[Choice, Real | None, bytes | None]]:
    """Every case of a kernel, with its file and data; None twice where the data are synthetic."""
    for real in REAL.get(kernel.name, []):
        yield (real.dtype, real.values), real, _data(real, kernels, folder)
    if kernel.name not in REAL:
        for choice in CASES.get(kernel.name, every_choice(kernel)):
            yield choice, None, None


def _data(real: Real, kernels: KernelSet, folder: Path) -> bytes:
    width = int(real.dtype[1:]) // 8 if real.dtype else 1
    with (folder / real.file).open("rb") as file:
        data = file.read(real.size)
    data = data[: len(data) // width * width]
    if real.after is None:
        return data
    before = kernels.by_name(real.after)
    params = before.manifest.encode_parameters(real.after_values, dtype=real.dtype)
    with Host(base=kernels.cids) as host:
        made = host.call(before, Op.FORWARD, params, [data])
    assert isinstance(made, Result), "the kernel before accepts the file"
    return made.outputs[0]
