"""lzma beside the reference library: each reads what the other writes, and both refuse the same."""

import lzma
import struct
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ring0.abi import Op
from ring0.boundary import MIB, Boundary
from ring0.host import Host
from ring0.outcome import Outcome, Refused, Result
from ring2_orchestrator.kernels import KernelSet

MALFORMED = 3
WIDTHS = (1, 2, 4, 8)
ROOM = Boundary(memory_bytes=256 * MIB, output_bytes=64 * MIB, wall_ms=20_000)
# lc, lp and pb: the usual ones, those of other alignments, and the least and the most there are.
PROPERTIES = [(3, 0, 2), (4, 0, 0), (0, 4, 4), (0, 0, 0), (1, 3, 3), (2, 2, 2)]
examined = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
Encode = Callable[[bytes, int], Outcome]
Decode = Callable[[bytes], Outcome]
repeats = st.builds(
    bytes.__mul__,
    st.lists(st.binary(max_size=40), max_size=6).map(b"".join),
    st.integers(1, 60),
)
flips = st.integers(1, 255)


@pytest.fixture
def encode(kernels: KernelSet, host: Host) -> Encode:
    kernel = kernels.by_name("lzma")
    return lambda data, width: host.call(kernel, Op.FORWARD, bytes([width]), [data], ROOM)


@pytest.fixture
def decode(kernels: KernelSet, host: Host) -> Decode:
    return lambda coded: host.call(kernels.by_name("lzma"), Op.INVERSE, b"\1", [coded], ROOM)


def of_library(data: bytes, preset: int = 6, properties: tuple[int, int, int] = (3, 0, 2)) -> bytes:
    lc, lp, pb = properties
    chunks = {"id": lzma.FILTER_LZMA2, "preset": preset, "lc": lc, "lp": lp, "pb": pb}
    return lzma.compress(data, lzma.FORMAT_RAW, filters=[chunks])


def by_library(coded: bytes) -> bytes | None:
    """What the reference library makes of it, or None where it refuses."""
    chunks = {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 22}
    reader = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[chunks])
    try:
        made = reader.decompress(coded)
    except lzma.LZMAError:
        return None
    return made if reader.eof and not reader.unused_data else None


@cache
def kinds_of_data() -> dict[str, bytes]:
    rng = np.random.default_rng(7)
    words = [rng.integers(97, 123, rng.integers(2, 9), dtype=np.uint8).tobytes() for _ in range(99)]
    text = b" ".join(words[at] for at in np.minimum(rng.geometric(0.05, 25_000) - 1, 98))
    walk = np.cumsum(rng.integers(-3, 4, 40_000)).astype("<i2").tobytes()
    return {
        "text": text,
        "walk": walk,
        "rows": b"".join(b"%06d,%d,ok\n" % (at, at * at % 1000) for at in range(6_000)),
        "noise": rng.bytes(90_000),
        "one byte": b"\x05" * 2_200_000,
        "period of 11": b"periodical " * 15_000,
        "late repeat": rng.bytes(140_000) * 2,
        "noise and text": rng.bytes(70_000) + text[:60_000] + rng.bytes(70_000) + text[:60_000],
    }


@pytest.mark.parametrize("at", range(len(kinds_of_data())))
def test_it_reads_what_the_library_writes(at: int, decode: Decode) -> None:
    data = [*kinds_of_data().values()][at]
    for preset in (1, 6):
        properties = PROPERTIES[(at + preset) % len(PROPERTIES)]
        assert decode(of_library(data, preset, properties)) == Result([data])


@pytest.mark.parametrize("kind", kinds_of_data())
def test_the_library_reads_what_it_writes(kind: str, encode: Encode, decode: Decode) -> None:
    data = kinds_of_data()[kind]
    made = encode(data, 1)
    assert isinstance(made, Result)
    assert by_library(made.outputs[0]) == data
    assert decode(made.outputs[0]) == Result([data])
    # A simple encoder, but one that is worth its name.
    assert len(made.outputs[0]) <= 1.1 * len(of_library(data, 0)) + 64


