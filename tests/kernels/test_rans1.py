"""rans1 beside a decoder written from its specification, and beside the entropy of its input."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ring0.abi import Op
from ring0.host import Host
from ring0.outcome import Refused, Result
from ring2_orchestrator.kernel_build import source_root
from ring2_orchestrator.kernel_vectors import Case, read_cases
from ring2_orchestrator.kernels import KernelSet
from tests.kernels.references.rans1 import MalformedError, decode

CASES = [*read_cases(source_root() / "rans1")]
WIDTHS = {1: "u8", 2: "u16", 4: "u32", 8: "u64"}
examined = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

Lanes = np.ndarray[Any, Any]


class Codec:
    """The kernel, forward and back."""

    def __init__(self, kernels: KernelSet, host: Host) -> None:
        self.kernel, self.host = kernels.by_name("rans1"), host

    def parameters(self, width: int, lag: int) -> bytes:
        return self.kernel.manifest.encode_parameters({"lag": lag}, dtype=WIDTHS[width])

    def coded(self, lanes: bytes, width: int, lag: int = 0) -> bytes:
        params = self.parameters(width, lag)
        made = self.host.call(self.kernel, Op.FORWARD, params, [lanes])
        assert isinstance(made, Result), made
        assert self.host.call(self.kernel, Op.INVERSE, params, made.outputs) == Result([lanes])
        return made.outputs[0]

    def size(self, lanes: Lanes, lag: int = 0) -> int:
        return len(self.coded(lanes.tobytes(), lanes.itemsize, lag))

    def back(self, stream: bytes, width: int, lag: int) -> bytes | None:
        made = self.host.call(self.kernel, Op.INVERSE, self.parameters(width, lag), [stream])
        assert isinstance(made, Result) or (isinstance(made, Refused) and made.code == 3)
        return made.outputs[0] if isinstance(made, Result) else None


@pytest.fixture(scope="module")
def rans1(kernels: KernelSet, host: Host) -> Codec:
    return Codec(kernels, host)


def by_specification(stream: bytes, width: int, lag: int) -> bytes | None:
    try:
        return decode(stream, width, lag)
    except MalformedError:
        return None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_specification_is_enough_to_decode(case: Case, rans1: Codec) -> None:
    if case.refuse in (1, 2):
        return
    width = case.params[0]
    lag = next(lag for lag in (0, 2, 7, 65535) if rans1.parameters(width, lag) == case.params)
    stream, lanes = case.inputs[0], None if case.refuse else case.outputs[0]
    if case.op is Op.FORWARD:
        stream, lanes = case.outputs[0], case.inputs[0]
    assert by_specification(stream, width, lag) == lanes


def walk(seed: int, length: int, width: int) -> bytes:
    """Lanes that are loud in places, of every length of their type."""
    rng = np.random.default_rng(seed)
    loud = np.exp2(np.repeat(rng.uniform(0, 8 * width - 1, length // 40 + 1), 40)[:length])
    drawn = np.minimum(rng.exponential(loud), 2.0 ** (8 * width - 1))
    return drawn.astype(f"<u{width}").tobytes()


settings_of_streams = st.tuples(st.sampled_from([*WIDTHS]), st.sampled_from([0, 1, 5]))


@st.composite
def lanes(draw: st.DrawFn) -> tuple[bytes, int, int]:
    """Some lanes, their width, and a lag."""
    width, lag = draw(settings_of_streams)
    length = draw(st.sampled_from([70, 300]))
    return walk(draw(st.integers(0, 1000)), length, width), width, lag


@examined
@given(
    given=lanes(),
    where=st.integers(0, 10**6),
    kind=st.sampled_from(["none", "flip", "cut", "grow", "splice"]),
)
def test_damage_is_refused_or_decodes_as_specified(
    given: tuple[bytes, int, int], where: int, kind: str, rans1: Codec
) -> None:
    stream = bytearray(rans1.coded(*given))
    # Most of a short stream is states; what follows them breaks in more ways.
    at = where % len(stream) if where % 3 else min(67 + where % 60, len(stream) - 1)
    if kind == "flip":
        stream[at] ^= 1 << where % 8
    elif kind == "cut":
        del stream[at:]
    elif kind == "grow":
        stream[at:at] = bytes([where % 256])
    elif kind == "splice":
        made_up = np.random.default_rng(where).integers(0, 256, 7, dtype=np.uint8)
        stream[at : at + 7] = made_up.tobytes()
    how = given[1:]
    assert rans1.back(bytes(stream), *how) == by_specification(bytes(stream), *how)


@examined
@given(
    tail=st.binary(max_size=80),
    states=st.booleans(),
    length=st.integers(0, 300),
    how=settings_of_streams,
)
def test_made_up_streams_are_refused_or_decode_as_specified(
    tail: bytes, states: bool, length: int, how: tuple[int, int], rans1: Codec
) -> None:
    number = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
    stream = b"\x01" + number + b"\0\0\1\0" * 16 * states + tail
    assert rans1.back(stream, *how) == by_specification(stream, *how)


def entropy_bytes(lanes: Lanes) -> float:
    counts = np.unique(lanes, return_counts=True)[1]
    return float(-(counts * np.log2(counts / counts.sum())).sum() / 8)


def laplacian(n: int, scale: "float | Lanes") -> Lanes:
    drawn = np.rint(np.random.default_rng(n).laplace(0, scale, n)).astype(np.int64)
    return np.where(drawn < 0, -2 * drawn - 1, 2 * drawn)


@pytest.mark.parametrize("scale", [0.5, 4, 30])
def test_one_distribution_costs_little_more_than_its_entropy(scale: float, rans1: Codec) -> None:
    lanes = laplacian(100_000, scale).astype("<u2")
    assert rans1.size(lanes) < 1.01 * entropy_bytes(lanes) + 200


def test_what_follows_from_the_byte_before_costs_little(rans1: Codec) -> None:
    """Each of 64 bytes is followed by one of four, which its neighbours are not."""
    rng = np.random.default_rng(3)
    following, lanes = rng.integers(0, 64, (64, 4)), np.zeros(60_000, np.uint8)
    for i, pick in enumerate(rng.integers(0, 4, len(lanes) - 1).tolist()):
        lanes[i + 1] = following[lanes[i], pick]
    assert entropy_bytes(lanes) > 0.65 * len(lanes)
    assert rans1.size(lanes) < 0.29 * len(lanes)


def test_what_is_loud_in_places_costs_less_than_its_entropy(rans1: Codec) -> None:
    scales = np.exp(np.repeat(np.random.default_rng(1).normal(2, 1.2, 200), 500))
    lanes = laplacian(100_000, scales).astype("<u2")
    assert rans1.size(lanes) < 0.95 * entropy_bytes(lanes)


def test_what_is_loud_in_columns_is_cheaper_with_its_row(rans1: Codec) -> None:
    scales = np.tile(np.exp(np.random.default_rng(2).normal(2, 1.5, 250)), 200)
    lanes = laplacian(50_000, scales).astype("<u4")
    assert rans1.size(lanes, lag=250) < 0.97 * rans1.size(lanes)


def test_changing_statistics_get_blocks_of_their_own(rans1: Codec) -> None:
    rng = np.random.default_rng(2)
    orders = [rng.permutation(256).astype(np.uint8) for _ in range(4)]
    parts = [order[np.minimum(rng.geometric(0.2, 65_536), 255)] for order in orders]
    alone = sum(map(rans1.size, parts))
    assert rans1.size(np.concatenate(parts)) < 1.01 * alone


@pytest.mark.parametrize("length", [0, 1, 20, 100, 32768, 50_000])
def test_noise_grows_by_one_byte(length: int, rans1: Codec) -> None:
    data = np.random.default_rng(length).integers(0, 256, length, dtype=np.uint8)
    assert rans1.size(data) <= length + (length > 0)


@pytest.mark.slow
@pytest.mark.parametrize("width", [*WIDTHS])
def test_every_flip_and_every_cut_stays_inside(
    width: int, rans1: Codec, bare: Callable[..., Any]
) -> None:
    """The stream at the end of memory, so that reading past it would trap."""
    lanes = np.minimum(laplacian(300, 2), 200)
    lanes[::50] = 255
    stream = rans1.coded(lanes.astype(f"<u{width}").tobytes(), width, 3)
    assert stream[0] == 1
    broken = [stream[:cut] for cut in range(len(stream))]
    for bit in range(0, 8 * len(stream), 7):
        other = bytearray(stream)
        other[bit // 8] ^= 1 << bit % 8
        broken.append(bytes(other))
    for one in broken:
        answer = bare("rans1").call(
            Op.INVERSE, rans1.parameters(width, 3), [one], 1, last=("in", 0)
        )
        expected = by_specification(one, width, 3)
        assert answer == (3 if expected is None else [expected])
