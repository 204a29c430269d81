"""The kernel law, for every kernel alike: reversible, refusing, within its bounds."""

import itertools
import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ring0.abi import Op
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.manifest import WIDTHS, Port
from ring0.outcome import Outcome, Refused, Result
from ring2_orchestrator.kernels import KernelSet
from tests.kernels.conftest import draws

NAMES = KernelSet.shipped().names
every_kernel = pytest.mark.parametrize("name", NAMES)
MALFORMED, OUTSIDE, BAD_PARAMETER, CALL_SHAPE = 3, 1, 2, 7

examined = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)


def width(port: Port, dtype: str | None) -> int:
    return WIDTHS[dtype if port.type == "T" else port.type]  # type: ignore[index]  # T is bound


def streams(ports: tuple[Port, ...], dtype: str | None) -> list[int]:
    """The lane width of each stream of these ports."""
    widths: list[int] = []
    for port in ports:
        widths += [width(port, dtype)] * (WIDTHS[dtype or "u8"] if port.per_byte else 1)
    return widths


def parameters(kernel: Kernel) -> st.SearchStrategy[tuple[str | None, bytes]]:
    """A type the kernel works on, and parameter bytes within the ranges of its manifest."""
    manifest = kernel.manifest

    @st.composite
    def draw_some(draw: st.DrawFn) -> tuple[str | None, bytes]:
        dtype = draw(st.sampled_from(manifest.types)) if manifest.types else None
        values = {
            one.name: draw(st.integers(one.min, min(one.max, 40)) | st.integers(one.min, one.max))
            for one in manifest.parameters
        }
        return dtype, manifest.encode_parameters(values, dtype=dtype)

    return draw_some()


def lanes(widths: list[int], *, longest: int = 120) -> st.SearchStrategy[list[bytes]]:
    """For each stream of those widths whole lanes: noise, few values, or long repeats."""

    def stream(width: int) -> st.SearchStrategy[bytes]:
        lane = st.binary(min_size=width, max_size=width)
        few = st.lists(lane, min_size=1, max_size=3).flatmap(
            lambda some: st.lists(st.sampled_from(some), max_size=longest)
        )
        noise = st.integers(0, longest).flatmap(
            lambda n: st.binary(min_size=n * width, max_size=n * width)
        )
        repeats = st.tuples(lane, st.integers(0, 40 * longest)).map(lambda one: one[0] * one[1])
        return noise | few.map(b"".join) | repeats

    return st.tuples(*[stream(width) for width in widths]).map(list)


def is_refused(outcome: Outcome, *codes: int) -> bool:
    return isinstance(outcome, Refused) and outcome.code in codes


@every_kernel
@examined
@given(data=st.data())
def test_the_inverse_undoes(name: str, data: Any, kernels: KernelSet, host: Host) -> None:
    kernel = kernels.by_name(name)
    dtype, params = data.draw(parameters(kernel))
    inputs = data.draw(lanes(streams(kernel.manifest.inputs, dtype)))
    made = host.call(kernel, Op.FORWARD, params, inputs)
    assume(not is_refused(made, BAD_PARAMETER))  # a range may depend on the type
    assert isinstance(made, Result)
    assert made == host.call(kernel, Op.FORWARD, params, inputs), "twice the same, twice the same"
    assert host.call(kernel, Op.INVERSE, params, made.outputs) == Result(inputs)
    if kernel.manifest.kind == "involution":
        assert made == host.call(kernel, Op.INVERSE, params, inputs)


@every_kernel
@examined
@given(data=st.data())
def test_the_inverse_of_anything_is_bytes_or_a_refusal(
    name: str, data: Any, kernels: KernelSet, host: Host
) -> None:
    kernel = kernels.by_name(name)
    dtype, params = data.draw(parameters(kernel))
    anything = data.draw(
        lanes(streams(kernel.manifest.outputs, dtype))
        | st.lists(
            st.binary(max_size=300),
            min_size=kernel.manifest.port_counts(params)[1],
            max_size=kernel.manifest.port_counts(params)[1],
        )
    )
    back = host.call(kernel, Op.INVERSE, params, anything)
    assume(not is_refused(back, BAD_PARAMETER))
    if is_refused(back, MALFORMED):
        return
    assert isinstance(back, Result)
    if kernel.manifest.kind != "codec":
        assert host.call(kernel, Op.FORWARD, params, back.outputs) == Result(anything)


def some_parameters(kernel: Kernel) -> Iterator[tuple[str | None, bytes]]:
    """Every type, with the defaults and with the ends of every range."""
    manifest = kernel.manifest
    ends = [{one.min, one.default, min(one.max, 20)} for one in manifest.parameters]
    for dtype in manifest.types or (None,):
        for values in itertools.product(*ends):
            named = dict(zip((one.name for one in manifest.parameters), values, strict=True))
            yield dtype, manifest.encode_parameters(named, dtype=dtype)