@examined
@given(data=repeats, preset=st.integers(0, 9), properties=st.sampled_from(PROPERTIES))
def test_both_read_both(
    data: bytes, preset: int, properties: tuple[int, int, int], encode: Encode, decode: Decode
) -> None:
    made = encode(data, 1)
    assert isinstance(made, Result)
    assert not data or by_library(made.outputs[0]) == data
    assert decode(of_library(data, preset, properties)) == Result([data])


@pytest.mark.parametrize("width", WIDTHS[1:])
def test_places_are_counted_by_the_lane(width: int, encode: Encode, decode: Decode) -> None:
    """Where each byte of a lane is one of sixteen of its own, who counts lanes needs less."""
    rng = np.random.default_rng(width)
    alphabets = [rng.permutation(256)[:16] for _ in range(width)]
    columns = [rng.choice(alphabet, 32_000 // width) for alphabet in alphabets]
    data = np.stack(columns, axis=1).astype(np.uint8).tobytes()
    counted, plain = encode(data, width), encode(data, 1)
    assert isinstance(counted, Result)
    assert isinstance(plain, Result)
    assert len(counted.outputs[0]) < len(plain.outputs[0])
    assert by_library(counted.outputs[0]) == data
    assert decode(counted.outputs[0]) == Result([data])


@examined
@given(
    original=repeats, properties=st.sampled_from(PROPERTIES), place=st.floats(0, 0.99), flip=flips
)
def test_a_damaged_stream_is_refused_or_read_as_the_library_reads_it(
    original: bytes, properties: tuple[int, int, int], place: float, *, flip: int, decode: Decode
) -> None:
    coded = bytearray(of_library(original, 6, properties))
    coded[int(place * len(coded))] ^= flip
    answer, theirs = decode(bytes(coded)), by_library(bytes(coded))
    if isinstance(answer, Refused):
        assert answer.code == MALFORMED
        assert theirs is None
    else:
        assert theirs is not None
        assert answer == Result([theirs])


def test_every_cut_of_a_stream_is_refused(decode: Decode) -> None:
    data = kinds_of_data()["rows"][:9_000]
    for coded in (of_library(data), of_library(kinds_of_data()["noise"][:900])):
        for end in range(1, len(coded), 7):
            answer = decode(coded[:end])
            assert isinstance(answer, Refused)
            assert answer.code == MALFORMED


def test_streams_stand_one_after_another_without_the_ends_between(decode: Decode) -> None:
    first, second = b"first " * 30, b"second " * 50
    coded = of_library(first)[:-1] + of_library(second, properties=(0, 4, 4))
    assert decode(coded) == Result([first + second])
    assert by_library(coded) == first + second


def test_a_stream_of_half_lanes_is_refused(kernels: KernelSet, host: Host) -> None:
    coded = of_library(b"seven b")
    for width in WIDTHS[1:]:
        answer = host.call(kernels.by_name("lzma"), Op.INVERSE, bytes([width]), [coded], ROOM)
        assert isinstance(answer, Refused)
        assert answer.code == MALFORMED


def test_what_chunks_claim_costs_nothing(decode: Decode, kernels: KernelSet, host: Host) -> None:
    """Chunks of a few bytes that say 2 MiB each: refused before there is room for it."""
    bits = bytes(9)
    chunk = b"\xff\xff\xff" + struct.pack(">H", len(bits) - 1) + b"\x5d" + bits
    small = Boundary(memory_bytes=4 * MIB, output_bytes=1 * MIB, wall_ms=5_000)
    answer = host.call(kernels.by_name("lzma"), Op.INVERSE, b"\1", [chunk * 600 + b"\0"], small)
    assert isinstance(answer, Refused)
    assert answer.code == MALFORMED


def test_more_than_a_gibibyte_is_refused_before_there_is_room(
    kernels: KernelSet, host: Host
) -> None:
    bits = bytes(256)
    chunk = b"\xff\xff\xff" + struct.pack(">H", len(bits) - 1) + b"\x5d" + bits
    small = Boundary(memory_bytes=4 * MIB, output_bytes=1 * MIB, wall_ms=5_000)
    for count, refused in ((512, False), (513, True)):
        answer = host.call(
            kernels.by_name("lzma"), Op.INVERSE, b"\1", [chunk * count + b"\0"], small
        )
        assert (isinstance(answer, Refused) and answer.code == MALFORMED) == refused
