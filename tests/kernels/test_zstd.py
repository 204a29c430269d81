"""zstd beside the reference library: each reads what the other writes, and both refuse the same."""

import struct
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ring0.abi import Op
from ring0.boundary import MIB, Boundary
from ring0.host import Host
from ring0.outcome import Outcome, Refused, Result
from ring2_orchestrator.kernels import KernelSet

MALFORMED = 3
ROOM = Boundary(memory_bytes=256 * MIB, output_bytes=64 * MIB, wall_ms=20_000)
# facebook/zstd, tests/golden-decompression/rle-first-block.zst (BSD-3-Clause): 1 MiB of zeros.
GOLDEN_RUNS = bytes.fromhex(
    "28b52ffda4000010000200100002001000020010000200100002001000020010000200100003001000f13e16e1"
)
examined = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
Call = Callable[[bytes], Outcome]
repeats = st.builds(
    bytes.__mul__,
    st.lists(st.binary(max_size=40), max_size=6).map(b"".join),
    st.integers(1, 60),
)
flips = st.integers(1, 255)


@pytest.fixture
def encode(kernels: KernelSet, host: Host) -> Call:
    return lambda data: host.call(kernels.by_name("zstd"), Op.FORWARD, b"", [data], ROOM)


@pytest.fixture
def decode(kernels: KernelSet, host: Host) -> Call:
    return lambda coded: host.call(kernels.by_name("zstd"), Op.INVERSE, b"", [coded], ROOM)


def of_library(data: bytes, level: int, *, checksum: bool = False, says: bool = True) -> bytes:
    made = zstandard.ZstdCompressor(level=level, write_checksum=checksum, write_content_size=says)
    return made.compress(data)


def by_library(coded: bytes) -> bytes | None:
    """What the reference library makes of it, or None where it refuses."""
    try:
        return zstandard.ZstdDecompressor().decompress(coded, max_output_size=1 << 20)
    except zstandard.ZstdError:
        return None


@cache
def kinds_of_data() -> dict[str, bytes]:
    rng = np.random.default_rng(7)
    words = [rng.integers(97, 123, rng.integers(2, 9), dtype=np.uint8).tobytes() for _ in range(99)]
    text = b" ".join(words[at] for at in np.minimum(rng.geometric(0.05, 25_000) - 1, 98))
    walk = np.cumsum(rng.integers(-3, 4, 40_000)).astype("<i2").tobytes()
    rows = b"".join(b"%06d,%d,ok\n" % (at, at * at % 1000) for at in range(6_000))
    return {
        "text": text,
        "walk": walk,
        "rows": rows,
        "noise": rng.bytes(60_000),
        "one byte": b"\x05" * 400_000,
        "period of 11": b"periodical " * 15_000,
        "late repeat": rng.bytes(140_000) * 2,
    }


@pytest.mark.parametrize("level", [-5, 1, 9, 19])
@pytest.mark.parametrize("kind", kinds_of_data())
def test_it_reads_what_the_library_writes(kind: str, level: int, decode: Call) -> None:
    data = kinds_of_data()[kind]
    for checksum, says in ((False, True), (True, False)):
        assert decode(of_library(data, level, checksum=checksum, says=says)) == Result([data])


@pytest.mark.parametrize("kind", kinds_of_data())
def test_the_library_reads_what_it_writes(kind: str, encode: Call, decode: Call) -> None:
    data = kinds_of_data()[kind]
    made = encode(data)
    assert isinstance(made, Result)
    assert by_library(made.outputs[0]) == data
    assert decode(made.outputs[0]) == Result([data])
    # A simple encoder, but one that is worth its name.
    assert len(made.outputs[0]) <= 1.35 * len(of_library(data, 3)) + 64


@examined
@given(data=repeats, level=st.integers(-3, 19))
def test_both_read_both(data: bytes, level: int, encode: Call, decode: Call) -> None:
    made = encode(data)
    assert isinstance(made, Result)
    assert not data or by_library(made.outputs[0]) == data
    assert decode(of_library(data, level)) == Result([data])


@examined
@given(original=repeats, level=st.sampled_from([1, 12, 19]), place=st.floats(0, 0.99), flip=flips)
def test_a_damaged_frame_is_refused_or_read_as_the_library_reads_it(
    original: bytes, level: int, place: float, *, flip: int, decode: Call
) -> None:
    coded = bytearray(of_library(original, level))
    coded[int(place * len(coded))] ^= flip
    answer, theirs = decode(bytes(coded)), by_library(bytes(coded))
    if isinstance(answer, Refused):
        assert answer.code == MALFORMED
        return
    assert isinstance(answer, Result)
    # They also refuse windows larger than they care to keep.
    assert theirs is None or answer.outputs == [theirs]


def test_every_cut_of_a_frame_is_refused(decode: Call) -> None:
    data = kinds_of_data()["rows"][:9_000]
    for level in (1, 19):
        coded = of_library(data, level, checksum=True)
        for end in range(1, len(coded), 7):
            answer = decode(coded[:end])
            assert isinstance(answer, Refused)
            assert answer.code == MALFORMED


def test_frames_stand_one_after_another(decode: Call) -> None:
    first, second = b"first " * 30, b"second " * 50
    other = struct.pack("<II", 0x184D2A5F, 3) + b"xyz"
    coded = other + of_library(first, 3) + other + of_library(second, 3, checksum=True) + other
    assert decode(coded) == Result([first + second])


def test_runs_in_a_golden_frame(decode: Call) -> None:
    assert decode(GOLDEN_RUNS) == Result([bytes(1 << 20)])


def test_a_flipped_bit_fails_the_checksum(decode: Call) -> None:
    coded = bytearray(of_library(kinds_of_data()["noise"][:5_000], 3, checksum=True))
    for at in range(20, len(coded), 97):
        coded[at] ^= 1
        answer = decode(bytes(coded))
        assert isinstance(answer, Refused)
        assert answer.code == MALFORMED
        coded[at] ^= 1


def test_what_a_frame_claims_costs_nothing(kernels: KernelSet, host: Host) -> None:
    """A frame of a few bytes that says 2^29: refused before there is room for it."""
    block = (2 << 3 | 2 << 1 | 1).to_bytes(3, "little") + b"\0\0"
    claims = bytes.fromhex("28b52ffd a0".replace(" ", "")) + struct.pack("<I", 1 << 29) + block
    small = Boundary(memory_bytes=4 * MIB, output_bytes=1 * MIB, wall_ms=5_000)
    answer = host.call(kernels.by_name("zstd"), Op.INVERSE, b"", [claims], small)
    assert isinstance(answer, Refused)
    assert answer.code == MALFORMED