@lru_cache(1_000)
def pattern(length: int, seed: int) -> bytes:
    """Bytes that are neither noise nor all alike, the same on every machine."""
    state, out = seed * 2 + 1, bytearray()
    while len(out) < length:
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        out += bytes([state >> 56 & 0x1F]) * (1 + (state >> 40) % 5)
    return bytes(out[:length])


def sweep(kernel: Kernel, host: Host, lengths: range) -> None:
    seen: set[str | None] = set()
    for dtype, params in some_parameters(kernel):
        widths = streams(kernel.manifest.inputs, dtype)
        # What ends inside a lane is refused whatever the parameters: once for each type.
        whole = dtype in seen
        for length in lengths:
            if whole and any(length % width for width in widths):
                continue
            inputs = [pattern(length, seed) for seed in range(len(widths))]
            made = host.call(kernel, Op.FORWARD, params, inputs)
            if any(length % width for width in widths):
                assert is_refused(made, OUTSIDE), f"{length} bytes of {dtype}: {made}"
                assert is_refused(host.call(kernel, Op.INVERSE, params, inputs), MALFORMED, 7)
                continue
            if is_refused(made, BAD_PARAMETER):
                break
            assert isinstance(made, Result), f"{length} bytes of {dtype}: {made}"
            assert host.call(kernel, Op.INVERSE, params, made.outputs) == Result(inputs)
        else:
            seen.add(dtype)


@every_kernel
def test_every_short_length(name: str, kernels: KernelSet, host: Host) -> None:
    sweep(kernels.by_name(name), host, range(150))


@pytest.mark.long
@every_kernel
def test_every_length_to_4096(name: str, kernels: KernelSet, host: Host) -> None:
    step = 61 if os.environ.get("REDOXA_LONG") == "bounded" else 1
    sweep(kernels.by_name(name), host, range(4096, -1, -step))


@pytest.mark.long
@every_kernel
def test_a_hundred_thousand_draws_come_back(name: str, kernels: KernelSet, host: Host) -> None:
    kernel = kernels.by_name(name)
    count = 2_000 if os.environ.get("REDOXA_LONG") == "bounded" else 100_000
    for params, inputs in draws(kernel, count):
        made = host.call(kernel, Op.FORWARD, params, inputs)
        if is_refused(made, BAD_PARAMETER):  # a range may depend on the type
            continue
        assert isinstance(made, Result)
        assert host.call(kernel, Op.INVERSE, params, made.outputs) == Result(inputs)


@every_kernel
def test_parameters_have_one_form(name: str, kernels: KernelSet, host: Host) -> None:
    kernel = kernels.by_name(name)
    _, good = next(some_parameters(kernel))
    data = [pattern(48, seed) for seed in range(kernel.manifest.port_counts(good)[0])]
    assert isinstance(host.call(kernel, Op.FORWARD, good, data), Result)
    wrong = [good + b"\0", good[:-1]] if good else [b"\0"]
    if kernel.manifest.has_variable:
        widths = {WIDTHS[dtype] for dtype in kernel.manifest.types}
        wrong += [bytes([byte]) + good[1:] for byte in range(256) if byte not in widths]
    if kernel.manifest.parameters:
        # The last parameter in one byte more than it needs.
        wrong.append(good[:-1] + bytes([good[-1] | 0x80, 0]))
    for params in wrong:
        for op in (Op.FORWARD, Op.INVERSE):
            shape = kernel.manifest.call_shape(op, good)
            outcome = host.call(kernel, op, params, (data * shape[0])[: shape[0]])
            assert is_refused(outcome, BAD_PARAMETER), f"{op.name} with {params.hex()}: {outcome}"


@every_kernel
def test_parameters_past_their_range_are_refused(
    name: str, kernels: KernelSet, bare: Callable[..., Any]
) -> None:
    manifest = kernels.by_name(name).manifest
    for at, one in enumerate(manifest.parameters):
        for value in {one.min - 1, one.max + 1, one.min + (1 << 32), (1 << 63) - 1} - {-1}:
            dtype = manifest.types[0] if manifest.has_variable else None
            params = bytearray([WIDTHS[dtype]] if dtype else [])
            for place, other in enumerate(manifest.parameters):
                params += leb128(value if place == at else other.default)
            assert bare(name).call(Op.FORWARD, bytes(params), [bytes(48)], 1) == BAD_PARAMETER


def leb128(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@every_kernel
def test_another_number_of_ports_is_refused(
    name: str, kernels: KernelSet, bare: Callable[..., Any]
) -> None:
    manifest = kernels.by_name(name).manifest
    _, params = next(some_parameters(kernels.by_name(name)))
    for op in (Op.FORWARD, Op.INVERSE):
        n_in, n_out = manifest.call_shape(op, params)
        for inputs, outputs in ((n_in + 1, n_out), (n_in, n_out + 1), (0, n_out), (n_in, 0)):
            assert bare(name).call(op, params, [bytes(16)] * inputs, outputs) == CALL_SHAPE
