"""deflate beside zlib and gzip: it makes what they make, and whatever comes in comes back."""

import shutil
import struct
import subprocess
import zlib
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ring0.abi import Op
from ring0.boundary import MIB, Boundary
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.outcome import Outcome, Refused, Result
from ring2_orchestrator.kernels import KernelSet

LEVELS = range(1, 10)
USUAL, FILTERED, LITERALS, RUNS, FIXED = range(5)


@pytest.fixture
def kernel(kernels: KernelSet) -> Kernel:
    return kernels.by_name("deflate")


def setting(level: int, strategy: int = 0, memory: int = 8, window: int = 15, gzip: int = 0) -> int:
    return level | strategy << 4 | memory << 7 | window << 11 | gzip << 15


def by_zlib(data: bytes, level: int, strategy: int = 0, memory: int = 8, window: int = 15) -> bytes:
    maker = zlib.compressobj(level, zlib.DEFLATED, -window, memory, strategy)
    return maker.compress(data) + maker.flush()


def made(host: Host, kernel: Kernel, data: bytes, word: int) -> bytes:
    span = struct.pack("<3I", 0, len(data), word)
    outcome = host.call(kernel, Op.INVERSE, b"", [data, b"", span])
    assert isinstance(outcome, Result), outcome
    return outcome.outputs[0]


def found(host: Host, kernel: Kernel, stream: bytes) -> tuple[bytes, bytes, tuple[int, ...]]:
    outcome = host.call(kernel, Op.FORWARD, b"", [stream])
    assert isinstance(outcome, Result), outcome
    assert host.call(kernel, Op.INVERSE, b"", outcome.outputs) == Result([stream])
    plain, gaps, spans = outcome.outputs
    return plain, gaps, struct.unpack(f"<{len(spans) // 4}I", spans)


@cache
def text(size: int = 60_000) -> bytes:
    """Words that come again near and far, some of them changed a little."""
    rng = np.random.default_rng(5)
    words = [rng.integers(97, 107, rng.integers(2, 9)).astype("u1").tobytes() for _ in range(400)]
    chosen = rng.integers(0, 20, 30_000) ** 2
    return b" ".join(words[each] for each in chosen)[:size]


@cache
def samples() -> dict[str, bytes]:
    rng = np.random.default_rng(6)
    steps = np.cumsum(rng.integers(-3, 4, 40_000)).astype("u1").tobytes()
    return {
        "nothing": b"",
        "a byte": b"a",
        "zeros": bytes(70_000),
        "words": text(),
        "steps": steps,
        "noise": rng.bytes(50_000),
        "both": text(20_000) + rng.bytes(20_000) + text(20_000),
    }


@pytest.mark.parametrize("name", samples())
def test_every_setting_makes_what_zlib_makes(name: str, host: Host, kernel: Kernel) -> None:
    data = samples()[name]
    for level in LEVELS:
        for memory in (8, 9):
            assert made(host, kernel, data, setting(level, USUAL, memory)) == by_zlib(
                data, level, USUAL, memory
            )
    for strategy in (FILTERED, LITERALS, RUNS, FIXED):
        expected = by_zlib(data, 6, strategy)
        assert made(host, kernel, data, setting(6, strategy)) == expected
    for memory, window in ((1, 15), (5, 15), (8, 9), (8, 12)):
        expected = by_zlib(data, 6, USUAL, memory, window)
        assert made(host, kernel, data, setting(6, USUAL, memory, window)) == expected


@given(
    st.lists(st.binary(max_size=40), max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 400)), max_size=60),
    st.tuples(st.integers(1, 9), st.integers(USUAL, FIXED), st.integers(1, 9), st.integers(9, 15)),
)
@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_contents_make_what_zlib_makes_of_them(
    host: Host,
    kernel: Kernel,
    words: list[bytes],
    repeats: list[tuple[int, int]],
    chosen: tuple[int, int, int, int],
) -> None:
    data = b"".join((words[at % len(words)] * 40)[:size] for at, size in repeats if words)
    assert made(host, kernel, data, setting(*chosen)) == by_zlib(data, *chosen)


