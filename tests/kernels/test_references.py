"""Each mirror beside the same thing said in numpy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ring0.abi import Op
from ring0.host import Host
from ring0.outcome import Result
from ring2_orchestrator.kernels import KernelSet

Array = np.ndarray[Any, Any]
UNSIGNED = ("u8", "u16", "u32", "u64")
LENGTHS = (0, 1, 2, 7, 15, 16, 17, 63, 128, 129, 1000)


@pytest.fixture
def forward(kernels: KernelSet, host: Host) -> Callable[..., list[bytes]]:
    def call(name: str, data: Array, dtype: str, **values: int) -> list[bytes]:
        kernel = kernels.by_name(name)
        params = kernel.manifest.encode_parameters(values, dtype=dtype)
        outcome = host.call(kernel, Op.FORWARD, params, [data.tobytes()])
        assert isinstance(outcome, Result), outcome
        back = host.call(kernel, Op.INVERSE, params, outcome.outputs)
        assert back == Result([data.tobytes()])
        return outcome.outputs

    return call


def numpy_type(dtype: str) -> "np.dtype[Any]":
    return np.dtype(f"<{dtype[0]}{int(dtype[1:]) // 8}")


def values(dtype: str, length: int) -> Array:
    rng = np.random.default_rng(length)
    kind = numpy_type(dtype)
    return rng.integers(0, 256, length * kind.itemsize, dtype=np.uint8).view(kind)


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_zigzag(dtype: str, forward: Callable[..., list[bytes]]) -> None:
    for length in LENGTHS:
        data = values(dtype, length)
        signed = data.view(numpy_type(dtype.replace("u", "i")))
        sign = (signed >> (8 * data.itemsize - 1)).view(data.dtype)
        assert forward("zigzag", data, dtype) == [((data << 1) ^ sign).tobytes()]


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_gray(dtype: str, forward: Callable[..., list[bytes]]) -> None:
    for length in LENGTHS:
        data = values(dtype, length)
        codes = np.frombuffer(forward("gray", data, dtype)[0], data.dtype)
        assert np.array_equal(codes, data ^ (data >> 1))
    steps = np.arange(256, dtype=np.uint8)
    codes = np.frombuffer(forward("gray", steps, "u8")[0], np.uint8)
    assert set(np.bitwise_count(codes ^ np.roll(codes, 1)).tolist()) == {1}


@pytest.mark.parametrize("dtype", UNSIGNED[1:])
def test_endian_swap(dtype: str, forward: Callable[..., list[bytes]]) -> None:
    for length in LENGTHS:
        data = values(dtype, length)
        assert forward("endian_swap", data, dtype) == [data.byteswap().tobytes()]


@pytest.mark.parametrize("dtype", UNSIGNED[1:])
def test_byte_split(dtype: str, forward: Callable[..., list[bytes]]) -> None:
    for length in LENGTHS:
        data = values(dtype, length)
        planes = data.view(np.uint8).reshape(length, data.itemsize).T
        assert forward("byte_split", data, dtype) == [plane.tobytes() for plane in planes]


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_bit_transpose(dtype: str, forward: Callable[..., list[bytes]]) -> None:
    for length in LENGTHS:
        data = values(dtype, length)
        whole = length & ~7
        lanes = data[:whole].view(np.uint8).reshape(whole, data.itemsize)
        planes = np.packbits(np.unpackbits(lanes, axis=1, bitorder="little").T, bitorder="little")
        assert forward("bit_transpose", data, dtype) == [planes.tobytes() + data[whole:].tobytes()]


@pytest.mark.parametrize("dtype", UNSIGNED)
@pytest.mark.parametrize("lag", [1, 2, 3, 4, 5, 8, 15, 16, 17, 300, 65536])
def test_delta(dtype: str, lag: int, forward: Callable[..., list[bytes]]) -> None:
    for length, order in ((0, 1), (1, 2), (63, 1), (63, 2), (129, 3), (1000, 1), (1000, 8)):
        data = values(dtype, length)
        expected = data.copy()
        for _ in range(order):
            expected[lag:] = expected[lag:] - expected[:-lag]
        assert forward("delta", data, dtype, order=order, lag=lag) == [expected.tobytes()]


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("bits", [1, 7, 16, 23])
def test_mantissa_quant(dtype: str, bits: int, forward: Callable[..., list[bytes]]) -> None:
    mantissa = 23 if dtype == "f32" else 52
    for length in LENGTHS:
        data = values(dtype, length)
        quantised, residual = forward("mantissa_quant", data, dtype, bits=bits)
        kept = np.frombuffer(quantised, data.dtype)
        unsigned = kept.view(f"u{data.itemsize}")
        finite = np.isfinite(data)
        assert not (unsigned[finite] & ((1 << bits) - 1)).any(), "the dropped bits are zero"
        assert np.array_equal(kept[~finite].view("u1"), data[~finite].view("u1")), "NaNs stay"
        assert np.array_equal(np.signbit(kept), np.signbit(data))
        assert len(residual) == -(-length * bits // 8)
        # Never further than half a step of what is kept, in the exponent of the value itself.
        both = finite & np.isfinite(kept)
        _, exponent = np.frexp(np.maximum(np.abs(data[both]), np.finfo(data.dtype).tiny))
        half = np.ldexp(np.float64(0.5), exponent.astype(np.int64) - 1 + bits - mantissa)
        assert np.all(np.abs(kept[both].astype(np.float64) - data[both]) <= half)


def test_mantissa_quant_is_bfloat16_but_for_ties(forward: Callable[..., list[bytes]]) -> None:
    data = np.array([1.0, 3.1415927, -1e-40, 65504.0, 3.4028235e38, np.inf], np.float32)
    quantised, _ = forward("mantissa_quant", data, "f32", bits=16)
    expected = ["1", "3.140625", "-9.18355e-41", "65536", "inf", "inf"]
    assert [f"{value:.7g}" for value in np.frombuffer(quantised, np.float32)] == expected


@pytest.mark.parametrize("dtype", UNSIGNED)
@pytest.mark.parametrize("record", [1, 2, 3, 17, 64])
def test_transpose(dtype: str, record: int, forward: Callable[..., list[bytes]]) -> None:
    for length in LENGTHS:
        data = values(dtype, length)
        whole = length // record * record
        columns = data[:whole].reshape(-1, record).T.tobytes() + data[whole:].tobytes()
        assert forward("transpose", data, dtype, record=record) == [columns]
