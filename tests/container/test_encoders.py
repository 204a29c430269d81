"""Encoders in a kernel's place: believed only when the kernel undoes what they made."""

import io
import lzma

import numpy as np
import pytest
import zstandard

from ring0.abi import Op
from ring0.boundary import Boundary
from ring0.outcome import Refused, Result
from ring0.plan import Dtype, Plan, PlanBuilder
from ring2_orchestrator import encoders
from ring2_orchestrator.container import BytesSource
from ring2_orchestrator.encoders import EncodingCaller, native_encoders
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.packing import pack
from ring2_orchestrator.toolbox import Toolbox

TEXT = b"".join(b"%05d: line %d of many\n" % (at, at * at % 97) for at in range(3_000))
BOUNDARY = Boundary()


def of_library(data: encoders.Buffer) -> bytes:
    return zstandard.ZstdCompressor(level=19).compress(data)


def by_chunks(data: encoders.Buffer, lc: int, lp: int, pb: int) -> bytes:
    filters = [
        {"id": lzma.FILTER_LZMA2, "nice_len": 273, "depth": 48, "lc": lc, "lp": lp, "pb": pb}
    ]
    return lzma.compress(data, lzma.FORMAT_RAW, filters=filters)


def nothing(_: encoders.Buffer) -> bytes:
    return b""


def no_frame(data: encoders.Buffer) -> bytes:
    return bytes(data)


def another_frame(data: encoders.Buffer) -> bytes:
    return of_library(data[1:])


def plan_of(kernel: str, tools: Toolbox, dtype: Dtype = Dtype.U8) -> Plan:
    builder = PlanBuilder(dtype)
    builder.add(tools.kernels.by_name(kernel).cid, (), [0], [Dtype.U8])
    return builder.build()


def zstd_plan(tools: Toolbox) -> Plan:
    return plan_of("zstd", tools)


def test_packing_takes_the_librarys_bytes_and_executing_the_kernels(tools: Toolbox) -> None:
    plan = zstd_plan(tools)
    coded = tools.packer.forward(plan, TEXT).outputs
    assert coded == [of_library(TEXT)]
    own = tools.executor.forward(plan, TEXT).outputs
    assert own != coded
    for streams in (coded, own):
        assert tools.executor.inverse(plan, streams).outputs == [TEXT]


@pytest.mark.parametrize(
    ("dtype", "properties"),
    [(Dtype.U8, (4, 0, 0)), (Dtype.U16, (1, 1, 1)), (Dtype.U32, (0, 2, 2)), (Dtype.U64, (0, 3, 3))],
)
def test_lanes_say_how_the_library_counts_places(
    dtype: Dtype, properties: tuple[int, int, int], tools: Toolbox
) -> None:
    plan, lanes = plan_of("lzma", tools, dtype), TEXT[: len(TEXT) // 8 * 8]
    coded = tools.packer.forward(plan, lanes).outputs
    assert coded == [by_chunks(lanes, *properties)]
    own = tools.executor.forward(plan, lanes).outputs
    assert own != coded
    for streams in (coded, own):
        assert tools.executor.inverse(plan, streams).outputs == [lanes]


def test_of_noise_the_shorter_of_two_levels_is_kept(tools: Toolbox) -> None:
    rng = np.random.default_rng(3)
    noise = np.abs(rng.normal(0, 9, 1 << 17)).astype(np.uint8).tobytes()
    coded = tools.packer.forward(zstd_plan(tools), noise).outputs[0]
    levels = [len(zstandard.ZstdCompressor(level=level).compress(noise)) for level in (16, 19)]
    assert min(levels) < max(levels)
    assert len(coded) == min(levels)


def test_no_container_is_much_longer_than_the_library_makes_it(tools: Toolbox) -> None:
    gene = Gene.parse("input x: u8\nemit x |> zstd", tools.palette)
    out = io.BytesIO()
    pack(BytesSource(TEXT), out, [gene], tools)
    assert len(out.getvalue()) <= len(of_library(TEXT)) + 128


@pytest.mark.parametrize(
    "lie",
    [nothing, no_frame, another_frame, of_library],
    ids=["nothing", "noise", "other bytes", "the truth"],
)
def test_an_encoder_that_lies_is_not_believed(
    lie: encoders.Encode, tools: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders, "_zstandard", lie)
    kernel = tools.kernels.by_name("zstd")
    made = EncodingCaller(tools.host, tools.kernels).call(kernel, Op.FORWARD, b"", [TEXT], BOUNDARY)
    own = tools.host.call(kernel, Op.FORWARD, b"", [TEXT], BOUNDARY)
    assert made == (Result([of_library(TEXT)]) if lie is of_library else own)


def test_another_version_of_the_library_is_not_asked(
    tools: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    zstd, codecs = tools.kernels.by_name("zstd").cid, tools.kernels.by_name("lzma").cid
    assert {cid for cid, _ in native_encoders(tools.kernels)} == {zstd, codecs}
    monkeypatch.setattr(zstandard, "ZSTD_VERSION", (1, 5, 6))
    assert {cid for cid, _ in native_encoders(tools.kernels)} == {codecs}


def test_a_library_that_writes_other_bytes_than_the_known_one_is_not_asked(
    tools: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = lzma.compress

    def another(data: bytes, form: int, filters: list[dict[str, int]]) -> bytes:
        return theirs(data, form, filters=[{**each, "nice_len": 64} for each in filters])

    encoders.has_known_lzma.cache_clear()
    monkeypatch.setattr(lzma, "compress", another)
    try:
        assert {cid for cid, _ in native_encoders(tools.kernels)} == {
            tools.kernels.by_name("zstd").cid
        }
    finally:
        encoders.has_known_lzma.cache_clear()


def test_what_is_no_forward_call_of_the_kernel_goes_to_it(tools: Toolbox) -> None:
    caller = EncodingCaller(tools.host, tools.kernels)
    zstd, delta = tools.kernels.by_name("zstd"), tools.kernels.by_name("delta")
    assert caller.call(zstd, Op.FORWARD, b"", [b""], BOUNDARY) == Result([b""])
    assert isinstance(caller.call(zstd, Op.FORWARD, b"\0", [TEXT], BOUNDARY), Refused)
    codec = tools.kernels.by_name("lzma")
    assert isinstance(caller.call(codec, Op.FORWARD, b"\2", [b"odd"], BOUNDARY), Refused)
    assert isinstance(caller.call(codec, Op.FORWARD, b"\3", [TEXT], BOUNDARY), Refused)
    assert isinstance(caller.call(zstd, Op.INVERSE, b"", [TEXT], BOUNDARY), Refused)
    params = delta.manifest.encode_parameters({}, dtype="u8")
    by_kernel = tools.host.call(delta, Op.FORWARD, params, [TEXT], BOUNDARY)
    assert caller.call(delta, Op.FORWARD, params, [TEXT], BOUNDARY) == by_kernel


def test_what_is_sketched_is_undone_by_the_kernel(tools: Toolbox) -> None:
    plan = zstd_plan(tools)
    sketched = tools.sketcher.forward(plan, TEXT).outputs
    assert tools.executor.inverse(plan, sketched).outputs == [TEXT]
    assert len(sketched[0]) < len(TEXT)