@pytest.mark.long
def test_long_contents_make_what_zlib_makes_of_them(host: Host, kernel: Kernel) -> None:
    rng = np.random.default_rng(7)
    for round_ in range(12):
        data = b"".join(
            (text(), rng.bytes(9_000), bytes(rng.integers(1, 70_000)))[at]
            for at in rng.integers(0, 3, 12)
        )
        for level in LEVELS:
            memory = 8 + round_ % 2
            expected = by_zlib(data, level, USUAL, memory)
            assert made(host, kernel, data, setting(level, USUAL, memory)) == expected


@pytest.mark.parametrize("level", LEVELS)
def test_a_stream_of_zlib_is_found(level: int, host: Host, kernel: Kernel) -> None:
    for strategy, memory in ((USUAL, 8), (USUAL, 9), (FILTERED, 8), (FIXED, 8), (RUNS, 9)):
        stream = by_zlib(text(), level, strategy, memory)
        plain, gaps, spans = found(host, kernel, stream + b"and more")
        assert (plain, gaps, spans[:2]) == (text(), b"and more", (0, len(text())))


@pytest.mark.skipif(shutil.which("gzip") is None, reason="there is no gzip here")
@pytest.mark.parametrize("level", [1, 3, 4, 6, 9])
def test_a_stream_of_gzip_is_found(level: int, host: Host, kernel: Kernel) -> None:
    data = text(150_000) + samples()["steps"]
    done = subprocess.run(["gzip", "-n", f"-{level}"], input=data, capture_output=True, check=True)
    plain, _, spans = found(host, kernel, done.stdout[10:-8])
    assert plain == data
    assert spans[2] & 15 == level


def test_a_stream_of_another_make_stays_as_it_is(host: Host, kernel: Kernel) -> None:
    stored = b"\x01" + struct.pack("<2H", len(text()), len(text()) ^ 0xFFFF) + text()
    flushed = zlib.compressobj(6, zlib.DEFLATED, -15)
    pieces = flushed.compress(text()) + flushed.flush(zlib.Z_SYNC_FLUSH)
    pieces += flushed.compress(text()) + flushed.flush()
    for stream in (stored, pieces):
        assert zlib.decompress(stream, -15).startswith(text())
        assert found(host, kernel, stream) == (b"", stream, ())


@given(st.data())
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_broken_stream_comes_back(host: Host, kernel: Kernel, data: st.DataObject) -> None:
    stream = bytearray(by_zlib(text(3_000), data.draw(st.integers(1, 9))))
    for _ in range(data.draw(st.integers(1, 3))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    found(host, kernel, bytes(stream[: data.draw(st.integers(0, len(stream)))]))


def bomb(copies: int) -> bytes:
    """A stream that makes as many mebibytes of zeros."""
    maker = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = maker.compress(bytes(MIB)) + maker.flush(zlib.Z_FULL_FLUSH)
    piece = maker.compress(bytes(MIB)) + maker.flush(zlib.Z_FULL_FLUSH)
    return first + piece * (copies - 1) + maker.flush()


def test_a_bomb_is_refused_before_it_goes_off(host: Host, kernel: Kernel) -> None:
    small = Boundary(output_bytes=16 * MIB, memory_bytes=64 * MIB)
    outcome = host.call(kernel, Op.FORWARD, b"", [bomb(64)], small)
    assert isinstance(outcome, Refused)
    # Beyond a gibibyte it is no stream to the kernel, and ten take no longer.
    stream = bomb(10 * 1024)
    outcome = host.call(kernel, Op.FORWARD, b"", [stream], small)
    assert outcome == Result([b"", stream, b""])


def test_spans_that_claim_much_are_refused(host: Host, kernel: Kernel) -> None:
    def inverse(plain: bytes, *numbers: int) -> Outcome:
        spans = struct.pack(f"<{len(numbers)}I", *numbers)
        return host.call(kernel, Op.INVERSE, b"", [plain, b"", spans])

    for numbers in (
        (0, 1 << 31, 0x7C06),
        (1 << 31, 1, 0x7C06),
        (0, 2, 0x7C06, 0, 0xFFFFFFFF, 0x7C06),
    ):
        outcome = inverse(b"a", *numbers)
        assert isinstance(outcome, Refused)
        assert outcome.code == 3
    many = inverse(b"", *(0, 0, 0x7C06) * 20_000)
    assert many == Result([b"\x03\0" * 20_000])
